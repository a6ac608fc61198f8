"""A run changes its own rows only: not another portal's, another person's or another run's."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.db.models import Q
from django.utils import timezone

from b24app import models
from b24app.identity.session import Person
from b24app.signals import portal_uninstalled
from payments.attempts.pay import pay
from payments.bulk import messages
from payments.bulk import runs as running
from payments.bulk.dry_run import draft_all, draft_ticked
from payments.bulk.forms import KINDS_OF_A_RUN
from payments.bulk.pacing import REQUESTS_A_SECOND, pause_after
from payments.bulk.progress import finished_runs
from payments.bulk.step import step
from payments.listing.unfinished_run import unfinished_run
from payments.models import (
    Attempt,
    Kind,
    RowState,
    Run,
    RunRow,
    RunState,
    State,
    Who,
)
from payments.number_search import NumberSearch
from payments.policy import rules as policy
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import runs, stage
from tests.payments.apart import twin_of, untouched

pytestmark = pytest.mark.django_db

THREE = seed.PLAIN_PAYMENTS[:3]
ALL = (*THREE, seed.CASH_PAYMENT)


def bystanders(portal: models.Portal) -> None:
    """Runs of other people in every state, whose rows are in every state, of the same payments."""
    for user_id, state in enumerate(RunState, start=901):
        run = Run.objects.create(
            portal=portal,
            user_id=user_id,
            state=state,
            next_step_at=timezone.now(),
            unconfirmed_in_a_row=2,
        )
        for position, row_state in enumerate(RowState, start=1):
            RunRow.objects.create(
                run=run, position=position, payment_id=ALL[position - 1], state=row_state,
                kind=KINDS_OF_A_RUN[position % 2], account_number="184/1", sum=59,
                pay_system_id=seed.ACME_PAY, currency="EUR",
            )  # fmt: skip


def left_behind(who: Person, run: Run) -> None:
    """Leaves the first row as a process that died before it claimed the payment."""
    first = run.rows.order_by("position")[0]
    run.rows.filter(pk=first.pk).update(state=RowState.TRYING)


def left_behind_sent(who: Person, run: Run) -> None:
    """Leaves the first row as a process that died once the payment was made."""
    left_behind(who, run)
    first = run.rows.order_by("position")[0]
    offer = stage.offer_of(who, deal_id=seed.PLAIN_DEALS[0], payment_id=first.payment_id)
    pay(who, offer, pay_system_id=seed.ACME_PAY)


def too_old(who: Person, run: Run) -> None:
    row = run.rows.order_by("position")[0]
    row.offer = offered_long_ago(row.offer)
    row.save()


def offered_long_ago(offer: str) -> str:
    content = signing.loads(offer, salt="payments.offer")
    clock = time.time
    try:
        time.time = lambda: clock() - 25 * 3600
        return signing.dumps(content, salt="payments.offer", compress=True)
    finally:
        time.time = clock


def ready(who: Person) -> Run:
    return draft_ticked(who, list(ALL))


def under_way(who: Person) -> Run:
    return runs.started(who, *ALL)


def paused(who: Person) -> Run:
    run = under_way(who)
    running.pause(run)
    return run


Made = Callable[[Person], Run]
Before = Callable[[Person, Run], object]
# The action on a run, how the run is made, what happened to it before, and how many of its
# rows change.
ACTIONS: dict[str, tuple[Made, Before | None, Before, int]] = {
    "start": (ready, None, lambda who, run: running.start(run, KINDS_OF_A_RUN), 0),
    "start without marks": (ready, None, lambda who, run: running.start(run, [Kind.PAY]), 1),
    "pause": (under_way, None, lambda who, run: running.pause(run), 0),
    "resume": (paused, None, lambda who, run: running.resume(run), 0),
    "stop": (under_way, None, lambda who, run: running.stop(run), 0),
    "finish": (under_way, None, lambda who, run: running.finish(run), 0),
    "a step": (under_way, None, lambda who, run: step(who, run), 1),
    "a step after a death": (under_way, left_behind, lambda who, run: step(who, run), 1),
    "a step after a late death": (under_way, left_behind_sent, lambda who, run: step(who, run), 1),
    "a step with an old offer": (under_way, too_old, lambda who, run: step(who, run), 1),
    "all steps": (under_way, None, lambda who, run: runs.worked(who, run), 4),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_done_with_a_run_touches_no_other(manager: Person, action: str) -> None:
    make, before, act, changed = ACTIONS[action]
    run = make(manager)
    bystanders(manager.portal)
    if before is not None:
        before(manager, run)
    twin = twin_of(manager.portal)
    rows = {row["id"]: row for row in run.rows.values()}

    with untouched(
        twin,
        Run.objects.exclude(pk=run.pk),
        RunRow.objects.exclude(run=run),
        models.Portal.objects.all(),
    ):
        act(manager, run)

    assert sum(row != rows[row["id"]] for row in run.rows.values()) == changed


def test_a_new_dry_run_replaces_that_of_its_person_and_portal_alone(manager: Person) -> None:
    earlier = ready(manager)
    bystanders(manager.portal)
    over = Run.objects.create(portal=manager.portal, user_id=seed.MANAGER, state=RunState.FINISHED)
    twin = twin_of(manager.portal)
    own = Q(portal=manager.portal, user_id=seed.MANAGER)

    with untouched(
        twin, Run.objects.exclude(own), RunRow.objects.exclude(run__in=Run.objects.filter(own))
    ):
        second = draft_all(manager, NumberSearch("184"))

    assert set(Run.objects.filter(own)) == {over, second}
    assert earlier.pk != second.pk


def test_runs_of_other_portals_outlive_the_app_in_one(manager: Person) -> None:
    under_way(manager)
    twin = twin_of(manager.portal)

    with untouched(twin):
        portal_uninstalled.send(sender=models.Portal, portal=manager.portal, clean=True)

    assert not Run.objects.filter(portal=manager.portal).exists()


def test_the_same_person_elsewhere_has_a_run_and_not_this_one(manager: Person) -> None:
    bystanders(manager.portal)
    for state in (RunState.RUNNING, RunState.FINISHED, RunState.STOPPED):
        Run.objects.create(portal=manager.portal, user_id=seed.MANAGER, state=state)
    twin = twin_of(manager.portal)
    elsewhere = set(Run.objects.filter(portal=twin).values_list("pk", flat=True))
    Run.objects.filter(portal=manager.portal, user_id=seed.MANAGER).delete()

    assert running.current_run(manager) is None
    assert unfinished_run(manager) is None
    assert finished_runs(manager.portal, seed.MANAGER) == []
    running.require_none_active(manager)
    for pk in elsewhere | set(Run.objects.filter(user_id__gt=900).values_list("pk", flat=True)):
        with pytest.raises(running.NoSuchRun):
            running.run_of(manager, pk)
    own = ready(manager)
    assert running.current_run(manager) == own
    running.start(own, KINDS_OF_A_RUN)
    found = unfinished_run(manager)
    assert found is not None
    assert (found.run_id, found.done, found.total) == (own.pk, 0, len(ALL))
    running.stop(own)
    assert unfinished_run(manager) is None
    assert [progress.run for progress in finished_runs(manager.portal, seed.MANAGER)] == [own]


def test_runs_of_other_portals_do_not_slow_this_one(manager: Person) -> None:
    """Each portal has a bucket of its own; a run whose page is closed takes no share."""
    run = under_way(manager)
    twin_of(manager.portal)
    now = timezone.now()
    alone = timedelta(seconds=4 / REQUESTS_A_SECOND)
    assert pause_after(run, 4, now=now) == alone

    for user_id, state, since in (
        (901, RunState.PAUSED, timedelta()),
        (902, RunState.RUNNING, timedelta(minutes=2)),
    ):
        Run.objects.create(
            portal=manager.portal, user_id=user_id, state=state, next_step_at=now - since
        )
    assert pause_after(run, 4, now=now) == alone
    Run.objects.create(portal=manager.portal, user_id=903, state=RunState.RUNNING, next_step_at=now)
    assert pause_after(run, 4, now=now) == timedelta(seconds=8 / REQUESTS_A_SECOND)


def test_an_attempt_on_the_same_number_elsewhere_is_not_the_rows_own(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    """A row was left behind before its claim; in another portal, the payment of that number was
    paid since."""
    run = under_way(manager)
    left_behind(manager, run)
    first = run.rows.order_by("position")[0]
    twin = twin_of(manager.portal)
    Attempt.objects.create(
        portal=twin, payment_id=first.payment_id, account_number="184/1", sum=59, currency="EUR",
        pay_system_id=seed.ACME_PAY, bound_pay_system_id=seed.ACME_PAY, user_id=seed.MANAGER,
        state=State.PAID,
    )  # fmt: skip

    runs.next_step(manager, run)
    first.refresh_from_db()
    assert (first.state, first.attempt) == (RowState.WAITING, None)

    runs.worked(manager, run)
    assert [alpha.payments[number].times_paid for number in ALL] == [1, 1, 1, 1]


def test_a_run_that_is_over_stays_as_it_ended(manager: Person) -> None:
    run = under_way(manager)
    running.finish(run)

    with untouched(Run.objects.filter(pk=run.pk)):
        running.stop(run)
        running.pause(run)
        running.resume(run)
        running.start(run, KINDS_OF_A_RUN)


# ---- steps that meet another person or another change


def test_paused_between_the_choice_of_a_row_and_its_try_nothing_is_sent(
    sandbox: Sandbox, manager: Person
) -> None:
    rules = policy.policy_of(manager.portal)
    values = {**rules.as_facts(), "bulk_by": Who.ADMINISTRATORS}
    policy.change(manager.portal, actor_id=seed.ADMIN, version=rules.version, values=values)
    admin = stage.person(sandbox, manager.portal, seed.ADMIN)
    run = under_way(admin)
    since = len(sandbox.log)
    # A step asks Bitrix24 whether this is an administrator, and chooses its row after that.
    sandbox.faults.add(
        Fault("delay", method="profile", seconds=0, on_hit=lambda: running.pause(run))
    )

    row = step(admin, run)

    assert row is not None
    assert row.state == RowState.WAITING
    assert run.state == RunState.PAUSED
    assert {row.state for row in run.rows.all()} == {RowState.WAITING}
    assert [call.methods for call in sandbox.log[since:]] == [("profile",)]
    assert not Attempt.objects.exists()


def test_a_row_that_another_process_settled_is_not_put_back(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow step finds the portal busy; meanwhile it was overtaken, and its row settled."""
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
    run = under_way(manager)
    first = run.rows.order_by("position")[0]

    def overtaken() -> None:
        RunRow.objects.filter(pk=first.pk).update(state=RowState.TRIED)

    sandbox.faults.add(Fault("delay", method=stage.READ_BACK, seconds=0, on_hit=overtaken))
    sandbox.faults.add(Fault("query_limit", method=stage.READ_BACK, times=None))

    step(manager, run)

    first.refresh_from_db()
    assert first.state == RowState.TRIED
    assert (run.state, run.reason) == (RunState.PAUSED, messages.LIMIT)


