"""The payments of one deal or invoice, read with the token of the person who looks at it."""

from __future__ import annotations

from django.utils import timezone

from b24app.identity.session import Person
from b24app.models import Portal
from b24app.rest.client import Client
from payments import gateway
from payments.gateway import Owner
from payments.lookups.pay_systems import SystemsReading
from payments.visibility.item_orders import ItemOrders
from payments.visibility.rows import Listing, Seen, SeenUnreadable, listing


class TabReading:
    """At most two requests to the portal, at the same time; one where its pay systems are cached
    and the person may read orders, as most may.

    Being allowed to read the object is enough to see its payments, so nobody has to be asked
    whether the person is an administrator.
    """

    def __init__(self, portal: Portal, client: Client, owner_type: int, owner_id: int) -> None:
        """`client` speaks for the person who looks."""
        self._owner = Owner(owner_type, owner_id)
        self._made_at = timezone.now()
        self._client = client
        self.user_batch = client.batch()
        self._right = self.user_batch.add(gateway.order_right())
        self._payments = self.user_batch.add(gateway.payments_of_item(self._owner))
        self._systems = SystemsReading(portal)
        portal_batches = self._systems.own_batches()
        self._orders = ItemOrders(
            portal,
            self._owner,
            user_batch=self.user_batch,
            portal_batch=next(iter(portal_batches), None),
        )
        self.batches = [self.user_batch, *portal_batches]
        if self._orders.batch not in self.batches:
            self.batches.append(self._orders.batch)

    def listing(self, person: Person, *, is_admin: bool | None = None) -> Listing:
        """Once `run_batches(*reading.batches)` has run. `is_admin` is what an opening found out;
        a true one can read pay systems where the portal's token cannot.

        Raises AccessDenied where this person may not read the object, another B24Error where it
        could not be read.
        """
        payments = self._payments.get()
        by_id = {payment.id: payment for payment in reversed(payments.read)}
        orders = self._orders.of(list(by_id.values())) if by_id else {}
        seen = [
            Seen(by_id[number], self._owner, orders.get(number))
            for number in sorted(by_id, reverse=True)
        ]
        may_pay, systems = self._right.get(), self._systems
        known = systems.result_for_admin(self._client) if is_admin else systems.result()
        return listing(
            person,
            seen,
            may_pay=may_pay,
            systems=known,
            made_at=self._made_at,
            is_admin=bool(is_admin),
            unreadable=[SeenUnreadable(row, self._owner) for row in payments.unreadable],
        )
