"""Pages of the portal's unpaid payments, newest first, with each row compared to what was asked.

The sale.* methods drop a filter they do not know and answer with everybody's payments, so nothing
is believed of a row that the row itself does not say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from b24app.client import Batch, Pending
from payments import gateway
from payments.gateway import PAGE, Payment
from payments.number_search import ANY_NUMBER, NumberSearch

# Where nothing on a page may be seen, this many more are read at once. Five pages are 250 payments
# in two steps; a person who sees none of those can go on with Show more.
PAGES_AHEAD = 4


@dataclass(frozen=True)
class Page:
    """`next_before` is where the next page begins, None after the last."""

    payments: list[Payment]
    next_before: int | None


class AskedPages:
    """Pages that follow each other, or the answers to a search, put into a batch."""

    def __init__(
        self,
        batch: Batch,
        *,
        before: int | None,
        number: NumberSearch = ANY_NUMBER,
        ahead: bool = False,
    ) -> None:
        self._before, self._number = before, number
        if number:
            queries = gateway.unpaid_payments_numbered(number.spellings, before=before)
        elif ahead:
            queries = tuple(
                gateway.unpaid_payments(before=before, start=place * PAGE)
                for place in range(PAGES_AHEAD)
            )
        else:
            queries = (gateway.unpaid_payments(before=before),)
        self._answers: list[Pending[tuple[Payment, ...]]] = [batch.add(query) for query in queries]

    def get(self) -> Page:
        answers = [answer.get() for answer in self._answers]
        payments = self._asked_for(payment for answer in answers for payment in answer)
        if not self._number:
            goes_on = len(answers[-1]) >= PAGE
            return Page(payments, payments[-1].id if payments and goes_on else None)
        # A full answer goes on below its last row. The other answers' rows below that one are left
        # to the next page, so that the order holds and none is passed over.
        ends = [answer[-1].id for answer in answers if len(answer) >= PAGE]
        end = max(ends, default=None)
        return Page([one for one in payments if end is None or one.id >= end], end)

    def _asked_for(self, payments: Iterable[Payment]) -> list[Payment]:
        found = {payment.id: payment for payment in payments if self._is_asked_for(payment)}
        return [found[number] for number in sorted(found, reverse=True)]

    def _is_asked_for(self, payment: Payment) -> bool:
        if payment.paid or (self._before is not None and payment.id >= self._before):
            return False
        return not self._number or self._number.matches(payment.account_number)
