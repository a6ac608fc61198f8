"""A run of several payments: row by row, paused by trouble, at the portal's pace."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from b24app.identity.session import Person
from b24app.signals import pruning
from payments import reasons
from payments.attempts.messages import messages_of
from payments.attempts.pay import pay
from payments.attempts.undo import undo
from payments.bulk import messages, retention
from payments.bulk import runs as running
from payments.bulk.dry_run import draft_all, draft_ticked
from payments.bulk.forms import KINDS_OF_A_RUN
from payments.bulk.pacing import REQUESTS_A_SECOND, counted
from payments.bulk.permission import NotAllowed
from payments.bulk.progress import progress_of
from payments.bulk.runs import RunUnfinished
from payments.bulk.step import MOST_UNCONFIRMED, step
from payments.models import Attempt, Entry, Kind, RowState, Run, RunState, State, Who
from payments.number_search import ANY_NUMBER
from payments.offer import open_offer
from payments.timeline import post_due
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role
from tests.payments import attempts, runs, stage
from tests.payments.frames import Frame
from tests.payments.runs import MARKS, THREE
from tests.payments.test_cost import SQL_A_PAYMENT, statements
from tests.payments.unconfirmed import MARK, calls, lost_payment

pytestmark = pytest.mark.django_db

SQL_A_STEP = 14


# ---- row by row


def test_a_run_pays_and_marks(
    sandbox: Sandbox, alpha: Portal, manager: Person, frame: Frame
) -> None:
    run = runs.started(manager, *THREE, *MARKS, seed.INACTIVE_PAYMENT)
    runs.next_step(manager, run)
    assert progress_of(run).words == "1 of 3 paid, 0 of 3 marked as paid, 1 left out"
    assert stage.sent_payments(sandbox) == 1

    assert runs.worked(manager, run).state == RunState.FINISHED

    assert run.finished_at is not None
    for number in (*THREE, *MARKS):
        payment = alpha.payments[number]
        assert (payment.times_paid, payment.emp_paid_id) == (1, seed.MANAGER)
    assert not alpha.payments[seed.INACTIVE_PAYMENT].paid
    assert (stage.sent_payments(sandbox), calls(sandbox, MARK)) == (3, 3)
    assert Attempt.objects.filter(state=State.PAID).count() == 6
    progress = progress_of(run)
    assert progress.words == "3 of 3 paid, 3 of 3 marked as paid, 1 left out"
    assert [(str(label), total.words) for label, _, total in progress.results][:2] == [
        ("Paid", "177.00\xa0EUR"),
        ("Marked as paid", "1\xa0354.50\xa0EUR"),
    ]
    page = frame.look(f"/payments/runs/{run.pk}/")
    assert (page.count('data-state="paid"'), page.count('data-state="marked"')) == (3, 3)


def test_marks_of_a_run_are_kept_told_and_undone_as_single_ones(
    sandbox: Sandbox, alpha: Portal, manager: Person, frame: Frame
) -> None:
    run = runs.worked(manager, runs.started(manager, seed.CASH_PAYMENT))
    assert progress_of(run).words == "1 of 1 marked as paid"
    entry = Entry.objects.get()
    assert (entry.event, entry.facts["kind"]) == ("paid", Kind.MARK)
    post_due()
    assert calls(sandbox, stage.COMMENT) == 1
    assert "Marked as paid" in frame.look("/payments/history/")
    offer = open_offer(run.rows.get().offer, manager)
    assert undo(manager, offer, note="Counted twice").state == State.UNDONE
    assert not alpha.payments[seed.CASH_PAYMENT].paid


def test_a_step_that_comes_too_early_pays_nothing(sandbox: Sandbox, manager: Person) -> None:
    run = runs.started(manager, *THREE)
    assert step(manager, run) is not None
    assert run.next_step_at is not None
    assert run.next_step_at > timezone.now()

    for _ in range(3):
        assert step(manager, run) is None
        running.pause(run)
        running.resume(run)

    assert step(manager, run) is None
    assert stage.sent_payments(sandbox) == 1


def test_a_paused_run_pays_nothing_until_it_is_resumed(sandbox: Sandbox, manager: Person) -> None:
    run = runs.started(manager, *THREE)
    runs.next_step(manager, run)
    running.pause(run)

    assert runs.next_step(manager, run) is None
    assert (run.state, run.reason) == (RunState.PAUSED, messages.BY_PERSON)
    assert stage.sent_payments(sandbox) == 1

    running.resume(run)
    assert runs.worked(manager, run).state == RunState.FINISHED
    assert stage.sent_payments(sandbox) == 3


def test_a_run_stopped_in_a_step_never_pays_what_is_left(sandbox: Sandbox, manager: Person) -> None:
    run = runs.started(manager, *THREE)
    stage.during(sandbox, stage.READ_BACK, lambda: running.stop(run))
    runs.next_step(manager, run)

    assert runs.next_step(manager, run) is None
    running.resume(run)
    running.start(run, KINDS_OF_A_RUN)
    assert runs.next_step(manager, run) is None
    assert run.state == RunState.STOPPED
    assert stage.sent_payments(sandbox) == 1
    assert [label for label, _, _ in progress_of(run).results] == ["Paid", "Not paid"]


def test_one_run_at_a_time_for_each_person_and_portal(
    sandbox: Sandbox, beta: Portal, manager: Person, admin: Person
) -> None:
    run = runs.started(manager, *THREE)
    with pytest.raises(RunUnfinished):
        draft_ticked(manager, list(THREE))
    running.pause(run)
    with pytest.raises(RunUnfinished):
        draft_all(manager, ANY_NUMBER)
    second = Run.objects.create(portal=manager.portal, user_id=seed.MANAGER)
    with pytest.raises(RunUnfinished):
        running.start(second, KINDS_OF_A_RUN)
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.create(portal=manager.portal, user_id=seed.MANAGER, state=RunState.RUNNING)

    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    assert runs.started(admin, *THREE).state == RunState.RUNNING
    assert runs.started(elsewhere, *THREE).state == RunState.RUNNING


# ---- trouble on the way


def _bind(alpha: Portal, payment_id: int, system: int) -> None:
    alpha.payments[payment_id].pay_system_id = system


def _handle(alpha: Portal, system: int, handler: str) -> None:
    alpha.pay_systems[system].action_file = handler


@pytest.mark.parametrize(
    ("payment_id", "change", "value", "reason"),
    [
        (seed.CASH_PAYMENT, _handle, (seed.CASH, seed.ACME_HANDLER), reasons.CAN_BE_PAID),
        (seed.CASH_PAYMENT, _bind, (seed.CASH_PAYMENT, seed.ACME_PAY), reasons.PAY_SYSTEM_CHANGED),
        (THREE[0], _handle, (seed.ACME_PAY, "cash"), reasons.PAY_SYSTEM_BUILT_IN),
        (THREE[0], _bind, (THREE[0], seed.CASH), reasons.PAY_SYSTEM_CHANGED),
    ],
)
def test_a_row_whose_kind_changed_meanwhile_is_not_done_and_says_so(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    payment_id: int,
    change: Callable[..., None],
    value: tuple[Any, ...],
    reason: str,
) -> None:
    run = runs.started(manager, payment_id)
    change(alpha, *value)

    runs.worked(manager, run)

    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.reason) == (State.REFUSED, reason)
    assert messages_of(attempt)
    assert stage.sent_payments(sandbox) == calls(sandbox, MARK) == 0


Trouble = Callable[[Sandbox, Person], object]


def _take_right_away(sandbox: Sandbox, who: Person) -> None:
    sandbox.world.portals[seed.ALPHA].users[who.user_id].role = Role.READER


def _fault(kind: str, method: str | None = None) -> Trouble:
    return lambda sandbox, who: sandbox.faults.add(Fault(kind, method=method, times=None))


def _end_tokens(sandbox: Sandbox, who: Person) -> None:
    for token in sandbox.world.tokens.values():
        if token.user_id == who.user_id:
            token.revoked = token.refresh_spent = True


def _lose_portal_token(sandbox: Sandbox, who: Person) -> None:
    stage.lose_portal_token(who.portal)
    cache.clear()


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("payment_ids", "trouble", "reason"),
    [
        (THREE, _take_right_away, reasons.NO_ORDER_RIGHT),
        (THREE, _fault("query_limit"), messages.LIMIT),
        (THREE, _fault("operation_limit", stage.READ_BACK), messages.LIMIT),
        (THREE, _fault("redirect"), reasons.PORTAL_MOVED),
        (THREE, _end_tokens, messages.TOKEN),
        (MARKS, _fault("query_limit", stage.READ_BACK), messages.LIMIT),
        (MARKS, _lose_portal_token, reasons.SYSTEMS_UNKNOWN),
    ],
)
def test_trouble_that_every_row_would_meet_pauses_the_run_and_burns_no_row(
    sandbox: Sandbox, manager: Person, payment_ids: list[int], trouble: Trouble, reason: str
) -> None:
    run = runs.started(manager, *payment_ids)
    trouble(sandbox, manager)

    runs.next_step(manager, run)

    assert (run.state, run.reason) == (RunState.PAUSED, reason)
    assert progress_of(run).why_paused
    assert {row.state for row in run.rows.all()} == {RowState.WAITING}
    assert stage.sent_payments(sandbox) == calls(sandbox, MARK) == 0


def test_a_row_that_cannot_be_read_pauses_the_run_once(sandbox: Sandbox, manager: Person) -> None:
    run = runs.started(manager, *THREE)
    sandbox.faults.add(Fault("broken_json", method=stage.READ_BACK))
    runs.next_step(manager, run)
    assert (run.state, run.reason) == (RunState.PAUSED, reasons.READ_FAILED)

    running.resume(run)
    runs.worked(manager, run)

    assert progress_of(run).words == "2 of 3 paid, 1 refused"


@pytest.mark.parametrize("kind", [Kind.PAY, Kind.MARK])
def test_three_not_confirmed_in_a_row_pause_the_run(
    sandbox: Sandbox, alpha: Portal, manager: Person, kind: Kind
) -> None:
    ids = seed.fill(alpha, 6)
    for number in ids:
        alpha.payments[number].pay_system_id = seed.CASH if kind == Kind.MARK else seed.ACME_PAY
    run = runs.started(manager, *ids)
    method, done = (stage.PAY, "paid") if kind == Kind.PAY else (MARK, "marked as paid")
    sandbox.faults.add(Fault("drop", method=method, times=4))

    runs.worked(manager, run)

    assert (run.state, run.reason) == (RunState.PAUSED, messages.UNCONFIRMED)
    assert progress_of(run).unconfirmed.count == calls(sandbox, method) == MOST_UNCONFIRMED
    running.resume(run)
    assert runs.worked(manager, run).state == RunState.FINISHED
    assert progress_of(run).words == f"2 of 6 {done}, 4 not confirmed"
    assert sum(alpha.payments[number].times_paid for number in ids) == 2


def test_a_row_that_was_left_in_the_middle_is_read_and_not_paid_again(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    run = runs.started(manager, *THREE)
    first = runs.first_row(run)
    run.rows.filter(pk=first.pk).update(state=RowState.TRYING)
    lost_payment(sandbox, manager, deal_id=seed.PLAIN_DEALS[0], payment_id=first.payment_id)

    runs.next_step(manager, run)

    attempt = runs.rows(run)[first.payment_id].attempt
    assert attempt is not None
    assert attempt.state == State.PAID
    assert stage.sent_payments(sandbox) == 0
    runs.worked(manager, run)
    assert progress_of(run).words == "3 of 3 paid"
    assert {alpha.payments[number].times_paid for number in THREE} == {1}


def test_an_earlier_refusal_is_not_taken_for_the_rows_own_try(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))
    earlier = pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    run = runs.started(manager, seed.PAYMENT)
    run.rows.update(state=RowState.TRYING, after_attempt=earlier.pk)

    runs.worked(manager, run)

    assert progress_of(run).words == "1 of 1 paid"
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def test_another_persons_payment_is_not_shown_as_a_mark(sandbox: Sandbox, manager: Person) -> None:
    run = runs.started(manager, seed.CASH_PAYMENT)
    other = attempts.keep(
        manager.portal,
        payment_id=seed.CASH_PAYMENT,
        user_id=seed.ADMIN,
        state=State.PAYING,
        settled_at=None,
        created_at=timezone.now(),
    )

    runs.next_step(manager, run)

    assert runs.rows(run)[seed.CASH_PAYMENT].attempt == other
    Attempt.objects.filter(pk=other.pk).update(state=State.PAID)
    assert [str(label) for label, _, _ in progress_of(run).results] == ["Paid"]
    assert calls(sandbox, MARK) == 0


def shown_long_ago(offer: str) -> str:
    content = signing.loads(offer, salt="payments.offer")
    with pytest.MonkeyPatch.context() as patched:
        old = time.time() - 25 * 3600
        patched.setattr(time, "time", lambda: old)
        return signing.dumps(content, salt="payments.offer", compress=True)


def test_an_offer_that_is_too_old_is_not_paid(sandbox: Sandbox, manager: Person) -> None:
    run = runs.started(manager, *THREE)
    for row in run.rows.all():
        run.rows.filter(pk=row.pk).update(offer=shown_long_ago(row.offer))

    runs.worked(manager, run)

    assert set(runs.reasons_of(run).values()) == {messages.TOO_OLD}
    assert stage.sent_payments(sandbox) == 0


# ---- who may


def test_the_rules_are_asked_at_the_dry_run_the_start_and_each_step(
    sandbox: Sandbox, frame: Frame, manager: Person, admin: Person
) -> None:
    run = runs.started(manager, *THREE)
    stage.set_rules(manager.portal, bulk_by=Who.ADMINISTRATORS)

    assert runs.next_step(manager, run) is None
    assert (run.state, run.reason) == (RunState.PAUSED, messages.POLICY)
    frame.send(f"/payments/runs/{run.pk}/resume/", 403)
    running.stop(run)
    with pytest.raises(NotAllowed):
        draft_ticked(manager, list(THREE))
    ready = Run.objects.create(portal=manager.portal, user_id=seed.MANAGER)
    frame.send(f"/payments/runs/{ready.pk}/start/", 403, kind="pay")
    assert stage.sent_payments(sandbox) == 0
    assert runs.worked(admin, runs.started(admin, *THREE)).state == RunState.FINISHED


# ---- the pace


def test_the_portals_bucket_stays_half_empty_while_people_work(
    sandbox: Sandbox, alpha: Portal, manager: Person, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half of what it holds: a request above that would be turned away.
    alpha.bucket_size = 25
    pauses: list[float] = []
    monkeypatch.setattr("b24app.rest.client.pause", pauses.append)
    run = runs.started(manager, *seed.fill(alpha, 40))
    seconds = 0.0

    for number in range(60):
        if run.state != RunState.RUNNING:
            break
        before = timezone.now()
        runs.next_step(manager, run)
        assert run.next_step_at is not None
        delay = (run.next_step_at - before).total_seconds()
        sandbox.world.advance(delay)
        seconds += delay
        if number % 5 == 0:
            stage.main(admin)

    assert progress_of(run).words == "40 of 40 paid"
    assert not pauses
    assert not [call for call in sandbox.log if call.error]
    # Four requests a payment, at a rate of 1.5 a second.
    assert 40 * 4 / REQUESTS_A_SECOND <= seconds <= 40 * 5 / REQUESTS_A_SECOND


@pytest.mark.usefixtures("no_pauses")
def test_retries_and_other_threads_are_counted(sandbox: Sandbox, manager: Person) -> None:
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("query_limit", method=stage.READ_BACK, times=2))
    since = len(sandbox.log)

    with counted(manager.portal) as requests:
        pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert requests.count == len(sandbox.log) - since == 6


def test_a_step_costs_few_statements_beside_its_payment(manager: Person) -> None:
    run = runs.started(manager, *THREE)
    runs.due(run)

    with CaptureQueriesContext(connection) as queries:
        step(manager, run)

    assert len(statements(queries)) <= SQL_A_PAYMENT + SQL_A_STEP


def test_old_runs_are_pruned_and_their_attempts_stay(manager: Person) -> None:
    now = timezone.now()
    old, new = (runs.worked(manager, runs.started(manager, number)) for number in THREE[:2])
    Run.objects.filter(pk=old.pk).update(created_at=now - retention.KEPT - timedelta(days=1))

    said = [sentence for _, sentence in pruning.send(sender=None, now=now)]

    assert "Runs of several payments: 1 deleted." in said
    assert Run.objects.get().pk == new.pk
    assert Attempt.objects.count() == 2
