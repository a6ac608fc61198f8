"""Reads the orders of one deal or invoice in the round trip that reads its payments.

The list of an item's payments names no order. So one command of the batch lists the item's orders,
and the next commands read the first few of them by its answer.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.core.cache import cache

from b24app.errors import AccessDenied, B24Error, ChainBroken
from b24app.models import Portal
from b24app.rest.client import Batch, Client, Pending
from b24app.tokens.clients import portal_client
from payments import gateway
from payments.gateway import Order, OrderLinksPage, OrderWithPayments, Owner, Payment

logger = logging.getLogger(__name__)

# If a person may not read orders, the portal's token reads them for this time, in a request of its
# own. Then the person's token is tried again.
DENIED_SECONDS = 3600
# Read in the first round trip. A deal with more orders is rare and needs a second one.
READ_AT_ONCE = 5


class ItemOrders:
    """The orders of one item: run `batch`, then call `of`."""

    def __init__(
        self, portal: Portal, owner: Owner, *, user_batch: Batch, portal_batch: Batch | None
    ) -> None:
        """`portal_batch` is a batch of the portal's token that is sent anyway, or None."""
        self._portal, self._owner = portal, owner
        self._user_client = user_batch.client
        self.batch = portal_batch or user_batch
        if portal_batch is None and cache.get(_denied_key(portal)):
            self.batch = _portal_batch(portal) or user_batch
        self._asked = _Asked(self.batch, owner)

    def of(self, payments: Sequence[Payment]) -> dict[int, Order]:
        """Returns the order of each payment by the payment's id, if it could be read. Waits for the
        portal if the person may not read orders, or if there are many."""
        try:
            return self._asked.matched(payments)
        except AccessDenied:
            if self.batch.client is not self._user_client:
                return {}
        except B24Error as error:
            logger.warning("orders of %s could not be read: %s", self._owner.key, error)
            return {}
        cache.set(_denied_key(self._portal), True, DENIED_SECONDS)
        batch = _portal_batch(self._portal)
        if batch is None:
            return {}
        asked = _Asked(batch, self._owner)
        batch.run()
        try:
            return asked.matched(payments)
        except B24Error as error:
            logger.warning("orders of %s could not be read: %s", self._owner.key, error)
            return {}


class _Asked:
    """The queries of one batch. A portal fills in a wrong value where a reference leads nowhere, so
    an order counts only if the list of the item's orders names it."""

    def __init__(self, batch: Batch, owner: Owner) -> None:
        self._client: Client = batch.client
        bindings = gateway.order_links_of(owner)
        self._bindings: Pending[OrderLinksPage] = batch.add(bindings)
        self._first: list[Pending[OrderWithPayments]] = [
            batch.add(gateway.linked_order(bindings, place)) for place in range(READ_AT_ONCE)
        ]

    def matched(self, payments: Sequence[Payment]) -> dict[int, Order]:
        """Returns the order of each payment. Raises the B24Error of the list of orders."""
        bound = {link.order_id for link in self._bindings.get().links}
        by_payment: dict[int, Order] = {}
        by_number: dict[str, Order] = {}
        for pending in self._first[: len(bound)]:
            try:
                found = pending.get()
            except B24Error as error:
                logger.warning("an order could not be read: %s", error)
                continue
            if found.order.id in bound:
                bound.discard(found.order.id)
                by_payment.update(dict.fromkeys(found.payment_ids, found.order))
        for order in self._others(sorted(bound)):
            by_number[order.account_number] = order
        for payment in payments:
            number = payment.account_number.rpartition(gateway.NUMBER_SEPARATOR)[0]
            if payment.id not in by_payment and number in by_number:
                by_payment[payment.id] = by_number[number]
        return by_payment

    def _others(self, order_ids: Sequence[int]) -> Sequence[Order]:
        """Reads the orders that the first round trip did not read."""
        if not order_ids:
            return ()
        try:
            return self._client.read(gateway.orders(order_ids[: gateway.PAGE]))
        except B24Error as error:
            logger.warning("orders could not be read: %s", error)
            return ()


def _portal_batch(portal: Portal) -> Batch | None:
    try:
        return portal_client(portal).batch()
    except ChainBroken:
        return None


def _denied_key(portal: Portal) -> str:
    return f"payments.orders_denied.{portal.pk}"
