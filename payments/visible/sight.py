"""Of some payments, those that one person may see, each under the object it is seen through."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TypeVar

from b24app.client import Batch, Client, Pending, run_together
from b24app.errors import B24Error
from b24app.models import Portal
from payments import gateway, rights
from payments.gateway import PAGE, Owner, Payment
from payments.visible.belongings import Belongings
from payments.visible.rows import Seen

T = TypeVar("T")

logger = logging.getLogger(__name__)


def seen_of(
    payments: Sequence[Payment],
    *,
    portal: Portal,
    source: Client,
    person_client: Client,
    is_admin: bool,
) -> list[Seen]:
    """In the same order; waits for the portal: once where it is known what the orders belong to,
    else twice.

    `source` reads orders, `person_client` says what the person may read. Raises the B24Error of
    what could not be read and would have to be.
    """
    order_ids = sorted({payment.order_id for payment in payments if payment.order_id is not None})
    belongings = Belongings(portal, order_ids)
    source_batch, person_batch = source.batch(), person_client.batch()
    orders = [source_batch.add(gateway.orders(chunk)) for chunk in _chunks(order_ids)]
    readable: list[Pending[tuple[Owner, ...]]] = []
    if belongings.is_known:
        readable = ask_readable(person_batch, belongings.all())
    belongings.ask(source_batch)
    run_together(source_batch, person_batch)
    if not belongings.is_known:
        belongings.collect(source)
        readable = ask_readable(person_batch, belongings.all())
        person_batch.run()
    by_id = {order.id: order for order in _what_was_read(orders)}
    # A portal admin sees payments without these answers, which only bring the titles.
    owners = _what_was_read(readable) if is_admin else _all_of(readable)
    seen = []
    for payment in payments:
        may_see, owner = rights.seen_under(
            belongings.of(payment.order_id), readable=owners, is_admin=is_admin
        )
        if may_see:
            order = None if payment.order_id is None else by_id.get(payment.order_id)
            seen.append(Seen(payment, owner, order))
    return seen


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
    """What is good to have and can be done without."""
    found: list[T] = []
    for answer in answers:
        try:
            found.extend(answer.get())
        except B24Error as error:
            logger.warning("%s could not be read: %s", answer.query.method, error)
    return found
