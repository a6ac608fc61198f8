"""The pay system that a person is likely to choose: the one they paid by last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from payments.gateway import PaySystem
from payments.models import LAST_CHOICES, Attempt
from payments.payer import Payer
from payments.visible.choices import Choice


def usual_of(recent: Sequence[int], systems: Sequence[PaySystem], *, bound_id: int) -> int:
    """Of what they paid by, the last first, the first that can be chosen here: 0 where all of it is
    another buyer's, switched off or not allowed. The bound one is never exchanged for it."""
    offered = {system.id for system in systems} - {bound_id}
    return next((system_id for system_id in recent if system_id in offered), 0)


def choice_with_usual(person: Payer, choice: Choice) -> Choice:
    """For a row that is shown anew. A statement where something is to be chosen."""
    if choice.bound_fits or (choice.why_not and not choice.can_ask):
        return choice
    recent = list(
        Attempt.objects.paid_by_person(person.user_id, portal_id=person.portal.pk).values_list(
            "pay_system_id", flat=True
        )[:LAST_CHOICES]
    )
    bound_id = choice.offer.pay_system_id
    return replace(choice, usual_id=usual_of(recent, choice.systems, bound_id=bound_id))
