"""Starts runs of several payments and takes their steps without waiting for the clock."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from django.utils import timezone

from b24app.identity.session import Person
from payments.bulk import runs
from payments.bulk.dry_run import draft_ticked
from payments.bulk.forms import KINDS_OF_A_RUN
from payments.bulk.step import step
from payments.models import Kind, Run, RunRow, RunState
from sandbox.world import seed

THREE = seed.PLAIN_PAYMENTS[:3]
MARKS = (seed.CASH_PAYMENT, seed.BILL_PAYMENT, seed.ACQUIRER_PAYMENT)


def started(person: Person, *payment_ids: int, kinds: Collection[Kind] = KINDS_OF_A_RUN) -> Run:
    """Starts a run of these payments, with all kinds of rows confirmed by default."""
    run = draft_ticked(person, list(payment_ids))
    runs.start(run, kinds)
    return run


def drafted(person: Person, payment_id: int) -> Run:
    """Makes a dry run with one row, without a call to the portal."""
    run = Run.objects.create(portal=person.portal, user_id=person.user_id)
    RunRow.objects.create(
        run=run, position=1, payment_id=payment_id, account_number="163/1",
        pay_system_id=seed.ACME_PAY, sum=1, currency="EUR",
    )  # fmt: skip
    return run


def due(run: Run) -> None:
    """Ends the pause that the pace demands."""
    Run.objects.filter(pk=run.pk).update(next_step_at=timezone.now() - timedelta(seconds=1))


def died(run: Run) -> None:
    """Ends the lease of a process that died as well."""
    Run.objects.filter(pk=run.pk).update(stepping_until=timezone.now() - timedelta(seconds=1))
    due(run)


def next_step(person: Person, run: Run) -> RunRow | None:
    due(run)
    return step(person, run)


def worked(person: Person, run: Run, *, at_most: int = 100) -> Run:
    """Takes steps until the run has ended."""
    for _ in range(at_most):
        if run.state != RunState.RUNNING:
            return run
        next_step(person, run)
    raise AssertionError("the run goes on for ever")


def rows(run: Run) -> dict[int, RunRow]:
    return {row.payment_id: row for row in run.rows.select_related("attempt")}


def first_row(run: Run) -> RunRow:
    return run.rows.order_by("position")[0]


def reasons_of(run: Run) -> dict[int, str]:
    return {row.payment_id: row.reason for row in run.rows.all() if row.reason}
