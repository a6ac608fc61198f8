"""Several at once also marks as paid: named, counted and confirmed apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from b24app import models
from b24app.identity.session import Person
from payments import reasons
from payments.approvals import requests
from payments.attempts.messages import messages_of
from payments.attempts.undo import undo
from payments.bulk import messages
from payments.bulk import runs as running
from payments.bulk.dry_run import draft_all, draft_ticked
from payments.bulk.forms import KINDS_OF_A_RUN, NothingConfirmed
from payments.bulk.progress import progress_of
from payments.models import (
    ApprovalState,
    Attempt,
    Entry,
    Kind,
    RowState,
    Run,
    RunState,
    State,
)
from payments.number_search import NumberSearch
from payments.offer import open_offer
from payments.policy import rules as policy
from payments.timeline import post_due
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import runs, stage
from tests.payments.frames import Frame, text_of
from tests.payments.unconfirmed import MARK, calls

pytestmark = pytest.mark.django_db

TWO = seed.PLAIN_PAYMENTS[:2]
MARKS = (seed.CASH_PAYMENT, seed.BILL_PAYMENT, seed.ACQUIRER_PAYMENT)


@pytest.fixture
def frame(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.MANAGER)


def kinds_of(run: Run) -> dict[int, tuple[str, str]]:
    """Each row's kind, and why it is left out."""
    return {row.payment_id: (row.kind, row.reason) for row in run.rows.order_by("position")}


# ---- the dry run


def test_a_dry_run_says_of_each_row_whether_it_pays_or_marks(
    sandbox: Sandbox, manager: Person
) -> None:
    unfit = [seed.INACTIVE_PAYMENT, seed.INNER_PAYMENT]

    run = draft_ticked(manager, [*MARKS, *TWO, *unfit, seed.CANCELED_PAYMENT])

    rows = kinds_of(run)
    assert rows == {
        **dict.fromkeys(TWO, (Kind.PAY, "")),
        **dict.fromkeys(MARKS, (Kind.MARK, "")),
        **dict.fromkeys(unfit, (Kind.PAY, messages.BOUND_UNFIT)),
        seed.CANCELED_PAYMENT: (Kind.PAY, reasons.ORDER_CANCELED),
    }
    # What is paid, then what is marked, then what is left out.
    assert [number for number in rows if number in (*TWO, *MARKS)] == [
        *sorted(TWO, reverse=True),
        *sorted(MARKS, reverse=True),
    ]
    progress = progress_of(run)
    assert (progress.to_pay.count, progress.to_mark.count, progress.left_out.count) == (2, 3, 3)
    assert progress.to_pay.sums == {"EUR": Decimal("118.00")}
    assert progress.to_mark.sums == {"EUR": Decimal("1354.50")}
    assert stage.sent_payments(sandbox) == calls(sandbox, MARK) == 0


def test_all_that_a_search_finds_is_marked_as_well(manager: Person) -> None:
    assert kinds_of(draft_all(manager, NumberSearch("166"))) == {seed.CASH_PAYMENT: (Kind.MARK, "")}


def _limit(who: Person, **limits: str) -> None:
    rules = policy.policy_of(who.portal)
    values = {**rules.as_facts(), "limits": limits}
    policy.change(who.portal, actor_id=seed.ADMIN, version=rules.version, values=values)


def _approved(
    sandbox: Sandbox, who: Person, run: Run, payment_id: int, kind: Kind, system: int
) -> None:
    offer = open_offer(run.rows.get(payment_id=payment_id).offer, who)
    asked = requests.ask(who, offer, pay_system_id=system, pay_system_name="", kind=kind)
    requests.approve(stage.person(sandbox, who.portal, seed.ADMIN), asked.pk)


