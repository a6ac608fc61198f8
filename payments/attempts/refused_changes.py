"""Remembers for a short time that Bitrix24 refused to let a person change an order.

Bitrix24 has no method that only checks this right. So a person learns of the refusal when they try;
for some minutes after that, the row shows the reason instead of the button. This is only a hint for
the screen: Bitrix24 decides on each attempt.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.core.cache import cache

from b24app.identity.session import Caller

# After getting the right, a person waits at most so long for the buttons.
REMEMBERED_SECONDS = 300


def remember(person: Caller, payment_id: int) -> None:
    cache.set(_key(person, payment_id), True, REMEMBERED_SECONDS)


def remembered(person: Caller, payment_ids: Iterable[int]) -> frozenset[int]:
    """Returns those of these payments whose order the person was refused to change."""
    keys = {_key(person, payment_id): payment_id for payment_id in payment_ids}
    return frozenset(keys[key] for key in cache.get_many(keys))


def _key(person: Caller, payment_id: int) -> str:
    return f"payments.refused_change.{person.portal.pk}.{person.user_id}.{payment_id}"
