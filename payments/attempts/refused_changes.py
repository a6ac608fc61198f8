"""Remembers, for a short time, that Bitrix24 did not let a person change an order.

Nothing asks beforehand whether a person may update one order without updating it. So the first
refusal is told when it comes, and until this is forgotten the row says so instead of offering it
again. It is a hint for the screen only: what is pressed is always asked of Bitrix24.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.core.cache import cache

from b24app.identity.session import Caller

# A person who has just been given the right does not wait longer than this for the buttons.
REMEMBERED_SECONDS = 300


def remember(person: Caller, payment_id: int) -> None:
    cache.set(_key(person, payment_id), True, REMEMBERED_SECONDS)


def remembered(person: Caller, payment_ids: Iterable[int]) -> frozenset[int]:
    """Of these payments, those whose order this person was not allowed to change lately."""
    keys = {_key(person, payment_id): payment_id for payment_id in payment_ids}
    return frozenset(keys[key] for key in cache.get_many(keys))


def _key(person: Caller, payment_id: int) -> str:
    return f"payments.refused_change.{person.portal.pk}.{person.user_id}.{payment_id}"