@pytest.mark.parametrize(
    ("payment_id", "kind", "system", "reason"),
    [
        (TWO[0], Kind.PAY, seed.ACME_PAY, ""),
        (TWO[0], Kind.MARK, seed.ACME_PAY, reasons.APPROVED_OTHERWISE),
        (TWO[0], Kind.PAY, seed.DEMO_CARD_PAY, reasons.APPROVED_OTHERWISE),
        (seed.CASH_PAYMENT, Kind.MARK, seed.CASH, ""),
        (seed.CASH_PAYMENT, Kind.PAY, seed.CASH, reasons.APPROVED_OTHERWISE),
        (seed.CASH_PAYMENT, Kind.PAY, seed.ACME_PAY, reasons.APPROVED_OTHERWISE),
    ],
)
def test_above_the_limit_each_row_needs_an_approval_of_its_own_kind(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    payment_id: int,
    kind: Kind,
    system: int,
    reason: str,
) -> None:
    own_kind = Kind.MARK if payment_id == seed.CASH_PAYMENT else Kind.PAY
    _limit(manager, EUR="10")
    both = [TWO[0], seed.CASH_PAYMENT]
    without = draft_ticked(manager, both)
    assert {reason for _, reason in kinds_of(without).values()} == {reasons.NEEDS_APPROVAL}
    _approved(sandbox, manager, without, payment_id, kind, system)

    run = draft_ticked(manager, both)

    assert kinds_of(run)[payment_id] == (own_kind, reason)
    if reason:
        return
    running.start(run, KINDS_OF_A_RUN)
    runs.worked(manager, run)
    attempt = runs.rows(run)[payment_id].attempt
    assert attempt is not None
    assert (attempt.kind, attempt.state) == (own_kind, State.PAID)
    assert attempt.approval is not None
    assert attempt.approval.state == ApprovalState.USED
    assert Attempt.objects.count() == 1


def test_a_pay_system_that_the_rules_forbid_is_not_marked_either(manager: Person) -> None:
    rules = policy.policy_of(manager.portal)
    values = {**rules.as_facts(), "systems": [seed.ACME_PAY]}
    policy.change(manager.portal, actor_id=seed.ADMIN, version=rules.version, values=values)

    run = draft_ticked(manager, [TWO[0], seed.CASH_PAYMENT])

    assert kinds_of(run) == {
        TWO[0]: (Kind.PAY, ""),
        seed.CASH_PAYMENT: (Kind.MARK, messages.SYSTEM_NOT_ALLOWED),
    }


def test_without_the_order_right_nothing_is_marked(sandbox: Sandbox, portal: models.Portal) -> None:
    reader = stage.person(sandbox, portal, seed.READER)

    assert kinds_of(draft_ticked(reader, [seed.CASH_PAYMENT])) == {
        seed.CASH_PAYMENT: (Kind.MARK, reasons.NO_ORDER_RIGHT)
    }


# ---- confirmed apart


