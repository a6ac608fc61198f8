"""Remembers for a short time that Bitrix24 refused to let a person read or change an order.

Bitrix24 has no method that only checks the right to change, and to check each row's right to read
would take too many calls. So a person learns of the refusal when they try; for some minutes after
that, the row shows the reason instead of the button. This is only a hint for the screen: Bitrix24
decides on each attempt.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.core.cache import cache

from b24app.identity.session import Caller
from payments import reasons

# After getting the right, a person waits at most so long for the buttons.
REMEMBERED_SECONDS = 300
REFUSALS = (reasons.NO_ORDER_UPDATE, reasons.ORDER_NOT_READABLE)


def remember(person: Caller, payment_id: int, reason: str) -> None:
    """`reason` is one of REFUSALS."""
    cache.set(_key(person, payment_id), reason, REMEMBERED_SECONDS)


def remembered(person: Caller, payment_ids: Iterable[int]) -> dict[int, str]:
    """Returns, by payment, the reason of the last refusal; leaves out payments without one."""
    keys = {_key(person, payment_id): payment_id for payment_id in payment_ids}
    return {keys[key]: reason for key, reason in cache.get_many(keys).items()}


def _key(person: Caller, payment_id: int) -> str:
    return f"payments.refused_order.{person.portal.pk}.{person.user_id}.{payment_id}"
