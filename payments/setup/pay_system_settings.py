"""The settings of a pay system: each code with where its value comes from, secrets unseen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from b24app.errors import AccessDenied, BadInput, OutcomeUnknown, Refused
from b24app.rest.client import Client
from payments.gateway import setup_reads, setup_writes
from payments.gateway.setup_types import Setting
from payments.setup.conflicts import (
    NOT_THERE,
    OUT_OF_REACH,
    NotSaved,
    check_unchanged,
    fingerprint,
    told_beside,
)
from payments.setup.inventory import System
from payments.setup.secret_values import MASK, is_secret

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# What holds for every payer type that has no settings of its own.
EVERY_PAYER = 0
VALUE = "VALUE"
SOURCES: dict[str, StrOrPromise] = {
    VALUE: _("The value itself"),
    "PAYMENT": _("A field of the payment"),
    "ORDER": _("A field of the order"),
    "USER": _("A field of the buyer"),
    "PROPERTY": _("A property of the order"),
}
_VALUE_LENGTH = 4000
_NOTHING = Setting("", "")

UNREADABLE = _(
    "What Bitrix24 keeps here cannot be read, so it is not changed from here. "
    "Change it in Bitrix24."
)


@dataclass(frozen=True)
class SettingLine:
    """A setting to edit. `value` is empty where it `is_secret`: whoever wants another one writes it
    anew; `is_set` says whether there is one."""

    code: str
    name: str
    description: str
    type: str
    value: str
    is_secret: bool
    is_set: bool
    problem: StrOrPromise = ""

    @property
    def sources(self) -> list[tuple[str, StrOrPromise]]:
        known = list(SOURCES.items())
        return known if self.type in SOURCES else [(self.type, self.type), *known]


@dataclass(frozen=True)
class Settings:
    system: System
    person_type_id: int
    lines: tuple[SettingLine, ...]
    shown: str
    kept: Mapping[str, Setting] = field(repr=False)


def read_settings(client: Client, system: System, *, person_type_id: int) -> Settings:
    """Raises NotSaved where Bitrix24 keeps them from this app, another B24Error where they could
    not be read. Nothing of them is kept here."""
    kept = _read(client, system, person_type_id)
    described = _described(system)
    codes = [*described, *(code for code in kept if code not in described)]
    lines = tuple(_line(code, kept.get(code), described.get(code, {})) for code in codes)
    return Settings(system, person_type_id, lines, fingerprint(sorted(kept.items())), kept)


def save_settings(client: Client, settings: Settings, *, shown: str, posted: QueryDict) -> int:
    """Send what the editor changed; answers how many that were. `settings` as they are now.

    Raises NotSaved, also where they are not what the editor was shown; BadInput for what the form
    cannot have sent.
    """
    check_unchanged(shown, sorted(settings.kept.items()))
    changed = _changed(settings, posted)
    if not changed:
        return 0
    number, payer = settings.system.details.id, settings.person_type_id
    try:
        with told_beside({}):
            setup_writes.update_settings(client, number, person_type_id=payer, settings=changed)
    except OutcomeUnknown as error:
        now = _read(client, settings.system, payer)
        if not all(_is_kept(setting, now.get(code)) for code, setting in changed.items()):
            raise NotSaved(NOT_THERE) from error
    return len(changed)


def _is_kept(wanted: Setting, found: Setting | None) -> bool:
    """Of one that was emptied Bitrix24 need not keep anything."""
    return found == wanted if wanted.value else found is None or not found.value


@dataclass(frozen=True)
class Effective:
    """What one payment is paid with: codes and values, secrets masked."""

    values: tuple[tuple[str, str], ...]
    why_not: StrOrPromise = ""


def effective(client: Client, *, payment_id: int, pay_system_id: int) -> Effective:
    """Where the server does not allow it, `why_not` says why."""
    query = setup_reads.settings_of_payment(payment_id, pay_system_id=pay_system_id)
    try:
        values = client.read(query)
    except AccessDenied as error:
        if error.is_about_plan:
            raise
        return Effective(
            (),
            _(
                "Bitrix24 does not show these: it is built in or another app's, or you do not have "
                "the right to create and edit orders."
            ),
        )
    except Refused as error:
        if error.code != "ERROR_CHECK_FAILURE":
            raise
        return Effective((), _("This payment is not set to this payment system."))
    shown = tuple(
        (code, MASK if value and is_secret(code, value) else value)
        for code, value in sorted(values.items())
    )
    return Effective(shown)


def _read(client: Client, system: System, person_type_id: int) -> Mapping[str, Setting]:
    query = setup_reads.settings(system.details.id, person_type_id=person_type_id)
    try:
        return client.read(query)
    except AccessDenied as error:
        if error.is_about_plan:
            raise
        raise NotSaved(OUT_OF_REACH) from error


def _described(system: System) -> Mapping[str, Mapping[str, Any]]:
    """The codes that the handler names, in its order."""
    codes = system.handler.settings.get("CODES") if system.handler else None
    if not isinstance(codes, Mapping):
        return {}
    return {str(code): about for code, about in codes.items() if isinstance(about, Mapping)}


def _line(code: str, setting: Setting | None, about: Mapping[str, Any]) -> SettingLine:
    default = about.get("DEFAULT")
    type_ = setting.type if setting else ""
    if not type_:
        type_ = str(default.get("PROVIDER_KEY", VALUE)) if isinstance(default, Mapping) else VALUE
    value = setting.value if setting else ""
    secret = type_ == VALUE and is_secret(code, value)
    return SettingLine(
        code=code,
        name=str(about.get("NAME") or code),
        description=str(about.get("DESCRIPTION") or ""),
        type=type_,
        value="" if secret else value,
        is_secret=secret,
        is_set=bool(value),
        problem="" if setting is None or setting.is_readable else UNREADABLE,
    )


def _changed(settings: Settings, posted: QueryDict) -> dict[str, Setting]:
    """By code: what is another source or another value; a secret left empty stays as it is, unless
    it is to be removed."""
    changed = {}
    for line in settings.lines:
        type_, value = posted.get(f"type:{line.code}"), posted.get(f"value:{line.code}", "")
        if type_ is None or not settings.kept.get(line.code, _NOTHING).is_readable:
            continue
        if type_ not in dict(line.sources) or len(value) > _VALUE_LENGTH:
            raise BadInput("no such source, or a value that is too long")
        if line.is_secret and type_ == VALUE and not value and f"clear:{line.code}" not in posted:
            continue
        before = settings.kept.get(line.code, _NOTHING)
        if (before.type, before.value) != (type_, value) and (value or line.is_set):
            changed[line.code] = Setting(type_, value)
    return changed
