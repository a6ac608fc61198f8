"""Runs of several payments: made, and taken step by step without waiting for the clock."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from b24app.session import Person
from payments.bulk import running
from payments.bulk.drafting import draft_ticked
from payments.bulk.stepping import step
from payments.models import Run, RunRow, RunState


def started(person: Person, *payment_ids: int) -> Run:
    run = draft_ticked(person, list(payment_ids))
    running.start(run)
    return run


def due(run: Run) -> None:
    """The pause that the pace demands is over."""
    Run.objects.filter(pk=run.pk).update(next_step_at=timezone.now() - timedelta(seconds=1))


def died(run: Run) -> None:
    """The lease of a process that died is over as well."""
    Run.objects.filter(pk=run.pk).update(stepping_until=timezone.now() - timedelta(seconds=1))
    due(run)


def next_step(person: Person, run: Run) -> RunRow | None:
    due(run)
    return step(person, run)


def worked(person: Person, run: Run, *, at_most: int = 100) -> Run:
    """Stepped until it does not run any more."""
    for _ in range(at_most):
        if run.state != RunState.RUNNING:
            return run
        next_step(person, run)
    raise AssertionError("the run goes on for ever")


def rows(run: Run) -> dict[int, RunRow]:
    return {row.payment_id: row for row in run.rows.select_related("attempt")}
