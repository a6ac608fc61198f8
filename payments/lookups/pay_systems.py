"""Looks up the portal's pay systems by the portal's own token, and caches them.

Only administrators may list pay systems, so a manager's token cannot read them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum

from django.core.cache import cache
from django.db.models import F

from b24app.errors import B24Error, ChainBroken, Refused
from b24app.models import Portal
from b24app.rest.client import Batch, Client, Pending
from b24app.tokens.clients import portal_client
from payments import gateway
from payments.gateway import PaySystem, Rows, UnreadableRow

# Pay systems change only when an administrator changes them, so a list may show a choice that is
# five minutes old. Paying reads them again.
CACHE_SECONDS = 300

# Payments of orders are looked up in this table; a pay system of old invoices does not find them.
_REGISTRY = "ORDER"

# Built-in handlers that return `true` and do not pay.
_SILENT = {"cash", "cashondelivery", "inner", "orderdocument"}
_INTERNAL_ACCOUNT = "inner"
_SILENT_PREFIX = "bill"  # Each country has its own form of the printed bill.


class SystemKind(StrEnum):
    """What Bitrix24 does when an app pays through a pay system of this kind."""

    APP = "app"  # A REST handler of any app: Bitrix24 pays.
    SILENT = "builtin silent"  # Built in: Bitrix24 returns `true` and does nothing.
    ACQUIRER = "acquirer"  # Built in: takes money from the buyer only, and refuses the app's call.
    OTHER_REGISTRY = "other registry"  # Of old invoices: does not find an order's payment.
    INACTIVE = "inactive"


# Their payments can be marked as paid by hand.
_NEEDS_MARK = frozenset({SystemKind.SILENT, SystemKind.ACQUIRER})

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Systems:
    """The pay systems of a portal."""

    all: tuple[PaySystem, ...]
    rest_handlers: frozenset[str] | None  # codes; None if they could not be read
    unreadable: tuple[UnreadableRow, ...] = ()  # only an id and a name are known, or not even those

    def find(self, pay_system_id: int) -> PaySystem | None:
        return next((system for system in self.all if system.id == pay_system_id), None)

    def may_hide(self, pay_system_id: int) -> bool:
        """Returns whether this pay system may be one of the unreadable rows.

        Then nothing is known about it: a payment that has it can be paid, as when no pay systems
        could be read, but no other payment can be changed to it.
        """
        is_known = self.find(pay_system_id) is not None
        return not is_known and Rows((), self.unreadable).may_hide(pay_system_id)

    def kind(self, system: PaySystem) -> SystemKind:
        """Returns the pay system's kind.

        If the REST handlers could not be read, a built-in acquirer looks like a REST handler and
        counts as APP; Bitrix24 then refuses the payment.
        """
        if not system.active:
            return SystemKind.INACTIVE
        if system.registry != _REGISTRY:
            return SystemKind.OTHER_REGISTRY
        if self.rest_handlers is not None and system.action_file in self.rest_handlers:
            return SystemKind.APP
        name = system.action_file.lower()
        if name in _SILENT or name.startswith(_SILENT_PREFIX):
            return SystemKind.SILENT
        return SystemKind.APP if self.rest_handlers is None else SystemKind.ACQUIRER

    def can_be_paid(self, system: PaySystem) -> bool:
        """Returns whether an app's call pays through it."""
        return self.kind(system) is SystemKind.APP

    def needs_mark(self, system: PaySystem) -> bool:
        """Returns whether a payment with it can only be marked as paid by hand.

        Excludes the buyer's internal account: marking takes the money out of that account.
        """
        is_account = system.action_file.lower() == _INTERNAL_ACCOUNT
        return self.kind(system) in _NEEDS_MARK and not is_account

    def fitting(self, person_type_id: int | None) -> list[PaySystem]:
        """Returns the pay systems that a payment for such a buyer may have, in the portal's
        order."""
        fitting = [
            system
            for system in self.all
            if self.can_be_paid(system) and takes_buyer(system, person_type_id)
        ]
        return sorted(fitting, key=lambda system: (system.sort, system.id))


def forget(portal: Portal) -> None:
    """Drops the cached pay systems of every process, after they were changed."""
    Portal.objects.filter(pk=portal.pk).update(cache_generation=F("cache_generation") + 1)
    portal.refresh_from_db(fields=["cache_generation"])


def _cache_key(portal: Portal) -> str:
    return f"payments.systems.{portal.pk}.{portal.cache_generation}"


def takes_buyer(system: PaySystem, person_type_id: int | None) -> bool:
    """Returns whether the pay system takes this type of buyer. One without a type takes all; an
    unknown type fits all."""
    return person_type_id is None or system.person_type_id in (None, person_type_id)


class SystemsReading:
    """Reads pay systems from the cache, or in a batch together with other queries.

    `fresh` reads them from the portal in any case, and uses the cache only if that fails.
    """

    def __init__(self, portal: Portal, *, fresh: bool = False) -> None:
        self._portal = portal
        self._key = _cache_key(portal)
        self._known: Systems | None = cache.get(self._key)
        self._fresh = fresh
        self._systems: Pending[Rows[PaySystem]] | None = None
        self._handlers: Pending[frozenset[str]] | None = None

    @property
    def is_needed(self) -> bool:
        return self._fresh or self._known is None

    def own_batches(self) -> list[Batch]:
        """Returns a batch of the portal's token, or an empty list if the pay systems are cached or
        the portal has no working token."""
        if not self.is_needed:
            return []
        try:
            batch = portal_client(self._portal).batch()
        except ChainBroken as error:
            logger.warning("pay systems cannot be read: %s", error)
            return []
        self.ask(batch)
        return [batch]

    def ask(self, batch: Batch) -> None:
        """Adds the queries to a batch of the portal's token, unless the answers are cached."""
        if not self.is_needed:
            return
        self._systems = batch.add(gateway.pay_systems())
        self._handlers = batch.add(gateway.rest_handlers())

    def result_for_admin(self, client: Client) -> Systems | None:
        """Returns `result()`; if the portal's token failed, reads by this administrator's client.

        The request that repairs the portal's token therefore shows the pay systems already.
        """
        found = self.result()
        if found is not None:
            return found
        batch = client.batch()
        self._systems, self._handlers = None, None
        self.ask(batch)
        batch.run()
        return self.result()

    def result(self) -> Systems | None:
        """Returns the pay systems; None if they are neither cached nor readable by the token."""
        if self._systems is None or self._handlers is None:
            return self._known
        try:
            rows = self._systems.get()
        except B24Error as error:
            logger.warning("pay systems could not be read: %s", error)
            return self._known
        try:
            handlers = self._handlers.get()
        except Refused as error:
            logger.warning("REST handlers could not be read: %s", error)
            handlers = None
        except B24Error as error:
            logger.warning("REST handlers could not be read, this time: %s", error)
            known = self._known.rest_handlers if self._known else None
            return Systems(rows.read, known, rows.unreadable)
        self._known = Systems(rows.read, handlers, rows.unreadable)
        cache.set(self._key, self._known, CACHE_SECONDS)
        return self._known
