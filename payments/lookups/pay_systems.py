"""The pay systems of a portal, which ordinary people may not list: the portal's own token may."""

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

# They change when an administrator sets one up; a choice that is five minutes old is good enough
# to be shown. What is paid through is read anew.
CACHE_SECONDS = 300

# Payments are looked up in the orders' table, so pay systems of old invoices never find theirs.
_REGISTRY = "ORDER"

# Where the list of REST handlers cannot be had: built-in ones that answer `true` and do not pay.
_SILENT = {"cash", "cashondelivery", "inner", "orderdocument"}
_INTERNAL_ACCOUNT = "inner"
_SILENT_PREFIX = "bill"  # Each country has its own form of the printed bill.


class SystemKind(StrEnum):
    """What becomes of a payment through a pay system that is called from an app."""

    APP = "app"  # A REST handler of any app: it is paid.
    SILENT = "builtin silent"  # Bitrix24 answers `true` and does nothing.
    ACQUIRER = "acquirer"  # Built in as well; it takes money from the buyer only, and refuses ours.
    OTHER_REGISTRY = "other registry"  # Of old invoices: it never finds an order's payment.
    INACTIVE = "inactive"


# An order's payment can be marked as paid by hand whatever these do.
_NEEDS_MARK = frozenset({SystemKind.SILENT, SystemKind.ACQUIRER})

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Systems:
    """`rest_handlers` is None where it is not known; `unreadable` are those of the list of which no
    more can be told than their id and name."""

    all: tuple[PaySystem, ...]
    rest_handlers: frozenset[str] | None
    unreadable: tuple[UnreadableRow, ...] = ()

    def find(self, pay_system_id: int) -> PaySystem | None:
        return next((system for system in self.all if system.id == pay_system_id), None)

    def may_hide(self, pay_system_id: int) -> bool:
        """Whether nothing is known of this pay system because its row cannot be read: it is used
        where a payment is set to it, as where no pay system is known, and not chosen anew."""
        is_known = self.find(pay_system_id) is not None
        return not is_known and Rows((), self.unreadable).may_hide(pay_system_id)

    def kind(self, system: PaySystem) -> SystemKind:
        """Where the REST handlers are not known, a built-in acquirer cannot be told from one of
        those: it counts as an app's, and its own refusal is told afterwards."""
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
        """Would a call from an app really pay through it?"""
        return self.kind(system) is SystemKind.APP

    def needs_mark(self, system: PaySystem) -> bool:
        """In use for orders, and not to be paid through from here: what has come in by it can only
        be marked as paid by hand. Not so the buyer's internal account: marking would take the money
        out of that."""
        is_account = system.action_file.lower() == _INTERNAL_ACCOUNT
        return self.kind(system) in _NEEDS_MARK and not is_account

    def fitting(self, person_type_id: int | None) -> list[PaySystem]:
        """Those that a payment of an order for such a buyer may be bound to, in the portal's
        order."""
        fitting = [
            system
            for system in self.all
            if self.can_be_paid(system) and takes_buyer(system, person_type_id)
        ]
        return sorted(fitting, key=lambda system: (system.sort, system.id))


def forget(portal: Portal) -> None:
    """They have been changed: the next screen asks for them anew, whichever process it is of."""
    Portal.objects.filter(pk=portal.pk).update(cache_generation=F("cache_generation") + 1)
    portal.refresh_from_db(fields=["cache_generation"])


def _cache_key(portal: Portal) -> str:
    return f"payments.systems.{portal.pk}.{portal.cache_generation}"


def takes_buyer(system: PaySystem, person_type_id: int | None) -> bool:
    """A pay system without a buyer type takes all; so does, to us, an order whose type we do not
    know."""
    return person_type_id is None or system.person_type_id in (None, person_type_id)


class SystemsReading:
    """From the cache, or asked for beside whatever else is asked at the same time.

    `fresh` asks in any case, and falls back on the cache where no answer comes.
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
        """A request for them alone; none where they are cached or nobody serves the portal."""
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
        """Add the questions to a batch of the portal's token, unless the answers are cached."""
        if not self.is_needed:
            return
        self._systems = batch.add(gateway.pay_systems())
        self._handlers = batch.add(gateway.rest_handlers())

    def result_for_admin(self, client: Client) -> Systems | None:
        """As `result`; where the portal's token may not read them any more, this administrator's
        may: the opening that mends the portal already shows them."""
        found = self.result()
        if found is not None:
            return found
        batch = client.batch()
        self._systems, self._handlers = None, None
        self.ask(batch)
        batch.run()
        return self.result()

    def result(self) -> Systems | None:
        """None where they were not asked for, or the portal's token may not read them."""
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
