"""Reads the payments of a run: those that were ticked, or all that a search finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from b24app.identity.opening import PROFILE
from b24app.identity.session import Person
from b24app.rest.client import Batch, Client, run_batches
from payments import gateway
from payments.gateway import PAGE, Payment, Rows, UnreadableRow
from payments.lookups.pay_systems import Systems, SystemsReading
from payments.lookups.reader import Reader
from payments.models import MOST_PAYMENTS
from payments.number_search import NumberSearch
from payments.visibility.pages import PAGES_AHEAD, AskedPages, Page
from payments.visibility.permitted import PermittedPayments, seen_of
from payments.visibility.rows import Seen, SeenUnreadable

T = TypeVar("T")

# A round reads four pages in three requests, so five rounds make fifteen requests, of the fifty
# that the portal's bucket holds.
_ROUNDS = 5
MOST_LOOKED_THROUGH = _ROUNDS * PAGES_AHEAD * PAGE


@dataclass(frozen=True)
class PersonRights:
    may_pay: bool
    is_admin: bool
    systems: Systems | None  # The portal's pay systems, None if they are not known.


def rights_of(person: Person) -> PersonRights:
    """Reads the person's rights with their own token, and the portal's pay systems."""
    batch = person.client.batch()
    right, profile = batch.add(gateway.order_right()), batch.add(PROFILE)
    reading = SystemsReading(person.portal)
    run_batches(batch, *reading.own_batches())
    is_admin = profile.get().is_admin
    systems = reading.result_for_admin(person.client) if is_admin else reading.result()
    return PersonRights(right.get(), is_admin, systems)


@dataclass(frozen=True)
class Found:
    seen: list[Seen]
    unreadable: list[SeenUnreadable]  # Bitrix24 sent these in a form that cannot be read.
    missing: int = 0  # Ticked payments that are gone, or that this person may not see.
    is_cut: bool = False  # There may be more payments than `seen`.


class PaymentFinder:
    """Reads payments with the portal's token, or with the person's if the portal's does not work.

    The person's own token always decides which payments they may see.
    """

    def __init__(self, person: Person, *, is_admin: bool) -> None:
        self._person, self._is_admin = person, is_admin
        self._source = Reader(person.portal, person.client, person.client.batch())

    def ticked(self, payment_ids: Sequence[int]) -> Found:
        """Returns these payments, newest first. All ids are sent in one request."""
        pages = self._read(partial(_read_by_id, payment_ids=payment_ids))
        wanted = set(payment_ids)
        found: dict[int, Payment] = {}
        unreadable: list[UnreadableRow] = []
        for rows in pages:
            for payment in rows.read:
                if payment.id in wanted:
                    found.setdefault(payment.id, payment)
            unreadable += [row for row in rows.unreadable if row.id is None or row.id in wanted]
        newest_first = tuple(found[number] for number in sorted(found, reverse=True))
        permitted = self._seen(Rows(newest_first, tuple(unreadable)))
        missing = len(wanted) - len(permitted.seen) - len(permitted.unreadable)
        return Found(permitted.seen, permitted.unreadable, missing=max(0, missing))

    def all(self, number: NumberSearch) -> Found:
        """Returns the payments that the list shows for this search, also for an empty one."""
        seen: list[Seen] = []
        unreadable: list[SeenUnreadable] = []
        before: int | None = None
        for _ in range(_ROUNDS):
            page = self._read(partial(_read_pages, before=before, number=number))
            permitted = self._seen(page.rows)
            seen += permitted.seen
            unreadable += permitted.unreadable
            before = page.next_before
            if before is None or len(seen) > MOST_PAYMENTS:
                break
        return Found(
            seen[:MOST_PAYMENTS],
            unreadable[:MOST_PAYMENTS],
            is_cut=before is not None or len(seen) > MOST_PAYMENTS,
        )

    def _seen(self, payments: Rows[Payment]) -> PermittedPayments:
        return seen_of(
            payments,
            portal=self._person.portal,
            source=self._source.client,
            person_client=self._person.client,
            is_admin=self._is_admin,
        )

    def _read(self, read: Callable[[Client], T]) -> T:
        return self._source.read(lambda: read(self._source.client), again=read)


def _read_by_id(client: Client, *, payment_ids: Sequence[int]) -> list[Rows[Payment]]:
    batch = client.batch()
    asked = [
        batch.add(gateway.payments_with_ids(payment_ids[first : first + PAGE]))
        for first in range(0, len(payment_ids), PAGE)
    ]
    batch.run()
    return [pending.get() for pending in asked]


def _read_pages(client: Client, *, before: int | None, number: NumberSearch) -> Page:
    batch: Batch = client.batch()
    asked = AskedPages(batch, before=before, number=number, ahead=True)
    batch.run()
    return asked.get()
