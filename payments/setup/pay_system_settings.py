"""Reads and saves the settings of a pay system. Secrets are never shown."""

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
    refusals_as_not_saved,
)
from payments.setup.inventory import System
from payments.setup.secret_values import MASK, is_secret

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The settings of all payer types that have no settings of their own.
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
    """A setting to edit."""

    code: str
    name: str
    description: str
    type: str  # Where the value comes from, a key of SOURCES or another one of the portal's.
    value: str  # Empty for a secret.
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
    shown: str  # The fingerprint of what is stored.
    stored: Mapping[str, Setting] = field(repr=False)  # Secrets are among them.


def read_settings(client: Client, system: System, *, person_type_id: int) -> Settings:
    """Reads the settings from the portal; the app does not store them.

    Raises NotSaved if Bitrix24 does not let this app read them, or another B24Error.
    """
    stored = _read(client, system, person_type_id)
    described = _described(system)
    codes = [*described, *(code for code in stored if code not in described)]
    lines = tuple(_line(code, stored.get(code), described.get(code, {})) for code in codes)
    return Settings(system, person_type_id, lines, fingerprint(sorted(stored.items())), stored)


def save_settings(client: Client, settings: Settings, *, shown: str, posted: QueryDict) -> int:
    """Sends the changed settings; returns how many there are. `settings` are as stored now.

    Raises NotSaved, also if another person changed them meanwhile; BadInput for a request that the
    form cannot have sent.
    """
    check_unchanged(shown, sorted(settings.stored.items()))
    changed = _changed(settings, posted)
    if not changed:
        return 0
    number, payer = settings.system.details.id, settings.person_type_id
    try:
        with refusals_as_not_saved({}):
            setup_writes.update_settings(client, number, person_type_id=payer, settings=changed)
    except OutcomeUnknown as error:
        now = _read(client, settings.system, payer)
        if not all(_is_stored(setting, now.get(code)) for code, setting in changed.items()):
            raise NotSaved(NOT_THERE) from error
    return len(changed)


def _is_stored(wanted: Setting, found: Setting | None) -> bool:
    # Bitrix24 may delete a setting that was emptied.
    return found == wanted if wanted.value else found is None or not found.value


@dataclass(frozen=True)
class Effective:
    """The settings that apply to one payment."""

    values: tuple[tuple[str, str], ...]  # Codes and values, secrets masked.
    why_not: StrOrPromise = ""  # Why they cannot be shown.


def effective(client: Client, *, payment_id: int, pay_system_id: int) -> Effective:
    """Reads the settings that apply to one payment; `why_not` says why if Bitrix24 refuses."""
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
    """Returns the descriptions of the handler's settings by code, in its order."""
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
    """Returns the settings that were changed in the form, by code.

    A secret that is left empty stays as it is, unless its checkbox says to remove it.
    """
    changed = {}
    for line in settings.lines:
        type_, value = posted.get(f"type:{line.code}"), posted.get(f"value:{line.code}", "")
        if type_ is None or not settings.stored.get(line.code, _NOTHING).is_readable:
            continue
        if type_ not in dict(line.sources) or len(value) > _VALUE_LENGTH:
            raise BadInput("no such source, or a value that is too long")
        if line.is_secret and type_ == VALUE and not value and f"clear:{line.code}" not in posted:
            continue
        before = settings.stored.get(line.code, _NOTHING)
        if (before.type, before.value) != (type_, value) and (value or line.is_set):
            changed[line.code] = Setting(type_, value)
    return changed
