"""Attempts whose outcome is not known, and how they come to an end."""

from __future__ import annotations

from b24app.session import Person
from payments import claim
from payments.models import Attempt, State


def close_by_hand(attempt: Attempt, *, by: Person, note: str) -> Attempt:
    """Let the payment go without an answer, because a person looked at the facts and says so."""
    Attempt.objects.filter(pk=attempt.pk).update(note=note)
    return claim.close(attempt, State.CLOSED, evidence={"closed_by": by.user_id})
