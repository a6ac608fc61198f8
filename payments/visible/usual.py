"""The pay system that a person is likely to choose: the one they paid by last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from payments.gateway import PaySystem
from payments.models import Attempt
from payments.payer import Payer
from payments.visible.choices import Choice

# Of a person's last payments, so many pay systems are remembered to be offered first: who has not
# paid by it for so long has no habit worth a guess.
LAST_CHOICES = 5


class Habit:
    """What one person paid by last; one statement, once something is to be chosen."""

    def __init__(self, person: Payer) -> None:
        self._person = person

    @cached_property
    def _last(self) -> list[int]:
        person = self._person
        paid = Attempt.objects.paid_by_person(person.user_id, portal_id=person.portal.pk)
        return list(paid.values_list("pay_system_id", flat=True)[:LAST_CHOICES])

    def usual_of(self, systems: Sequence[PaySystem], *, bound_id: int) -> int:
        """Of what they paid by, the last first, the first that can be chosen here: 0 where all of
        it is another buyer's, switched off or not allowed. The bound one is never exchanged for it.
        """
        offered = {system.id for system in systems} - {bound_id}
        return next((system_id for system_id in self._last if system_id in offered), 0)


def choice_with_usual(person: Payer, choice: Choice) -> Choice:
    """For a row that is shown anew."""
    if choice.bound_fits or (choice.why_not and not choice.can_ask):
        return choice
    bound_id = choice.offer.pay_system_id
    return replace(choice, usual_id=Habit(person).usual_of(choice.systems, bound_id=bound_id))
