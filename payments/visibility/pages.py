"""Reads pages of the portal's unpaid payments, newest first.

The sale.* methods ignore a filter that they do not know and return all payments, so each row is
checked against the filter again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from b24app.errors import OutcomeUnknown
from b24app.rest.client import Batch, Pending
from payments import gateway
from payments.gateway import PAGE, Payment, Rows, UnreadableRow
from payments.number_search import ANY_NUMBER, NumberSearch

# Read at once if the person may see no row of the first page. Five pages are 250 payments in two
# steps; then the person can go on with Show more.
PAGES_AHEAD = 4


@dataclass(frozen=True)
class Page:
    """One page of payments."""

    rows: Rows[Payment]  # newest first
    next_before: int | None  # where the next page begins; None after the last page


class AskedPages:
    """The queries of consecutive pages, or of a search, added to a batch."""

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
        self._answers: list[Pending[Rows[Payment]]] = [batch.add(query) for query in queries]

    def get(self) -> Page:
        """Returns the page, once the batch has run.

        Raises the B24Error of a query, and OutcomeUnknown if no id of a whole page can be read: the
        next page could not be asked for.
        """
        answers = [answer.get() for answer in self._answers]
        rows = self._asked_for(answers)
        if not self._number:
            return Page(rows, _last_id(rows) if len(answers[-1]) >= PAGE else None)
        # A full answer continues below its last row. The rows of other answers below that one are
        # left to the next page, so that the order is right and no row is skipped.
        ends = [_last_id(answer) for answer in answers if len(answer) >= PAGE]
        end = max((one for one in ends if one is not None), default=None)
        return Page(rows if end is None else _down_to(end, rows), end)

    def _asked_for(self, answers: Iterable[Rows[Payment]]) -> Rows[Payment]:
        """Returns each payment once: two answers to a search may have the same one."""
        found: dict[int, Payment] = {}
        unreadable: dict[UnreadableRow, None] = {}
        for answer in answers:
            for payment in filter(self._is_asked_for, answer.read):
                found.setdefault(payment.id, payment)
            unreadable.update(dict.fromkeys(filter(self._may_be_asked_for, answer.unreadable)))
        read = tuple(found[number] for number in sorted(found, reverse=True))
        return Rows(read, tuple(unreadable))

    def _is_asked_for(self, payment: Payment) -> bool:
        if payment.paid or not self._is_further_down(payment.id):
            return False
        return self._is_searched_for(payment.account_number)

    def _may_be_asked_for(self, row: UnreadableRow) -> bool:
        if row.is_paid or (row.id is not None and not self._is_further_down(row.id)):
            return False
        return not row.name or self._is_searched_for(row.name)

    def _is_further_down(self, payment_id: int) -> bool:
        return self._before is None or payment_id < self._before

    def _is_searched_for(self, number: str) -> bool:
        return not self._number or self._number.matches(number)


def _last_id(rows: Rows[Payment]) -> int | None:
    """Returns the lowest readable id. Raises OutcomeUnknown if there are rows without any."""
    ids = [payment.id for payment in rows.read]
    ids += [row.id for row in rows.unreadable if row.id is not None]
    if not ids and rows.unreadable:
        raise OutcomeUnknown("a page of payments of which none can be read")
    return min(ids, default=None)


def _down_to(end: int, rows: Rows[Payment]) -> Rows[Payment]:
    return Rows(
        tuple(payment for payment in rows.read if payment.id >= end),
        tuple(row for row in rows.unreadable if row.id is None or row.id >= end),
    )
