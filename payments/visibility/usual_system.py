"""What a person paid by last: it sorts their choice, and fills it where nothing is set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from b24app.identity.session import Caller
from payments.gateway import PaySystem
from payments.models import Attempt
from payments.visibility.choices import Choice

# Of a person's last payments, so many pay systems are remembered to be offered first: who has not
# paid by it for so long has no habit worth a guess.
LAST_CHOICES = 5


class Habit:
    """What one person paid by last; one statement, once something is to be chosen."""

    def __init__(self, person: Caller) -> None:
        self._person = person

    @cached_property
    def _last(self) -> list[int]:
        person = self._person
        paid = Attempt.objects.paid_by_person(person.user_id, portal_id=person.portal.pk)
        return list(paid.values_list("pay_system_id", flat=True)[:LAST_CHOICES])

    def applied_to(self, choice: Choice) -> Choice:
        """The pay system of a payment is never replaced unasked: where it cannot be paid through,
        the others are only sorted, the last used first. Where the payment has none of its own, the
        last used one is chosen already; 0 where it cannot be chosen here."""
        if choice.bound_fits or (choice.why_not and not choice.can_ask):
            return choice
        own, *others = choice.systems
        others = self._sorted(others)
        if choice.offer.pay_system_id:
            return replace(choice, systems=[own, *others])
        usual = others[0].id if others and others[0].id in self._last else 0
        return replace(choice, systems=[own, *others], usual_id=usual)

    def _sorted(self, systems: Sequence[PaySystem]) -> list[PaySystem]:
        places = {system_id: place for place, system_id in reversed(list(enumerate(self._last)))}
        return sorted(systems, key=lambda system: places.get(system.id, LAST_CHOICES))
