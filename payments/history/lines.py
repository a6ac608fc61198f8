"""Builds the lines of the history: values that a template prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from b24app.models import Portal
from payments.attempts.messages import messages_of
from payments.gateway import Owner
from payments.history.evidence import Fact, facts_of, paid_by
from payments.history.names import system_name
from payments.listing import status
from payments.listing.status import OwnerLink
from payments.lookups.users import unnamed
from payments.models import Attempt, Kind, State

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# Names what was tried, by the kind of attempt.
TRIED: dict[str, StrOrPromise] = {
    Kind.PAY.value: _("Pay"),
    Kind.MARK.value: _("Mark as paid, no money moved"),
    Kind.UNDO.value: _("Undo"),
}
UNDONE_LATER = _("It was undone later, by attempt %(id)s.")


@dataclass(frozen=True)
class Line:
    attempt: Attempt
    at: datetime
    who: str
    owner: OwnerLink | None
    tried: StrOrPromise
    system: str
    state: str  # A key of payments.listing.status.WORDS; a mark differs from a payment.
    words: StrOrPromise
    waits: bool  # A person has to decide: the app could not learn what happened.
    sentences: Sequence[StrOrPromise]
    facts: Sequence[Fact]


def people_in(attempts: Iterable[Attempt]) -> set[int]:
    """Returns the ids of the people whose names the lines show."""
    payers = (paid_by(attempt.evidence) for attempt in attempts)
    return {attempt.user_id for attempt in attempts} | {one for one in payers if one is not None}


def lines_of(
    attempts: Sequence[Attempt], portal: Portal, *, names: Mapping[int, str]
) -> list[Line]:
    """Returns a line for each attempt.

    `names` has the names of the people whom `people_in` returns; a missing name is shown as an id.
    """
    undone = undoings_of(attempts)
    return [_line(attempt, portal, names, undone.get(attempt.pk)) for attempt in attempts]


def undoings_of(attempts: Iterable[Attempt]) -> dict[int, int]:
    """Returns, for the attempts that were undone later, the id of the attempt that undid each.

    Runs one statement.
    """
    paid = [attempt.pk for attempt in attempts if attempt.state == State.PAID]
    if not paid:
        return {}
    found = Attempt.objects.filter(undoes__in=paid, state=State.UNDONE)
    return dict(found.values_list("undoes_id", "pk"))


def owner_of(attempt: Attempt) -> Owner | None:
    return Owner.of(attempt.owner_type, attempt.owner_id)


def _line(
    attempt: Attempt, portal: Portal, names: Mapping[int, str], undone_by: int | None
) -> Line:
    state = status.state_of(attempt)
    sentences = list(messages_of(attempt))
    if undone_by is not None:
        sentences.append(UNDONE_LATER % {"id": undone_by})
    return Line(
        attempt=attempt,
        at=attempt.created_at,
        who=names.get(attempt.user_id) or unnamed(attempt.user_id),
        owner=status.owner_link(owner_of(attempt), portal),
        tried=TRIED[attempt.kind],
        system=system_name(attempt.pay_system_id, attempt.pay_system_name),
        state=state,
        words=status.WORDS[state],
        waits=attempt.is_open and attempt.handed_over_at is not None,
        sentences=sentences,
        facts=facts_of(attempt, names=names),
    )
