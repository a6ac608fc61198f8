"""Reads the pay systems and handlers of a portal, and which of them this app may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import models
from django.utils.translation import gettext_lazy as _

from b24app.errors import AccessDenied, B24Error, FrameError, Missing, OutcomeUnknown, Refused
from b24app.rest.client import Client
from payments import gateway
from payments.gateway import setup_reads
from payments.gateway.setup_types import Handler, PaySystemDetails, PersonType, Registry
from payments.gateway.types import Rows, UnreadableRow

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The kinds of documents that a pay system can be made for. No method returns payer types of quotes.
REGISTRIES = (Registry.ORDER, Registry.OLD_INVOICE)


class SettingsRightMissing(FrameError):
    status = 403
    sentence_by_default = _(
        "You do not have the right to change the CRM's settings in this Bitrix24, which setting up "
        "payment systems needs. Nothing was done. Ask the portal's administrator for the "
        "permission “Allow to modify settings”."
    )


class NoSuchPaySystem(Missing):
    sentence_by_default = _(
        "This payment system is not there any more. Nothing was done. Reload the list."
    )


class NoSuchHandler(Missing):
    sentence_by_default = _(
        "This handler is not there any more. Nothing was done. Reload the list."
    )


class Whose(models.TextChoices):
    OURS = "ours", _("This app's")
    ANOTHERS = "anothers", _("Another app's")
    AN_APPS = "an_apps", _("An app's")  # Bitrix24 does not say which app's.
    BUILT_IN = "built_in", _("Built in")


_DOCUMENTS: dict[str, StrOrPromise] = {
    Registry.ORDER: _("Deals, new invoices and orders"),
    Registry.OLD_INVOICE: _("Old invoices"),
    Registry.QUOTE: _("Quotes"),
}


@dataclass(frozen=True)
class System:
    details: PaySystemDetails
    whose: Whose
    handler: Handler | None  # None for a built-in pay system.
    payer: str  # The payer type's name; empty if it is not known.
    why_not_paid: StrOrPromise  # Why Pay does not work with it; empty if it does.

    @property
    def documents(self) -> StrOrPromise:
        """Returns the kind of document in words, or its code if the app does not know it."""
        return _DOCUMENTS.get(self.details.registry, self.details.registry)

    @property
    def can_be_changed(self) -> bool:
        return self.whose in (Whose.OURS, Whose.AN_APPS)


@dataclass(frozen=True)
class HandlerUse:
    handler: Handler
    whose: Whose
    used_by: tuple[PaySystemDetails, ...]

    @property
    def names_of_users(self) -> str:
        return ", ".join(details.name for details in self.used_by)

    @property
    def can_be_changed(self) -> bool:
        return self.whose in (Whose.OURS, Whose.AN_APPS)


@dataclass(frozen=True)
class Setup:
    systems: tuple[System, ...]
    handlers: tuple[HandlerUse, ...]
    person_types: Mapping[Registry, tuple[PersonType, ...]]
    unreadable_systems: tuple[UnreadableRow, ...] = ()
    unreadable_handlers: tuple[UnreadableRow, ...] = ()

    def has_system(self, pay_system_id: int) -> bool:
        """Raises OutcomeUnknown if it may be one of those that cannot be read."""
        try:
            self.system(pay_system_id)
        except NoSuchPaySystem:
            return False
        return True

    def has_handler(self, handler_id: int) -> bool:
        """Raises OutcomeUnknown if it may be one of those that cannot be read."""
        try:
            self.handler(handler_id)
        except NoSuchHandler:
            return False
        return True

    def system(self, pay_system_id: int) -> System:
        """Raises NoSuchPaySystem, or OutcomeUnknown if it may be one that cannot be read."""
        for system in self.systems:
            if system.details.id == pay_system_id:
                return system
        if Rows((), self.unreadable_systems).may_hide(pay_system_id):
            raise OutcomeUnknown(f"pay system {pay_system_id} cannot be read")
        raise NoSuchPaySystem(f"pay system {pay_system_id}")

    def handler(self, handler_id: int) -> HandlerUse:
        """Raises NoSuchHandler, or OutcomeUnknown if it may be one that cannot be read."""
        for use in self.handlers:
            if use.handler.id == handler_id:
                return use
        if Rows((), self.unreadable_handlers).may_hide(handler_id):
            raise OutcomeUnknown(f"handler {handler_id} cannot be read")
        raise NoSuchHandler(f"handler {handler_id}")

    def handler_with_code(self, code: str) -> HandlerUse | None:
        return next((use for use in self.handlers if use.handler.code == code), None)


def read_setup(client: Client) -> Setup:
    """Reads everything with this person's token; waits for the portal twice.

    Raises SettingsRightMissing if they may not change the CRM's settings, or the B24Error of what
    could not be read.
    """
    batch = client.batch()
    asked_systems = batch.add(setup_reads.pay_systems_in_detail())
    asked_handlers = batch.add(setup_reads.handlers())
    asked_types = {
        registry: batch.add(setup_reads.person_types(registry)) for registry in REGISTRIES
    }
    order_right = batch.add(gateway.order_right())
    batch.run()
    try:
        system_rows, handler_rows = asked_systems.get(), asked_handlers.get()
    except AccessDenied as error:
        if error.is_about_plan:
            raise
        raise SettingsRightMissing(str(error)) from error
    systems, handlers = system_rows.read, handler_rows.read
    types: dict[Registry, tuple[PersonType, ...]] = {}
    for registry, asked in asked_types.items():
        try:
            types[registry] = asked.get()
        except Refused:
            # New portals have no old invoices; then no payer type is offered for them.
            types[registry] = ()
    by_code = {handler.code: handler for handler in handlers}
    whose = _whose(client, systems, by_code, may_ask=_is_true(order_right.get))
    return Setup(
        systems=tuple(_system(one, whose[one.id], by_code, types) for one in systems),
        handlers=tuple(_use(handler, systems, whose) for handler in handlers),
        person_types=types,
        unreadable_systems=system_rows.unreadable,
        unreadable_handlers=handler_rows.unreadable,
    )


def _is_true(read: Callable[[], bool]) -> bool:
    try:
        return read()
    except B24Error:
        return False


def _whose(
    client: Client,
    systems: tuple[PaySystemDetails, ...],
    by_code: Mapping[str, Handler],
    *,
    may_ask: bool,
) -> dict[int, Whose]:
    found = {
        one.id: Whose.AN_APPS if one.action_file in by_code else Whose.BUILT_IN for one in systems
    }
    if not may_ask:
        return found
    batch = client.batch()
    reach = {
        number: batch.add(setup_reads.may_change(number))
        for number, whose in found.items()
        if whose == Whose.AN_APPS
    }
    batch.run()
    for number, pending in reach.items():
        try:
            found[number] = Whose.OURS if pending.get() else Whose.ANOTHERS
        except B24Error:
            continue  # Bitrix24 refuses a change itself if this app may not make it.
    return found


def _system(
    details: PaySystemDetails,
    whose: Whose,
    by_code: Mapping[str, Handler],
    types: Mapping[Registry, tuple[PersonType, ...]],
) -> System:
    handler = by_code.get(details.action_file)
    names = {one.id: one.name for known in types.values() for one in known}
    payer = names.get(details.person_type_id or 0, "")
    return System(details, whose, handler, payer, _why_not_paid(details, handler))


def _why_not_paid(details: PaySystemDetails, handler: Handler | None) -> StrOrPromise:
    if details.registry != Registry.ORDER:
        return _("It is for old invoices or quotes, not for deals and new invoices.")
    if handler is None:
        return _("It is built in, and built-in ones do not take payments from an app.")
    if not details.active:
        return _("It is switched off.")
    return ""


def _use(
    handler: Handler, systems: tuple[PaySystemDetails, ...], whose: Mapping[int, Whose]
) -> HandlerUse:
    used_by = tuple(one for one in systems if one.action_file == handler.code)
    known = {whose[one.id] for one in used_by} - {Whose.AN_APPS}
    return HandlerUse(handler, known.pop() if len(known) == 1 else Whose.AN_APPS, used_by)
