"""Reads the search form of the history and turns it into conditions for the database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from b24app.errors import BadInput
from b24app.identity.forms import positive_id
from b24app.localization.times import beginning_of
from payments.models import OPEN_STATES, State
from payments.number_search import ANY_NUMBER, NumberSearch, read_number_search

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# No portal is older than the first; after the last there are still dates to compute with.
_FIRST_YEAR, _LAST_YEAR = 2000, 2100

# An outcome beside the states: the app has not learned for long what happened; a person decides.
WAITING = "waiting"
OUTCOMES: tuple[tuple[str, StrOrPromise], ...] = (
    (State.PAID.value, State.PAID.label),
    (State.REFUSED.value, State.REFUSED.label),
    (State.PAYING.value, State.PAYING.label),
    (State.UNKNOWN.value, State.UNKNOWN.label),
    (WAITING, _("Waits for a decision")),
    (State.UNDONE.value, State.UNDONE.label),
    (State.CLOSED.value, State.CLOSED.label),
)
IS_WAITING = Q(handed_over_at__isnull=False, state__in=OPEN_STATES)


class BadDay(BadInput):
    """Not a day, or outside the years that can be searched."""

    sentence_by_default = _(
        "A day is written as year-month-day, like 2026-11-24, and lies between 2000 and 2100. "
        "Nothing was searched for."
    )


class DaysTurnedRound(BadInput):
    """The first day is after the last."""

    sentence_by_default = _(
        "The first day is later than the last one, so no day lies between them. "
        "Nothing was searched for."
    )


class BadChoice(BadInput):
    """A person, a payment system or an outcome that the form does not offer."""

    sentence_by_default = _(
        "This person, payment system or outcome is not one that the history can be searched by. "
        "Nothing was searched for. Choose from the lists."
    )


@dataclass(frozen=True)
class Filter:
    """What to search for. None and the empty string match everything."""

    # Whole days in the portal's time zone, both included.
    first: date | None = None
    last: date | None = None
    user_id: int | None = None
    pay_system_id: int | None = None
    outcome: str = ""  # A key of OUTCOMES.
    number: NumberSearch = ANY_NUMBER

    @property
    def is_empty(self) -> bool:
        return self == Filter()

    def fields(self) -> list[tuple[str, str]]:
        """Returns the form's fields, as `read_filter` takes them, without the empty ones."""
        found = [
            ("from", self.first.isoformat() if self.first else ""),
            ("to", self.last.isoformat() if self.last else ""),
            ("person", str(self.user_id or "")),
            ("system", str(self.pay_system_id or "")),
            ("outcome", self.outcome),
            ("q", self.number.text),
        ]
        return [(name, value) for name, value in found if value]

    def conditions(self) -> Q:
        found = Q()
        if self.first is not None:
            found &= Q(created_at__gte=beginning_of(self.first))
        if self.last is not None:
            found &= Q(created_at__lt=beginning_of(self.last + timedelta(days=1)))
        if self.user_id is not None:
            found &= Q(user_id=self.user_id)
        if self.pay_system_id is not None:
            found &= Q(pay_system_id=self.pay_system_id)
        if self.outcome == WAITING:
            found &= IS_WAITING
        elif self.outcome:
            found &= Q(state=self.outcome)
        if self.number:
            found &= self.number.conditions()
        return found


def read_filter(fields: Mapping[str, str]) -> Filter:
    """Reads the search form. Raises BadDay, DaysTurnedRound, BadChoice or BadOrderNumber.

    The filter only narrows the attempts that a person may see; `visible_to` decides which they are.
    """
    first, last = _day(fields.get("from", "")), _day(fields.get("to", ""))
    if first is not None and last is not None and first > last:
        raise DaysTurnedRound("from is after to")
    outcome = fields.get("outcome", "")
    if outcome and outcome not in dict(OUTCOMES):
        raise BadChoice("no such outcome")
    return Filter(
        first=first,
        last=last,
        user_id=_chosen(fields.get("person", "")),
        pay_system_id=_chosen(fields.get("system", "")),
        outcome=outcome,
        number=read_number_search(fields.get("q", "")),
    )


def _chosen(text: str) -> int | None:
    if not text:
        return None
    try:
        return positive_id(text)
    except BadInput as error:
        raise BadChoice(str(error)) from error


def _day(text: str) -> date | None:
    if not text:
        return None
    if not _DAY.fullmatch(text):
        raise BadDay("not a day")
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadDay("no such day") from error
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise BadDay("a day out of reach")
    return day
