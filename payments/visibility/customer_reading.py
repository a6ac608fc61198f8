"""Reads the unpaid payments of the deals of one company or contact."""

from __future__ import annotations

from b24app.errors import AccessDenied, NotFound
from b24app.models import Portal
from b24app.rest.client import Client
from payments import gateway
from payments.gateway import Owner
from payments.visibility.permitted import PermittedPayments
from payments.visibility.reading import Reading
from payments.visibility.rows import Seen, SeenUnreadable


class CustomerReading(Reading):
    """Two requests deep, both with the token of the person who looks: the customer's newest deals
    that this person may read, then the payments of each in one batch."""

    def __init__(self, portal: Portal, client: Client, customer: Owner) -> None:
        super().__init__(portal, client)
        self._deals = self.user_batch.add(gateway.deals_of(customer))
        self.batches += self._systems.own_batches()

    def _permitted(self, *, is_admin: bool) -> PermittedPayments:
        batch = self._client.batch()
        asked = [(deal, batch.add(gateway.payments_of_item(deal))) for deal in self._deals.get()]
        batch.run()
        # An order of two deals is shown under the newer one.
        seen: dict[int, Seen] = {}
        unreadable: list[SeenUnreadable] = []
        for deal, payments in asked:
            try:
                found = payments.get()
            except (AccessDenied, NotFound):
                continue  # The right to this deal, or the deal, is gone since the first request.
            for payment in found.read:
                if not payment.paid:
                    seen.setdefault(payment.id, Seen(payment, deal))
            unreadable += [SeenUnreadable(row, deal) for row in found.unreadable]
        return PermittedPayments(
            [seen[number] for number in sorted(seen, reverse=True)], unreadable
        )
