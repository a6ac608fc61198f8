"""Erases what names a person of a portal, at the person's wish."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction

from b24app.models import Portal, RestCall, UserToken
from b24app.signals import person_forgotten


@transaction.atomic
def forget_person(portal: Portal, user_id: int) -> list[str]:
    """Deletes a person's tokens and logged calls, and texts by or about them: all, or nothing.

    Returns sentences for the operator. The person's id stays where money moved: without Bitrix24 it
    names no one. A person who opens the app again is stored again.
    """
    return list(_erase(portal, user_id))


def _erase(portal: Portal, user_id: int) -> Iterator[str]:
    pairs = UserToken.objects.filter(portal=portal, user_id=user_id)
    was_serving = pairs.filter(serves_portal=True).exists()
    count, _each = pairs.delete()
    yield f"Sign-in: {count} pairs of tokens deleted."
    if was_serving:
        yield (
            "This person's tokens served the portal. An administrator opens the app once to make "
            "it work again."
        )
    count, _each = RestCall.objects.filter(portal=portal, user_id=user_id).delete()
    yield f"REST log: {count} calls deleted."
    for _receiver, sentence in person_forgotten.send(sender=Portal, portal=portal, user_id=user_id):
        yield str(sentence)