def test_only_the_kinds_that_were_confirmed_are_done(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    for kinds, done, left_out in (
        ([Kind.PAY], TWO[:1], messages.MARKING_UNCONFIRMED),
        ([Kind.MARK], (seed.CASH_PAYMENT,), messages.PAYING_UNCONFIRMED),
    ):
        run = runs.started(manager, TWO[0], TWO[1], seed.CASH_PAYMENT, kinds=kinds)
        runs.worked(manager, run)
        assert run.state == RunState.FINISHED
        for number, row in runs.rows(run).items():
            if alpha.payments[number].paid:
                assert row.kind in kinds
            else:
                assert (row.state, row.reason) == (RowState.SKIPPED, left_out)
        assert all(alpha.payments[number].paid for number in done)
        for payment in alpha.payments.values():
            if payment.id in TWO:
                payment.paid = False
        Attempt.objects.all().delete()
    assert (stage.sent_payments(sandbox), calls(sandbox, MARK)) == (2, 1)


def test_a_run_cannot_start_without_a_row_that_was_confirmed(
    sandbox: Sandbox, manager: Person, frame: Frame
) -> None:
    run = draft_ticked(manager, [seed.CASH_PAYMENT])
    with pytest.raises(NothingConfirmed):
        running.start(run, [Kind.PAY])
    path = f"/payments/runs/{run.pk}/start/"
    for fields, says in (
        ({}, "Neither paying nor marking as paid is ticked."),
        ({"kind": "pay"}, "Neither paying nor marking as paid is ticked."),
        ({"kind": ["mark", "undo"]}, "not complete"),
        ({"kind": "x" * 300}, "not complete"),
    ):
        assert says in text_of(frame.post(path, **fields), 400)
    run.refresh_from_db()
    assert run.state == RunState.READY
    assert kinds_of(run) == {seed.CASH_PAYMENT: (Kind.MARK, "")}


def test_a_second_start_confirms_nothing_more(sandbox: Sandbox, manager: Person) -> None:
    run = runs.started(manager, TWO[0], seed.CASH_PAYMENT, kinds=[Kind.PAY])

    running.start(run, [Kind.MARK])

    assert kinds_of(run) == {
        TWO[0]: (Kind.PAY, ""),
        seed.CASH_PAYMENT: (Kind.MARK, messages.MARKING_UNCONFIRMED),
    }


def test_the_screen_names_both_counts_and_both_sums(frame: Frame) -> None:
    dry = text_of(
        frame.post(
            "/payments/runs/new/", payment=[*TWO, seed.USD_PAYMENT, *MARKS, seed.INNER_PAYMENT]
        )
    )

    pay = "Pay 3 payments: 118.00\xa0EUR, 1\xa0999.99\xa0USD"
    mark = "Mark 3 payments as paid: 1\xa0354.50\xa0EUR"
    boxes = re.findall(r'<input type="checkbox" name="kind" value="(\w+)"( checked)?', dry)
    assert boxes == [("pay", " checked"), ("mark", "")]
    button = re.search(r'<button id="run-start".*?</button>', dry, re.S)
    assert button is not None
    for sentence in (pay, mark):
        assert sentence in button[0]
        assert dry.count(sentence) == 2
    assert "No money moves by marking." in dry
    headings = re.findall(r'scope="rowgroup"[^>]*>(.*?)</th>', dry, re.S)
    assert [re.sub(r"<.*?>", "", heading) for heading in headings] == [
        "To pay: 3 · 118.00\xa0EUR, 1\xa0999.99\xa0USD",
        "To mark as paid: 3 · 1\xa0354.50\xa0EUR",
        "Left out: 1 · 12.00\xa0EUR",
    ]
    row = dry.split(f'id="run-row-{seed.CASH_PAYMENT}"')[1].split("</tr>")[0]
    assert "To mark as paid" in row
    assert "Cash takes no payments from an app." in row


def test_all_that_is_too_much_says_how_much_there_may_be(
    alpha: Portal, frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payments.bulk.selection.MOST_PAYMENTS", 2)

    dry = text_of(frame.post("/payments/runs/new/", all="yes", q=""))

    assert "at most 500 payments at once, out of the newest 1000." in dry
    assert Run.objects.get().rows.count() == 2


def test_where_all_is_to_be_marked_one_button_says_so(frame: Frame, manager: Person) -> None:
    dry = text_of(frame.post("/payments/runs/new/", payment=[seed.CASH_PAYMENT]))

    assert "Mark 1 payment as paid: 310.00\xa0EUR" in dry
    assert 'type="checkbox"' not in dry
    assert '<input type="hidden" name="kind" value="mark">' in dry
    assert "To pay" not in dry


# ---- the run


def test_a_run_pays_and_marks(
    sandbox: Sandbox, alpha: Portal, manager: Person, frame: Frame
) -> None:
    run = runs.started(manager, *TWO, *MARKS)
    runs.next_step(manager, run)
    assert progress_of(run).words == "1 of 2 paid, 0 of 3 marked as paid"

    runs.worked(manager, run)

    assert progress_of(run).words == "2 of 2 paid, 3 of 3 marked as paid"
    assert [(str(label), total.words) for label, _, total in progress_of(run).results] == [
        ("Paid", "118.00\xa0EUR"),
        ("Marked as paid", "1\xa0354.50\xa0EUR"),
    ]
    for number in (*TWO, *MARKS):
        payment = alpha.payments[number]
        assert (payment.times_paid, payment.emp_paid_id) == (1, seed.MANAGER)
    assert (stage.sent_payments(sandbox), calls(sandbox, MARK)) == (2, 3)
    page = text_of(frame.client.get(f"/payments/runs/{run.pk}/", headers=frame.headers()))
    assert page.count('data-state="marked"') == 3
    assert page.count('data-state="paid"') == 2


def test_a_run_of_marks_alone_speaks_of_marks_alone(manager: Person) -> None:
    run = runs.started(manager, *MARKS)

    assert progress_of(runs.worked(manager, run)).words == "3 of 3 marked as paid"


def test_marks_of_a_run_are_kept_told_and_undone_as_single_ones(
    sandbox: Sandbox, alpha: Portal, manager: Person, frame: Frame
) -> None:
    run = runs.worked(manager, runs.started(manager, seed.CASH_PAYMENT))
    row = runs.rows(run)[seed.CASH_PAYMENT]
    assert row.attempt is not None

    entry = Entry.objects.get(attempt_id=row.attempt.pk)
    assert (entry.event, entry.facts["kind"]) == ("paid", Kind.MARK)
    post_due()
    comments = [call for call in sandbox.log if stage.COMMENT in call.methods]
    assert len(comments) == 1
    history = frame.client.get("/payments/history/", headers=frame.headers())
    assert "Marked as paid" in text_of(history)
    undone = undo(manager, open_offer(row.offer, manager), note="Counted twice")
    assert undone.state == State.UNDONE
    assert not alpha.payments[seed.CASH_PAYMENT].paid


# ---- a row whose kind changed between the dry run and its step


def _pay_through_cash(alpha: Portal) -> None:
    alpha.pay_systems[seed.CASH].action_file = alpha.pay_systems[seed.ACME_PAY].action_file


def _bind_to_cash(alpha: Portal) -> None:
    alpha.payments[TWO[0]].pay_system_id = seed.CASH


def _bind_to_acme(alpha: Portal) -> None:
    alpha.payments[seed.CASH_PAYMENT].pay_system_id = seed.ACME_PAY


def _make_acme_cash(alpha: Portal) -> None:
    alpha.pay_systems[seed.ACME_PAY].action_file = "cash"


@pytest.mark.parametrize(
    ("payment_id", "change", "reason"),
    [
        (seed.CASH_PAYMENT, _pay_through_cash, reasons.CAN_BE_PAID),
        (seed.CASH_PAYMENT, _bind_to_acme, reasons.PAY_SYSTEM_CHANGED),
        (TWO[0], _make_acme_cash, reasons.PAY_SYSTEM_BUILT_IN),
        (TWO[0], _bind_to_cash, reasons.PAY_SYSTEM_CHANGED),
    ],
)
def test_a_row_whose_kind_changed_meanwhile_is_not_done_and_says_so(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    payment_id: int,
    change: Callable[[Portal], None],
    reason: str,
) -> None:
    run = runs.started(manager, payment_id)
    change(alpha)

    runs.worked(manager, run)

    attempt = runs.rows(run)[payment_id].attempt
    assert attempt is not None
    assert (attempt.state, attempt.reason) == (State.REFUSED, reason)
    assert messages_of(attempt)
    assert stage.sent_payments(sandbox) == calls(sandbox, MARK) == 0
    assert not alpha.payments[payment_id].paid


# ---- what goes wrong on the way


def _fault(kind: str, method: str, **more: Any) -> Callable[[Sandbox, Person], None]:
    def add(sandbox: Sandbox, who: Person) -> None:
        sandbox.faults.add(Fault(kind, method=method, times=None, **more))

    return add


def _lose_portal_token(sandbox: Sandbox, who: Person) -> None:
    stage.lose_portal_token(who.portal)
    cache.clear()


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (_fault("query_limit", stage.READ_BACK), messages.LIMIT),
        (_lose_portal_token, reasons.SYSTEMS_UNKNOWN),
    ],
)
def test_what_every_mark_would_meet_pauses_the_run_and_burns_no_row(
    sandbox: Sandbox,
    manager: Person,
    trouble: Callable[[Sandbox, Person], None],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
    run = runs.started(manager, *MARKS)
    trouble(sandbox, manager)

    runs.next_step(manager, run)

    assert (run.state, run.reason) == (RunState.PAUSED, reason)
    assert progress_of(run).why_paused
    assert {row.state for row in run.rows.all()} == {RowState.WAITING}
    assert calls(sandbox, MARK) == 0


def test_marks_that_are_not_confirmed_are_told_as_that_and_pause_the_run(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    ids = seed.fill(alpha, 4)
    for number in ids:
        alpha.payments[number].pay_system_id = seed.CASH
    run = runs.started(manager, *ids)
    sandbox.faults.add(Fault("drop", method=MARK, times=None))

    runs.worked(manager, run)

    assert (run.state, run.reason) == (RunState.PAUSED, messages.UNCONFIRMED)
    assert progress_of(run).words == "0 of 4 marked as paid, 3 not confirmed"
    assert calls(sandbox, MARK) == 3


def test_another_persons_payment_is_not_shown_as_a_mark(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    run = runs.started(manager, seed.CASH_PAYMENT)
    admin = stage.person(sandbox, manager.portal, seed.ADMIN)
    row = run.rows.get()
    other = Attempt.objects.create(
        portal=manager.portal, kind=Kind.PAY, payment_id=row.payment_id, account_number="166/1",
        pay_system_id=seed.ACME_PAY, bound_pay_system_id=seed.CASH, sum=row.sum, currency="EUR",
        user_id=admin.user_id, state=State.PAYING,
    )  # fmt: skip

    runs.next_step(manager, run)

    assert runs.rows(run)[seed.CASH_PAYMENT].attempt == other
    Attempt.objects.filter(pk=other.pk).update(state=State.PAID)
    assert [str(label) for label, _, _ in progress_of(run).results] == ["Paid"]
    assert calls(sandbox, MARK) == 0
