"""Finds a person's unfinished run, which the other screens link to."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from b24app.identity.session import Person
from payments.models import ACTIVE_STATES, RowState, Run, RunState


@dataclass(frozen=True)
class Unfinished:
    run_id: int
    is_paused: bool
    done: int  # Rows that no longer wait.
    total: int  # Without the rows that are left out.


def unfinished_run(person: Person) -> Unfinished | None:
    """Returns the person's active run, None if they have no such run. Runs one statement."""
    found = (
        Run.objects.filter(
            portal=person.portal, user_id=person.user_id, state__in=list(ACTIVE_STATES)
        )
        .annotate(
            total=Count("rows", filter=~Q(rows__state=RowState.SKIPPED)),
            waiting=Count("rows", filter=Q(rows__state=RowState.WAITING)),
        )
        .values_list("pk", "state", "total", "waiting")
        .first()
    )
    if found is None:
        return None
    run_id, state, total, waiting = found
    return Unfinished(run_id, state == RunState.PAUSED, total - waiting, total)
