"""The payments of one order, as far as the person who looks may see them."""

from __future__ import annotations

from django.utils import timezone

from b24app.identity.session import Person
from b24app.models import Portal
from b24app.rest.client import Client
from payments import gateway
from payments.gateway import Payment, Rows
from payments.lookups.pay_systems import SystemsReading
from payments.lookups.reader import Reader
from payments.visibility.permitted import seen_of
from payments.visibility.rows import Listing, listing


class OrderReading:
    """Three requests deep for a manager: payments, the order's deals, which of those this person
    may read.

    A right to one order cannot be asked for, so the rule is that of the main page: its payments are
    seen by whoever may read what it belongs to, and by a portal admin.
    """

    def __init__(self, portal: Portal, client: Client, order_id: int) -> None:
        """`client` speaks for the person who looks."""
        self._portal, self._client, self._order_id = portal, client, order_id
        self._made_at = timezone.now()
        self.user_batch = client.batch()
        self._right = self.user_batch.add(gateway.order_right())
        self._systems = SystemsReading(portal)
        self.batches = [self.user_batch]
        self._source = Reader(portal, client, self.user_batch)
        if self._source.is_portals:
            self.batches.append(self._source.batch)
            self._systems.ask(self._source.batch)
        self._query = gateway.payments_of_order(order_id)
        self._payments = self._source.batch.add(self._query)

    def listing(self, person: Person, *, is_admin: bool | None = None) -> Listing:
        """Once `run_batches(*reading.batches)` has run; waits for the portal again. `is_admin` is
        what an opening found out. Of an order that this person may not see, and of one that is not
        there, nothing is listed: nobody is told which.

        Raises the B24Error of what could not be read.
        """
        may_pay = self._right.get()
        permitted = seen_of(
            self._of_order(),
            portal=self._portal,
            source=self._source.client,
            person_client=self._client,
            is_admin=bool(is_admin),
        )
        systems = self._systems
        return listing(
            person,
            permitted.seen,
            may_pay=may_pay,
            systems=systems.result_for_admin(self._client) if is_admin else systems.result(),
            made_at=self._made_at,
            is_admin=bool(is_admin),
            unreadable=permitted.unreadable,
        )

    def _of_order(self) -> Rows[Payment]:
        """A filter that was not understood brings everybody's payments."""
        found = self._source.read(self._payments.get, again=lambda client: client.read(self._query))
        return Rows(
            tuple(payment for payment in found.read if payment.order_id == self._order_id),
            tuple(row for row in found.unreadable if row.order_id in (None, self._order_id)),
        )
