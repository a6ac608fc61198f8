"""Filters payments to those this person may see, each with the deal or invoice that allows it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from b24app.errors import B24Error
from b24app.models import Portal
from b24app.rest.client import Batch, Client, Pending, run_batches
from payments import gateway
from payments.attempts import rights
from payments.gateway import PAGE, Owner, Payment, Rows, UnreadableRow
from payments.lookups.order_owners import OrderOwners
from payments.visibility.rows import Seen, SeenUnreadable

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PermittedPayments:
    """The payments that a person may see."""

    seen: list[Seen]
    unreadable: list[SeenUnreadable]
    next_before: int | None = None  # Goes into the next reading for Show more.

    @property
    def is_empty(self) -> bool:
        return not self.seen and not self.unreadable


def seen_of(
    payments: Rows[Payment],
    *,
    portal: Portal,
    source: Client,
    person_client: Client,
    is_admin: bool,
) -> PermittedPayments:
    """Returns the permitted payments in the same order. Waits for the portal once if the owners of
    the orders are cached, else twice.

    `source` reads orders; `person_client` reads the owners, so Bitrix24 returns only those that the
    person may read. Raises the B24Error of a read that decides what the person may see.
    """
    named = {payment.order_id for payment in payments.read}
    named |= {row.order_id for row in payments.unreadable}
    order_ids = sorted(order_id for order_id in named if order_id is not None)
    order_owners = OrderOwners(portal, order_ids)
    source_batch, person_batch = source.batch(), person_client.batch()
    orders = [source_batch.add(gateway.orders(chunk)) for chunk in _chunks(order_ids)]
    readable: list[Pending[tuple[Owner, ...]]] = []
    if order_owners.is_known:
        readable = ask_readable(person_batch, order_owners.all())
    order_owners.ask(source_batch)
    run_batches(source_batch, person_batch)
    if not order_owners.is_known:
        order_owners.collect(source)
        readable = ask_readable(person_batch, order_owners.all())
        person_batch.run()
    by_id = {order.id: order for order in _what_was_read(orders)}
    # A portal admin sees the payments anyway: for them these answers only have the titles.
    owners = _what_was_read(readable) if is_admin else _all_of(readable)

    def under(row: Payment | UnreadableRow) -> tuple[bool, Owner | None]:
        belongs_to = order_owners.of(row.order_id)
        return rights.seen_under(belongs_to, readable=owners, is_admin=is_admin)

    found = PermittedPayments([], [])
    for payment in payments.read:
        may_see, owner = under(payment)
        if may_see:
            order = None if payment.order_id is None else by_id.get(payment.order_id)
            found.seen.append(Seen(payment, owner, order))
    for row in payments.unreadable:
        may_see, owner = under(row)
        if may_see:
            found.unreadable.append(SeenUnreadable(row, owner))
    return found


def ask_readable(batch: Batch, owners: Iterable[Owner]) -> list[Pending[tuple[Owner, ...]]]:
    ids_by_type: dict[int, list[int]] = {}
    for type_id, item_id in sorted(owner.key for owner in owners):
        ids_by_type.setdefault(type_id, []).append(item_id)
    return [
        batch.add(gateway.readable_items(type_id, chunk))
        for type_id, ids in ids_by_type.items()
        for chunk in _chunks(ids)
    ]


def _chunks(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[first : first + PAGE] for first in range(0, len(ids), PAGE)]


def _all_of(answers: Iterable[Pending[tuple[T, ...]]]) -> list[T]:
    return [one for answer in answers for one in answer.get()]


def _what_was_read(answers: Iterable[Pending[tuple[T, ...]]]) -> list[T]:
    """Returns what could be read; logs the rest, which is not needed."""
    found: list[T] = []
    for answer in answers:
        try:
            found.extend(answer.get())
        except B24Error as error:
            logger.warning("%s could not be read: %s", answer.query.method, error)
    return found
