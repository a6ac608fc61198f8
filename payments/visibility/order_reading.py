"""Reads the payments of one order, as far as the person who looks may see them."""

from __future__ import annotations

from b24app.models import Portal
from b24app.rest.client import Client
from payments import gateway
from payments.gateway import Payment, Rows
from payments.visibility.permitted import PermittedPayments
from payments.visibility.reading import PortalReading


class OrderReading(PortalReading):
    """Three requests deep for a manager: payments, the order's deals, which of those this person
    may read.

    Bitrix24 has no question for the right to one order, so the rule is that of the main page: a
    person sees the payments who may read a deal or invoice of the order, or is portal admin. Of an
    order that this person may not see, and of one that does not exist, the list is empty alike.
    """

    def __init__(self, portal: Portal, client: Client, order_id: int) -> None:
        super().__init__(portal, client)
        self._order_id = order_id
        self._query = gateway.payments_of_order(order_id)
        self._payments = self._source.batch.add(self._query)

    def _permitted(self, *, is_admin: bool) -> PermittedPayments:
        return self._seen(self._of_order(), is_admin=is_admin)

    def _of_order(self) -> Rows[Payment]:
        """A portal that does not understand the filter returns the payments of all orders."""
        found = self._source.read(self._payments.get, again=lambda client: client.read(self._query))
        return Rows(
            tuple(payment for payment in found.read if payment.order_id == self._order_id),
            tuple(row for row in found.unreadable if row.order_id in (None, self._order_id)),
        )
