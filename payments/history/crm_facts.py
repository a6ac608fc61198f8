"""Reads titles, customers and orders of listed attempts, as one person may see them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import TypeVar

from b24app.errors import B24Error
from b24app.identity.session import Person
from b24app.rest.client import Batch, Pending
from payments import gateway
from payments.gateway import PAGE, CrmCard, Owner
from payments.models import Attempt

T = TypeVar("T")

# A portal takes two requests a second from all users of the app together. After the first few
# requests, an export sends one a second, so that people can still pay meanwhile.
_UNPACED = 6
_PACE = 1.0

logger = logging.getLogger(__name__)


class CrmFacts:
    """Reads about one chunk of attempts after another, with the person's own token.

    Raises nothing: what the portal does not show this person stays empty.
    """

    def __init__(self, person: Person) -> None:
        self._person = person
        self._cards: dict[tuple[int, int], CrmCard] = {}
        self._customers: dict[tuple[int, int], str] = {}
        self._orders: dict[int, int] = {}
        self._requests = 0
        self._last_request_at = 0.0

    def title(self, owner: Owner | None) -> str | None:
        """Returns the title of the deal, invoice or other item, None if it is not known."""
        card = self._cards.get(owner.key) if owner else None
        return card.owner.title if card else None

    def customer(self, owner: Owner | None) -> str | None:
        """Returns the name of the item's company, else of its contact."""
        card = self._cards.get(owner.key) if owner else None
        return self._customers.get(card.customer.key) if card and card.customer else None

    def order_id(self, attempt: Attempt) -> int | None:
        return attempt.order_id or self._orders.get(attempt.payment_id)

    def learn(self, attempts: Iterable[Attempt]) -> None:
        """Reads in two requests at most: deals and invoices beside payments, then customers."""
        attempts = list(attempts)
        owners = {
            (one.owner_type, one.owner_id)
            for one in attempts
            if one.owner_type is not None and one.owner_id is not None
        }
        payments = {one.payment_id for one in attempts if one.order_id is None}
        # Only this chunk's facts stay in memory, however long the export.
        self._cards = {key: card for key, card in self._cards.items() if key in owners}
        self._orders = {key: order for key, order in self._orders.items() if key in payments}
        self._read_cards(owners - self._cards.keys(), payments - self._orders.keys())
        customers = {card.customer.key for card in self._cards.values() if card.customer}
        self._customers = {key: name for key, name in self._customers.items() if key in customers}
        self._read_customers(customers - self._customers.keys())

    def _read_cards(self, owners: Iterable[tuple[int, int]], payment_ids: Iterable[int]) -> None:
        batch = self._person.client.batch()
        cards = [batch.add(gateway.cards(type_id, ids)) for type_id, ids in _by_type(owners)]
        payments = [
            batch.add(gateway.payments_with_ids(ids)) for ids in _pages(sorted(payment_ids))
        ]
        self._run(batch, [*cards, *payments])
        self._cards.update({card.owner.key: card for card in _flat(cards)})
        self._orders.update(
            {
                one.id: one.order_id
                for rows in _without_failures(payments)
                for one in rows.read
                if one.order_id is not None
            }
        )

    def _read_customers(self, customers: Iterable[tuple[int, int]]) -> None:
        batch = self._person.client.batch()
        asked = [batch.add(gateway.customers(type_id, ids)) for type_id, ids in _by_type(customers)]
        self._run(batch, asked)
        self._customers.update({customer.key: customer.title for customer in _flat(asked)})

    def _run(self, batch: Batch, asked: Sequence[object]) -> None:
        if not asked:
            return
        self._requests += 1
        if self._requests > _UNPACED:
            pause(max(0.0, self._last_request_at + _PACE - time.monotonic()))
        self._last_request_at = time.monotonic()
        batch.run()


def pause(seconds: float) -> None:
    time.sleep(seconds)


def _by_type(keys: Iterable[tuple[int, int]]) -> list[tuple[int, Sequence[int]]]:
    ids: dict[int, list[int]] = {}
    for type_id, id_ in sorted(keys):
        ids.setdefault(type_id, []).append(id_)
    return [(type_id, page) for type_id, found in ids.items() for page in _pages(found)]


def _pages(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[first : first + PAGE] for first in range(0, len(ids), PAGE)]


def _flat(pending: Iterable[Pending[tuple[T, ...]]]) -> list[T]:
    return [one for results in _without_failures(pending) for one in results]


def _without_failures(pending: Iterable[Pending[T]]) -> list[T]:
    results: list[T] = []
    for one in pending:
        try:
            results.append(one.get())
        except B24Error as error:
            logger.warning("%s could not be read for an export: %s", one.query.method, error)
    return results
