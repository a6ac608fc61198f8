"""Several at once: the dry run says what will happen, and the run does that, row by row."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import signing
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from b24app import models
from b24app.identity.session import Person
from b24app.signals import portal_uninstalled, pruning
from payments import gateway, reasons
from payments.attempts.pay import pay
from payments.bulk import messages as words
from payments.bulk import retention
from payments.bulk import runs as running
from payments.bulk.dry_run import draft_all, draft_ticked
from payments.bulk.forms import KINDS_OF_A_RUN
from payments.bulk.pacing import REQUESTS_A_SECOND, counted
from payments.bulk.permission import NotAllowed
from payments.bulk.progress import progress_of
from payments.bulk.runs import NoSuchRun, RunUnfinished
from payments.bulk.step import MOST_UNCONFIRMED, step
from payments.models import MOST_PAYMENTS, Attempt, Policy, RowState, Run, RunState, State
from payments.number_search import ANY_NUMBER, NumberSearch
from payments.policy import rules
from payments.reasons import Stopped
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role
from tests.payments import runs, stage
from tests.payments.frames import Frame, text_of
from tests.payments.test_cost import SQL_A_PAYMENT, statements

pytestmark = pytest.mark.django_db

SQL_A_STEP = 14

THREE = seed.PLAIN_PAYMENTS[:3]


@pytest.fixture
def frame(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.MANAGER)


def reasons_of(run: Run) -> dict[int, str]:
    return {row.payment_id: row.reason for row in run.rows.all() if row.reason}


# ---- the dry run


def test_a_dry_run_says_what_will_be_paid_and_what_not_and_why(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    open_one = stage.offer_of(manager)
    Attempt.objects.create(
        portal=manager.portal, payment_id=open_one.payment_id, account_number="163/1",
        pay_system_id=seed.ACME_PAY, bound_pay_system_id=seed.ACME_PAY, sum=open_one.sum,
        currency="EUR", user_id=seed.MANAGER, state=State.UNKNOWN, sent_at=timezone.now(),
    )  # fmt: skip
    run = draft_ticked(
        manager,
        [
            seed.PAYMENT, seed.USD_PAYMENT, seed.KWD_PAYMENT, *THREE, seed.PAID_PAYMENT,
            seed.CANCELED_PAYMENT, seed.ZERO_PAYMENT, seed.INACTIVE_PAYMENT, seed.LOOSE_PAYMENT,
            999_999,
        ],
    )  # fmt: skip

    progress = progress_of(run)
    assert progress.to_pay.sums == {
        "EUR": Decimal("177.00"), "USD": Decimal("1999.99"), "KWD": Decimal("42.125"),
    }  # fmt: skip
    assert (progress.to_pay.count, progress.left_out.count, run.missing) == (5, 5, 2)
    assert reasons_of(run) == {
        seed.PAYMENT: words.OPEN_ATTEMPT,
        seed.PAID_PAYMENT: reasons.ALREADY_PAID,
        seed.CANCELED_PAYMENT: reasons.ORDER_CANCELED,
        seed.ZERO_PAYMENT: reasons.SUM_ZERO,
        seed.INACTIVE_PAYMENT: words.BOUND_UNFIT,
    }
    assert run.state == RunState.READY
    assert stage.sent_payments(sandbox) == 0


def test_a_dry_run_has_nothing_that_the_person_may_not_see(
    sandbox: Sandbox, portal: models.Portal
) -> None:
    own = stage.person(sandbox, portal, seed.OWN_MANAGER)

    run = draft_ticked(own, [seed.OWN_PAYMENT, seed.HIDDEN_PAYMENT, seed.PAYMENT])

    assert list(runs.rows(run)) == [seed.OWN_PAYMENT]
    assert run.missing == 2
    assert [row.payment_id for row in draft_all(own, ANY_NUMBER).rows.all()] == [seed.OWN_PAYMENT]


def test_a_filter_that_is_not_understood_brings_no_other_payments(
    manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "payments.gateway.payments_with_ids", lambda ids: gateway.unpaid_payments(before=None)
    )

    run = draft_ticked(manager, list(THREE))

    assert sorted(runs.rows(run)) == sorted(THREE)
    assert run.missing == 0


def test_a_dry_run_of_hundreds_asks_in_batches(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    ids = seed.fill(alpha, 300)
    since = len(sandbox.log)

    run = draft_ticked(manager, ids)

    assert progress_of(run).to_pay.count == 300
    assert len(sandbox.log) - since <= 6


def test_all_that_a_search_finds(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    found = draft_all(manager, NumberSearch("184"))

    assert sorted(runs.rows(found)) == sorted(THREE)
    assert not found.is_cut


def test_all_goes_no_further_than_a_run_may(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    newest = seed.fill(alpha, MOST_PAYMENTS + 40)[-MOST_PAYMENTS:]
    since = len(sandbox.log)

    run = draft_all(manager, ANY_NUMBER)

    assert run.is_cut
    assert sorted(runs.rows(run)) == newest
    assert len(sandbox.log) - since <= 17


@pytest.mark.django_db(transaction=True)
def test_all_without_the_portals_token_is_what_the_person_can_list(
    sandbox: Sandbox, manager: Person
) -> None:
    stage.break_portal_token(sandbox, manager.portal)

    assert sorted(runs.rows(draft_all(manager, NumberSearch("184")))) == sorted(THREE)


def test_without_the_right_to_pay_all_is_left_out(sandbox: Sandbox, portal: models.Portal) -> None:
    reader = stage.person(sandbox, portal, seed.READER)

    assert set(reasons_of(draft_ticked(reader, list(THREE))).values()) == {reasons.NO_ORDER_RIGHT}


def test_the_policy_leaves_out_rows(manager: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(person: object, offer: Any, **kwargs: object) -> None:
        raise Stopped(reasons.SUM_CHANGED)

    monkeypatch.setattr(Policy, "allows_system", lambda self, number: number != seed.DEMO_CARD_PAY)
    monkeypatch.setattr(Policy, "needs_approval", lambda self, sum, currency: sum > 1000)
    monkeypatch.setattr(rules, "check", check)

    run = draft_ticked(manager, [seed.PAYMENT, 274, THREE[0]])

    assert reasons_of(run) == {
        seed.PAYMENT: reasons.SUM_CHANGED,
        274: words.SYSTEM_NOT_ALLOWED,
    }


def test_a_new_dry_run_takes_the_place_of_one_that_was_not_started(manager: Person) -> None:
    draft_ticked(manager, list(THREE))
    second = draft_ticked(manager, list(THREE))

    assert Run.objects.get().pk == second.pk


# ---- the run


def test_a_run_pays_row_by_row(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    run = runs.started(manager, *THREE, seed.INACTIVE_PAYMENT)

    runs.next_step(manager, run)
    assert stage.sent_payments(sandbox) == 1

    runs.worked(manager, run)
    assert run.state == RunState.FINISHED
    assert run.finished_at is not None
    for payment_id in THREE:
        payment = alpha.payments[payment_id]
        assert (payment.times_paid, payment.emp_paid_id) == (1, seed.MANAGER)
    assert not alpha.payments[seed.INACTIVE_PAYMENT].paid
    progress = progress_of(run)
    assert progress.words == "3 of 3 paid, 1 left out"
    assert progress.paid.words == "177.00\xa0EUR"
    assert Attempt.objects.filter(state=State.PAID).count() == 3


def test_a_step_that_comes_too_early_pays_nothing(sandbox: Sandbox, manager: Person) -> None:
    run = runs.started(manager, *THREE)
    assert step(manager, run) is not None

    for _ in range(5):
        assert step(manager, run) is None

    assert stage.sent_payments(sandbox) == 1
    assert run.next_step_at is not None
    assert run.next_step_at > timezone.now()


def test_pausing_and_resuming_does_not_make_a_step_early(sandbox: Sandbox, manager: Person) -> None:
    run = runs.started(manager, *THREE)
    step(manager, run)
    for _ in range(3):
        running.pause(run)
        running.resume(run)
        step(manager, run)

    assert stage.sent_payments(sandbox) == 1


def test_a_paused_run_pays_nothing_until_it_is_resumed(sandbox: Sandbox, manager: Person) -> None:
    run = runs.started(manager, *THREE)
    runs.next_step(manager, run)
    running.pause(run)

    assert runs.next_step(manager, run) is None
    assert (run.state, run.reason) == (RunState.PAUSED, words.BY_PERSON)
    assert stage.sent_payments(sandbox) == 1

    running.resume(run)
    assert runs.worked(manager, run).state == RunState.FINISHED
    assert stage.sent_payments(sandbox) == 3


def test_a_stopped_run_never_pays_what_is_left(sandbox: Sandbox, manager: Person) -> None:
    run = runs.started(manager, *THREE)
    runs.next_step(manager, run)
    running.stop(run)

    assert runs.next_step(manager, run) is None
    running.resume(run)
    running.start(run, KINDS_OF_A_RUN)
    assert runs.next_step(manager, run) is None
    assert run.state == RunState.STOPPED
    assert stage.sent_payments(sandbox) == 1
    assert [words for words, _, _ in progress_of(run).results] == ["Paid", "Not paid"]


def test_stopped_while_a_row_is_being_paid_no_other_follows(
    sandbox: Sandbox, manager: Person
) -> None:
    run = runs.started(manager, *THREE)
    sandbox.faults.add(
        Fault("delay", method=stage.READ_BACK, seconds=0, on_hit=lambda: running.stop(run))
    )

    runs.next_step(manager, run)

    assert run.state == RunState.STOPPED
    assert runs.next_step(manager, run) is None
    assert stage.sent_payments(sandbox) == 1


def test_one_run_at_a_time_for_each_person_and_portal(
    sandbox: Sandbox, beta: Portal, manager: Person
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

    admin = stage.person(sandbox, manager.portal, seed.ADMIN)
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    assert runs.started(admin, *seed.PLAIN_PAYMENTS[3:6]).state == RunState.RUNNING
    assert runs.started(elsewhere, *THREE).state == RunState.RUNNING


def test_another_persons_run_does_not_exist(
    sandbox: Sandbox, beta: Portal, manager: Person
) -> None:
    run = runs.started(manager, *THREE)
    for other in (
        stage.person(sandbox, manager.portal, seed.ADMIN),
        stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER),
    ):
        with pytest.raises(NoSuchRun):
            running.run_of(other, run.pk)


# ---- what goes wrong on the way


def test_a_row_that_is_refused_does_not_stop_the_others(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    run = runs.started(manager, *THREE)
    alpha.payments[THREE[1]].sum = Decimal("60.00")

    runs.worked(manager, run)

    attempt = runs.rows(run)[THREE[1]].attempt
    assert attempt is not None
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.SUM_CHANGED)
    assert run.state == RunState.FINISHED
    assert progress_of(run).words == "2 of 3 paid, 1 refused"


def _take_right_away(sandbox: Sandbox, alpha: Portal) -> None:
    alpha.users[seed.MANAGER].role = Role.READER


def _fault(kind: str, method: str | None, **more: Any) -> Callable[[Sandbox, Portal], None]:
    def add(sandbox: Sandbox, alpha: Portal) -> None:
        sandbox.faults.add(Fault(kind, method=method, times=None, **more))

    return add


def _end_tokens(sandbox: Sandbox, alpha: Portal) -> None:
    for token in sandbox.world.tokens.values():
        if token.user_id == seed.MANAGER:
            token.revoked = token.refresh_spent = True


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (_take_right_away, reasons.NO_ORDER_RIGHT),
        (_fault("query_limit", None), words.LIMIT),
        (_fault("operation_limit", stage.READ_BACK), words.LIMIT),
        (_fault("redirect", None), reasons.PORTAL_MOVED),
        (_end_tokens, words.TOKEN),
    ],
)
def test_what_every_row_would_meet_pauses_the_run_and_burns_no_row(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    trouble: Callable[[Sandbox, Portal], None],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
    run = runs.started(manager, *THREE)
    trouble(sandbox, alpha)

    runs.next_step(manager, run)

    assert (run.state, run.reason) == (RunState.PAUSED, reason)
    assert progress_of(run).why_paused
    assert {row.state for row in run.rows.all()} == {RowState.WAITING}
    assert stage.sent_payments(sandbox) == 0


def test_once_the_trouble_is_over_the_run_goes_on_with_the_same_row(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    run = runs.started(manager, *THREE)
    _take_right_away(sandbox, alpha)
    runs.next_step(manager, run)
    alpha.users[seed.MANAGER].role = Role.MANAGER

    running.resume(run)
    runs.worked(manager, run)

    assert progress_of(run).words == "3 of 3 paid"
    assert [alpha.payments[number].times_paid for number in THREE] == [1, 1, 1]


def test_a_row_that_cannot_be_read_does_not_stop_the_run_again_and_again(
    sandbox: Sandbox, manager: Person
) -> None:
    run = runs.started(manager, *THREE)
    sandbox.faults.add(Fault("broken_json", method=stage.READ_BACK))
    runs.next_step(manager, run)
    assert (run.state, run.reason) == (RunState.PAUSED, reasons.READ_FAILED)

    running.resume(run)
    runs.worked(manager, run)

    assert progress_of(run).words == "2 of 3 paid, 1 refused"


def test_three_not_confirmed_in_a_row_pause_the_run(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    six = seed.PLAIN_PAYMENTS[:6]
    run = runs.started(manager, *six)
    sandbox.faults.add(Fault("drop", method=stage.PAY, times=4))

    runs.worked(manager, run)

    assert (run.state, run.reason) == (RunState.PAUSED, words.UNCONFIRMED)
    assert progress_of(run).unconfirmed.count == MOST_UNCONFIRMED
    running.resume(run)
    runs.worked(manager, run)
    assert run.state == RunState.FINISHED
    assert progress_of(run).words == "2 of 6 paid, 4 not confirmed"
    assert [alpha.payments[number].times_paid for number in sorted(six)] == [1, 1, 0, 0, 0, 0]


def test_a_row_that_was_left_in_the_middle_is_looked_at_and_not_paid_again(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    run = runs.started(manager, *THREE)
    first = run.rows.order_by("position")[0]
    run.rows.filter(pk=first.pk).update(state=RowState.TRYING)
    sandbox.faults.add(Fault("drop", method=stage.PAY, when="after"))
    sandbox.faults.add(
        Fault("delay", method=stage.PAY, seconds=0, on_hit=lambda: _no_reading(sandbox))
    )
    pay(manager, stage.offer_of(manager, deal_id=seed.PLAIN_DEALS[0], payment_id=first.payment_id),
        pay_system_id=seed.ACME_PAY)  # fmt: skip
    assert Attempt.objects.get().state == State.UNKNOWN
    sandbox.faults.clear()

    runs.next_step(manager, run)

    attempt = runs.rows(run)[first.payment_id].attempt
    assert attempt is not None
    assert attempt.state == State.PAID
    assert stage.sent_payments(sandbox) == 1
    runs.worked(manager, run)
    assert progress_of(run).words == "3 of 3 paid"
    assert {alpha.payments[number].times_paid for number in THREE} == {1}


def _no_reading(sandbox: Sandbox) -> None:
    for method in (stage.READ_BACK, stage.KEPT):
        sandbox.faults.add(Fault("drop", method=method, times=None))


def test_an_earlier_refusal_is_not_taken_for_the_rows_own_try(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))
    earlier = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    run = runs.started(manager, seed.PAYMENT)
    run.rows.update(state=RowState.TRYING, after_attempt=earlier.pk)

    runs.worked(manager, run)

    assert progress_of(run).words == "1 of 1 paid"
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def test_what_was_shown_too_long_ago_is_not_paid(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.started(manager, *THREE)
    old = time.time() - 25 * 3600
    for row in run.rows.all():
        content = signing.loads(row.offer, salt="payments.offer")
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: old)
            row.offer = signing.dumps(content, salt="payments.offer", compress=True)
        row.save()

    runs.worked(manager, run)

    assert set(reasons_of(run).values()) == {words.TOO_OLD}
    assert stage.sent_payments(sandbox) == 0


# ---- policy


def _forbid_bulk(monkeypatch: pytest.MonkeyPatch, *, but_admins: bool = False) -> None:
    monkeypatch.setattr(
        Policy, "may_bulk", lambda self, person_id, *, is_admin: but_admins and is_admin
    )


def test_who_may_not_is_refused_at_the_dry_run_the_start_and_each_step(
    sandbox: Sandbox, frame: Frame, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.started(manager, *THREE)
    _forbid_bulk(monkeypatch)

    assert runs.next_step(manager, run) is None
    assert (run.state, run.reason) == (RunState.PAUSED, words.POLICY)
    assert frame.post(f"/payments/runs/{run.pk}/resume/").status_code == 403
    running.stop(run)
    with pytest.raises(NotAllowed):
        draft_ticked(manager, list(THREE))
    ready = Run.objects.create(portal=manager.portal, user_id=seed.MANAGER)
    assert frame.post(f"/payments/runs/{ready.pk}/start/", kind="pay").status_code == 403
    assert stage.sent_payments(sandbox) == 0


def test_an_administrator_may_where_only_they_may(
    sandbox: Sandbox, portal: models.Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    _forbid_bulk(monkeypatch, but_admins=True)
    admin = stage.person(sandbox, portal, seed.ADMIN)

    assert runs.worked(admin, runs.started(admin, *THREE)).state == RunState.FINISHED


# ---- the pace


def test_the_portals_bucket_stays_half_empty_while_people_work(
    sandbox: Sandbox, alpha: Portal, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half of what it holds: a request above that would be turned away.
    alpha.bucket_size = 25
    pauses: list[float] = []
    monkeypatch.setattr("b24app.rest.client.pause", pauses.append)
    admin = stage.person(sandbox, manager.portal, seed.ADMIN)
    ids = seed.fill(alpha, 40)
    run = runs.started(manager, *ids)
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


def test_two_runs_of_a_portal_share_the_pace(sandbox: Sandbox, manager: Person) -> None:
    admin = stage.person(sandbox, manager.portal, seed.ADMIN)
    alone = runs.started(manager, *THREE)
    step(manager, alone)
    other = runs.started(admin, *seed.PLAIN_PAYMENTS[3:6])
    step(admin, other)

    def wait(run: Run) -> timedelta:
        assert run.next_step_at is not None
        assert run.started_at is not None
        return run.next_step_at - run.started_at

    assert wait(other) > 1.7 * wait(alone)


def test_retries_and_requests_of_other_threads_are_counted(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("query_limit", method=stage.READ_BACK, times=2))
    since = len(sandbox.log)

    with counted(manager.portal) as requests:
        pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert requests.count == len(sandbox.log) - since == 6


# ---- the screens


def test_rows_of_the_main_list_that_a_run_could_do_have_a_box(
    client: Client, sandbox: Sandbox, alpha: Portal, frame: Frame
) -> None:
    page = text_of(frame.opened())

    assert _boxes(page) >= {seed.PAYMENT, *THREE}
    assert _boxes(page) >= {seed.CASH_PAYMENT, seed.BILL_PAYMENT}
    unfit = {seed.CANCELED_PAYMENT, seed.ZERO_PAYMENT, seed.INNER_PAYMENT, seed.INACTIVE_PAYMENT}
    assert not _boxes(page) & unfit
    assert "Review selected" in page
    assert not _boxes(frame.tab())
    reader = Frame(client, sandbox, alpha, seed.READER)
    assert not _boxes(text_of(reader.opened()))


def test_without_permission_there_are_no_boxes(
    frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    _forbid_bulk(monkeypatch)

    page = text_of(frame.opened())

    assert not _boxes(page)
    assert "Review selected" not in page
    assert not _boxes(text_of(frame.get()))


def _boxes(html: str) -> set[int]:
    found = re.findall(r'type="checkbox"\s+form="bulk"\s+name="payment"\s+value="(\d+)"', html)
    return {int(number) for number in found}


def test_the_screens_from_the_dry_run_to_the_result(sandbox: Sandbox, frame: Frame) -> None:
    dry = text_of(frame.post("/payments/runs/new/", payment=[*THREE, seed.INACTIVE_PAYMENT]))
    assert "Nothing is done yet" in dry
    assert "Pay 3 payments: 177.00\xa0EUR" in dry
    assert "as paid:" not in dry
    assert "Its payment system does not take payments from an app." in dry
    assert "only while this page is open" in dry
    run = Run.objects.get()

    begun = text_of(frame.post(f"/payments/runs/{run.pk}/start/", kind="pay"))
    assert f"/payments/runs/{run.pk}/step/" in begun
    assert stage.sent_payments(sandbox) == 0
    runs.due(run)
    after = text_of(frame.post(f"/payments/runs/{run.pk}/step/"))
    assert "1 of 3 paid" in after
    delay = re.search(r'data-next-step-in="(\d+)"', after)
    assert delay is not None
    assert 2000 < int(delay[1]) < 4000
    assert after.count("<tr id=") == 1

    asked = text_of(frame.post(f"/payments/runs/{run.pk}/pause/", stop="ask"))
    assert "Stop for good? The 2 payments that are left stay as they are." in asked
    assert "load delay" not in asked
    ended = text_of(frame.post(f"/payments/runs/{run.pk}/stop/"))
    assert "Stopped" in ended
    assert "Earlier runs" in ended
    assert stage.sent_payments(sandbox) == 1
    assert "Nothing is selected" in text_of(_screen(frame))


def _screen(frame: Frame) -> Any:
    return frame.client.get("/payments/runs/", headers=frame.headers())


def test_paused_in_the_middle_of_a_payment_the_screen_says_so(
    sandbox: Sandbox, manager: Person, frame: Frame
) -> None:
    run = runs.started(manager, *THREE)
    said: list[str] = []
    sandbox.faults.add(
        Fault(
            "delay",
            method=stage.PAY,
            seconds=0,
            on_hit=lambda: said.append(text_of(frame.post(f"/payments/runs/{run.pk}/pause/"))),
        )
    )

    runs.next_step(manager, run)

    assert "One payment is still under way" in said[0]
    assert run.state == RunState.PAUSED
    assert progress_of(run).words == "1 of 3 paid"
    assert "under way" not in text_of(_screen(frame))


def test_the_last_step_shows_every_row_again(manager: Person, frame: Frame) -> None:
    run = runs.started(manager, *THREE)
    runs.next_step(manager, run)
    runs.next_step(manager, run)
    runs.due(run)

    last = text_of(frame.post(f"/payments/runs/{run.pk}/step/"))

    assert last.count("<tr id=") == 3
    assert "Finished: 3 of 3 paid" in last
    assert "load delay" not in last


def test_a_step_costs_few_statements_beside_its_payment(manager: Person) -> None:
    run = runs.started(manager, *THREE)
    runs.due(run)

    with CaptureQueriesContext(connection) as queries:
        step(manager, run)

    assert len(statements(queries)) <= SQL_A_PAYMENT + SQL_A_STEP


def test_an_unfinished_run_waits_on_its_screen_and_does_not_go_on_by_itself(
    sandbox: Sandbox, manager: Person, frame: Frame
) -> None:
    run = runs.started(manager, *THREE)
    runs.next_step(manager, run)

    page = text_of(_screen(frame))

    assert "Unfinished" in page
    assert "Resume" in page
    assert "load delay" not in page


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({}, 400, "No payment is ticked"),
        ({"payment": ["x"]}, 400, "not complete"),
        ({"all": "yes", "q": "1\n2"}, 400, "An order or payment number has"),
    ],
)
def test_a_selection_that_is_none_is_refused_in_words(
    sandbox: Sandbox, frame: Frame, fields: dict[str, Any], status: int, says: str
) -> None:
    since = len(sandbox.log)

    assert says in text_of(frame.post("/payments/runs/new/", **fields), status)
    assert len(sandbox.log) == since
    assert not Run.objects.exists()


@pytest.mark.parametrize("action", ["", "start/", "step/", "pause/", "resume/", "stop/"])
def test_another_persons_run_is_missing(
    sandbox: Sandbox, portal: models.Portal, frame: Frame, action: str
) -> None:
    admin = stage.person(sandbox, portal, seed.ADMIN)
    run = runs.started(admin, *THREE)
    path = f"/payments/runs/{run.pk}/{action}"

    answer = (
        frame.post(path, kind="pay") if action else frame.client.get(path, headers=frame.headers())
    )

    assert answer.status_code == 404
    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    assert stage.sent_payments(sandbox) == 0


# ---- how long it is kept


@pytest.mark.parametrize("clean", [True, False])
def test_runs_go_with_the_app(manager: Person, clean: bool) -> None:
    runs.worked(manager, runs.started(manager, *THREE))

    portal_uninstalled.send(sender=models.Portal, portal=manager.portal, clean=clean)

    assert not Run.objects.exists()


def test_old_runs_are_pruned_and_their_attempts_stay(manager: Person) -> None:
    now = timezone.now()
    old, new = (runs.worked(manager, runs.started(manager, number)) for number in THREE[:2])
    Run.objects.filter(pk=old.pk).update(created_at=now - retention.KEPT - timedelta(days=1))

    said = [words for _, words in pruning.send(sender=None, now=now)]

    assert "Runs of several payments: 1 deleted." in said
    assert Run.objects.get().pk == new.pk
    assert Attempt.objects.count() == 2
