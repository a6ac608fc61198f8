"""Sorts the pay systems by which this person used last, and proposes the last one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from b24app.identity.session import Caller
from payments.gateway import PaySystem
from payments.models import Attempt
from payments.visibility.choices import Choice

# The number of a person's last payments that are looked at: an older choice is no help.
LAST_CHOICES = 5


class Habit:
    """The pay systems that one person used last; reads them in one statement when first needed."""

    def __init__(self, person: Caller) -> None:
        self._person = person

    @cached_property
    def _last(self) -> list[int]:
        person = self._person
        paid = Attempt.objects.paid_by_person(person.user_id, portal_id=person.portal.pk)
        return list(paid.values_list("pay_system_id", flat=True)[:LAST_CHOICES])

    def applied_to(self, choice: Choice) -> Choice:
        """Returns the choice with its other pay systems sorted, the last used first.

        If the payment has no pay system of its own, `usual_id` is the last used one that can be
        chosen here. A payment's own pay system is never replaced without being asked.
        """
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