def _portal_is_down(sandbox: Sandbox, run: Run) -> None:
    for method in (stage.READ_BACK, stage.KEPT):
        sandbox.faults.add(Fault("drop", method=method, times=None))


def _offer_is_old(sandbox: Sandbox, run: Run) -> None:
    for row in run.rows.all():
        row.offer = offered_long_ago(row.offer)
        row.save()


@pytest.mark.parametrize("trouble", [_portal_is_down, _offer_is_old])
def test_a_row_left_behind_that_cannot_be_looked_at_stays_not_confirmed(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    trouble: Callable[[Sandbox, Run], Any],
) -> None:
    run = runs.started(manager, THREE[0])
    left_behind(manager, run)
    offer = stage.offer_of(manager, deal_id=seed.PLAIN_DEALS[0], payment_id=THREE[0])
    sandbox.faults.add(Fault("drop", method=stage.PAY, when="after"))
    down = Fault("delay", method=stage.PAY, seconds=0)
    down.on_hit = lambda: _portal_is_down(sandbox, run)
    sandbox.faults.add(down)
    lost = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert lost.state == State.UNKNOWN
    sandbox.faults.clear()
    trouble(sandbox, run)

    runs.next_step(manager, run)

    row = run.rows.get()
    assert (row.state, row.attempt) == (RowState.TRIED, lost)
    lost.refresh_from_db()
    assert lost.state == State.UNKNOWN
    assert run.state == RunState.FINISHED
    assert messages.UNCONFIRMED not in run.reason
    assert alpha.payments[THREE[0]].times_paid == 1
    assert stage.sent_payments(sandbox) == 1
