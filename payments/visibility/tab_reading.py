"""Reads the payments of one deal or invoice, with the token of the person who looks at it."""

from __future__ import annotations

from b24app.models import Portal
from b24app.rest.client import Client
from payments import gateway
from payments.gateway import Owner
from payments.visibility.item_orders import ItemOrders
from payments.visibility.permitted import PermittedPayments
from payments.visibility.reading import Reading
from payments.visibility.rows import Seen, SeenUnreadable


class TabReading(Reading):
    """At most two requests to the portal, at the same time; one where its pay systems are cached
    and the person may read orders, as most may.

    A person who may read the item sees its payments, administrator or not.
    """

    def __init__(self, portal: Portal, client: Client, owner: Owner) -> None:
        super().__init__(portal, client)
        self._owner = owner
        self._payments = self.user_batch.add(gateway.payments_of_item(owner))
        portal_batches = self._systems.own_batches()
        self._orders = ItemOrders(
            portal,
            owner,
            user_batch=self.user_batch,
            portal_batch=next(iter(portal_batches), None),
        )
        self.batches += portal_batches
        if self._orders.batch not in self.batches:
            self.batches.append(self._orders.batch)

    def _permitted(self, *, is_admin: bool) -> PermittedPayments:
        payments = self._payments.get()
        by_id = {payment.id: payment for payment in reversed(payments.read)}
        orders = self._orders.of(list(by_id.values())) if by_id else {}
        return PermittedPayments(
            [
                Seen(by_id[number], self._owner, orders.get(number))
                for number in sorted(by_id, reverse=True)
            ],
            [SeenUnreadable(row, self._owner) for row in payments.unreadable],
        )
