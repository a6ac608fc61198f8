"""A run changes its own rows only: not another portal's, another person's or another run's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from b24app import models
from b24app.identity.session import Person
from payments.attempts.pay import pay
from payments.bulk import messages
from payments.bulk import runs as running
from payments.bulk.dry_run import draft_all, draft_ticked
from payments.bulk.forms import KINDS_OF_A_RUN
from payments.bulk.pacing import REQUESTS_A_SECOND, pause_after
from payments.bulk.progress import finished_runs
from payments.bulk.step import step
from payments.listing.unfinished_run import unfinished_run
from payments.models import Attempt, Kind, RowState, Run, RunRow, RunState, State, Who
from payments.number_search import NumberSearch
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import attempts, runs, stage
from tests.payments.apart import twin_of, untouched
from tests.payments.runs import THREE
from tests.payments.test_bulk import shown_long_ago
from tests.payments.unconfirmed import lost_payment, silence

pytestmark = pytest.mark.django_db

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


def ready(who: Person) -> Run:
    return draft_ticked(who, list(ALL))


def under_way(who: Person) -> Run:
    return runs.started(who, *ALL)


def paused(who: Person) -> Run:
    run = under_way(who)
    running.pause(run)
    return run


def left_behind(who: Person) -> Run:
    """Returns a run whose process died before it claimed the first payment."""
    run = under_way(who)
    run.rows.filter(pk=runs.first_row(run).pk).update(state=RowState.TRYING)
    return run


def left_behind_sent(who: Person) -> Run:
    """Returns a run whose process died once the first payment was made."""
    run = left_behind(who)
    payment_id = runs.first_row(run).payment_id
    offer = stage.offer_of(who, deal_id=seed.PLAIN_DEALS[0], payment_id=payment_id)
    pay(who, offer, pay_system_id=seed.ACME_PAY)
    return run


def too_old(who: Person) -> Run:
    run = under_way(who)
    row = runs.first_row(run)
    run.rows.filter(pk=row.pk).update(offer=shown_long_ago(row.offer))
    return run


Act = Callable[[Person, Run], object]
# How the run is made, the action on it, and how many of its rows change.
ACTIONS: dict[str, tuple[Callable[[Person], Run], Act, int]] = {
    "start": (ready, lambda who, run: running.start(run, KINDS_OF_A_RUN), 0),
    "start without marks": (ready, lambda who, run: running.start(run, [Kind.PAY]), 1),
    "pause": (under_way, lambda who, run: running.pause(run), 0),
    "resume": (paused, lambda who, run: running.resume(run), 0),
    "stop": (under_way, lambda who, run: running.stop(run), 0),
    "finish": (under_way, lambda who, run: running.finish(run), 0),
    "a step": (under_way, step, 1),
    "a step after a death": (left_behind, step, 1),
    "a step after a late death": (left_behind_sent, step, 1),
    "a step with an old offer": (too_old, step, 1),
    "all steps": (under_way, runs.worked, 4),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_on_a_run_touches_no_other(manager: Person, action: str) -> None:
    make, act, changed = ACTIONS[action]
    run = make(manager)
    bystanders(manager.portal)
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
    own = Run.objects.filter(portal=manager.portal, user_id=seed.MANAGER)
    others = Run.objects.exclude(pk__in=own.values("pk"))

    with untouched(twin, others, RunRow.objects.exclude(run__in=own)):
        second = draft_all(manager, NumberSearch("184"))

    assert set(own) == {over, second}
    assert earlier.pk != second.pk


def test_the_same_person_elsewhere_has_a_run_and_not_this_one(manager: Person) -> None:
    bystanders(manager.portal)
    for state in (RunState.RUNNING, RunState.FINISHED, RunState.STOPPED):
        Run.objects.create(portal=manager.portal, user_id=seed.MANAGER, state=state)
    twin_of(manager.portal)
    Run.objects.filter(portal=manager.portal, user_id=seed.MANAGER).delete()

    assert running.current_run(manager) is None
    assert unfinished_run(manager) is None
    assert finished_runs(manager.portal, seed.MANAGER) == []
    running.require_none_active(manager)
    for other in Run.objects.all():
        with pytest.raises(running.NoSuchRun):
            running.run_of(manager, other.pk)
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

    def also(user_id: int, state: RunState, since: timedelta) -> None:
        Run.objects.create(
            portal=manager.portal, user_id=user_id, state=state, next_step_at=now - since
        )

    also(901, RunState.PAUSED, timedelta())
    also(902, RunState.RUNNING, timedelta(minutes=2))
    assert pause_after(run, 4, now=now) == timedelta(seconds=4 / REQUESTS_A_SECOND)
    also(903, RunState.RUNNING, timedelta())
    assert pause_after(run, 4, now=now) == timedelta(seconds=8 / REQUESTS_A_SECOND)


def test_an_attempt_elsewhere_is_not_the_rows_own(alpha: Portal, manager: Person) -> None:
    run = left_behind(manager)
    first = runs.first_row(run)
    attempts.keep(twin_of(manager.portal), payment_id=first.payment_id, created_at=timezone.now())

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


def test_a_run_paused_before_a_rows_try_sends_nothing(sandbox: Sandbox, admin: Person) -> None:
    stage.set_rules(admin.portal, bulk_by=Who.ADMINISTRATORS)
    run = under_way(admin)
    since = len(sandbox.log)
    # A step asks Bitrix24 whether this is an administrator, and chooses its row after that.
    stage.during(sandbox, "profile", lambda: running.pause(run))

    row = step(admin, run)

    assert row is not None
    assert row.state == RowState.WAITING
    assert run.state == RunState.PAUSED
    assert {row.state for row in run.rows.all()} == {RowState.WAITING}
    assert [call.methods for call in sandbox.log[since:]] == [("profile",)]
    assert not Attempt.objects.exists()


@pytest.mark.usefixtures("no_pauses")
def test_a_row_settled_meanwhile_is_not_put_back(sandbox: Sandbox, manager: Person) -> None:
    """A slow step finds the portal busy; meanwhile it was overtaken, and its row settled."""
    run = under_way(manager)
    first = RunRow.objects.filter(pk=runs.first_row(run).pk)
    stage.during(sandbox, stage.READ_BACK, lambda: first.update(state=RowState.TRIED))
    sandbox.faults.add(Fault("query_limit", method=stage.READ_BACK, times=None))

    step(manager, run)

    assert first.get().state == RowState.TRIED
    assert (run.state, run.reason) == (RunState.PAUSED, messages.LIMIT)


@pytest.mark.parametrize("is_offer_old", [False, True])
def test_a_row_left_behind_that_cannot_be_read_stays_not_confirmed(
    sandbox: Sandbox, alpha: Portal, manager: Person, is_offer_old: bool
) -> None:
    run = runs.started(manager, THREE[0])
    offer = shown_long_ago(run.rows.get().offer) if is_offer_old else run.rows.get().offer
    run.rows.update(state=RowState.TRYING, offer=offer)
    lost = lost_payment(sandbox, manager, deal_id=seed.PLAIN_DEALS[0], payment_id=THREE[0])
    if not is_offer_old:
        silence(sandbox)

    runs.next_step(manager, run)

    row = run.rows.get()
    assert (row.state, row.attempt) == (RowState.TRIED, lost)
    lost.refresh_from_db()
    assert lost.state == State.UNKNOWN
    assert (run.state, run.reason) == (RunState.FINISHED, "")
    assert alpha.payments[THREE[0]].times_paid == 1
    assert stage.sent_payments(sandbox) == 0
