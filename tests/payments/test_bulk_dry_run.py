"""The dry run of several payments: which are paid, which marked, which left out and why."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from b24app import models
from b24app.identity.session import Person
from payments import gateway, reasons
from payments.approvals import requests
from payments.bulk import messages
from payments.bulk import runs as running
from payments.bulk.dry_run import draft_all, draft_ticked
from payments.bulk.forms import KINDS_OF_A_RUN, NothingConfirmed
from payments.bulk.progress import progress_of
from payments.models import (
    MOST_PAYMENTS,
    ApprovalState,
    Attempt,
    Kind,
    RowState,
    Run,
    RunState,
    State,
)
from payments.number_search import ANY_NUMBER, NumberSearch
from payments.offer import open_offer
from payments.policy import rules
from payments.reasons import Stopped
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import attempts, runs, stage
from tests.payments.frames import Frame
from tests.payments.runs import MARKS, THREE
from tests.payments.unconfirmed import MARK, calls

pytestmark = pytest.mark.django_db

TWO = THREE[:2]


def kinds_of(run: Run) -> dict[int, tuple[str, str]]:
    """Each row's kind, and why it is left out."""
    return {row.payment_id: (row.kind, row.reason) for row in run.rows.order_by("position")}


def test_each_row_is_paid_marked_or_left_out(sandbox: Sandbox, manager: Person) -> None:
    attempts.keep(manager.portal, state=State.UNKNOWN)
    paid = (seed.USD_PAYMENT, seed.KWD_PAYMENT, *TWO)
    left_out = {
        seed.PAYMENT: messages.OPEN_ATTEMPT,
        seed.PAID_PAYMENT: reasons.ALREADY_PAID,
        seed.CANCELED_PAYMENT: reasons.ORDER_CANCELED,
        seed.ZERO_PAYMENT: reasons.SUM_ZERO,
        seed.INACTIVE_PAYMENT: messages.BOUND_UNFIT,
        seed.INNER_PAYMENT: messages.BOUND_UNFIT,
    }

    run = draft_ticked(manager, [*left_out, *MARKS, *paid, seed.LOOSE_PAYMENT, 999_999])

    assert kinds_of(run) == {
        **dict.fromkeys(paid, (Kind.PAY, "")),
        **dict.fromkeys(MARKS, (Kind.MARK, "")),
        **{number: (Kind.PAY, reason) for number, reason in left_out.items()},
    }
    order = [row.payment_id for row in run.rows.order_by("position")]
    done = len(paid) + len(MARKS)
    assert order[:done] == sorted(paid, reverse=True) + sorted(MARKS, reverse=True)
    progress = progress_of(run)
    assert progress.to_pay.sums == {
        "EUR": Decimal("118.00"),
        "USD": Decimal("1999.99"),
        "KWD": Decimal("42.125"),
    }
    assert progress.to_mark.sums == {"EUR": Decimal("1354.50")}
    assert (progress.to_pay.count, progress.to_mark.count, progress.left_out.count) == (4, 3, 6)
    assert (run.state, run.missing) == (RunState.READY, 2)
    assert stage.sent_payments(sandbox) == calls(sandbox, MARK) == 0


def test_a_dry_run_has_only_visible_payments(sandbox: Sandbox, portal: models.Portal) -> None:
    own = stage.person(sandbox, portal, seed.OWN_MANAGER)

    run = draft_ticked(own, [seed.OWN_PAYMENT, seed.HIDDEN_PAYMENT, seed.PAYMENT])

    assert list(runs.rows(run)) == [seed.OWN_PAYMENT]
    assert run.missing == 2
    assert list(runs.rows(draft_all(own, ANY_NUMBER))) == [seed.OWN_PAYMENT]


def test_without_the_order_right_all_is_left_out(sandbox: Sandbox, portal: models.Portal) -> None:
    reader = stage.person(sandbox, portal, seed.READER)

    run = draft_ticked(reader, [*THREE, seed.CASH_PAYMENT])

    assert {reason for _, reason in kinds_of(run).values()} == {reasons.NO_ORDER_RIGHT}
    assert len(kinds_of(run)) == 4


def test_a_filter_that_is_not_understood_brings_no_other_payments(
    manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "payments.gateway.payments_with_ids", lambda ids: gateway.unpaid_payments(before=None)
    )

    run = draft_ticked(manager, list(THREE))

    assert sorted(runs.rows(run)) == sorted(THREE)
    assert run.missing == 0


def test_hundreds_are_read_in_batches_and_all_has_a_bound(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    ids = seed.fill(alpha, MOST_PAYMENTS + 40)
    since = len(sandbox.log)

    assert progress_of(draft_ticked(manager, ids[:300])).to_pay.count == 300
    assert len(sandbox.log) - since <= 6

    since = len(sandbox.log)
    run = draft_all(manager, ANY_NUMBER)

    assert run.is_cut
    assert sorted(runs.rows(run)) == ids[-MOST_PAYMENTS:]
    assert len(sandbox.log) - since <= 17


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("has_portal_token", [True, False])
def test_all_that_a_search_finds_takes_the_place_of_an_earlier_dry_run(
    sandbox: Sandbox, manager: Person, has_portal_token: bool
) -> None:
    if not has_portal_token:
        stage.break_portal_token(sandbox, manager.portal)
    draft_ticked(manager, list(THREE))

    found = draft_all(manager, NumberSearch("184"))

    assert sorted(runs.rows(found)) == sorted(THREE)
    assert not found.is_cut
    assert Run.objects.get() == found
    cash = draft_all(manager, NumberSearch("166"))
    if has_portal_token:
        assert kinds_of(cash) == {seed.CASH_PAYMENT: (Kind.MARK, "")}


# ---- the portal's rules


def test_the_rules_leave_out_rows(manager: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.set_rules(manager.portal, systems=[seed.ACME_PAY], limits={"EUR": "10000"})
    card = 274

    run = draft_ticked(manager, [seed.PAYMENT, card, TWO[0], seed.CASH_PAYMENT])

    assert kinds_of(run) == {
        TWO[0]: (Kind.PAY, ""),
        seed.PAYMENT: (Kind.PAY, reasons.NEEDS_APPROVAL),
        card: (Kind.PAY, messages.SYSTEM_NOT_ALLOWED),
        seed.CASH_PAYMENT: (Kind.MARK, messages.SYSTEM_NOT_ALLOWED),
    }

    def check(person: object, offer: Any, **kwargs: object) -> None:
        raise Stopped(reasons.SUM_CHANGED)

    monkeypatch.setattr(rules, "check", check)
    assert kinds_of(draft_ticked(manager, [seed.PAYMENT])) == {
        seed.PAYMENT: (Kind.PAY, reasons.SUM_CHANGED)
    }


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
    manager: Person, admin: Person, payment_id: int, kind: Kind, system: int, reason: str
) -> None:
    own_kind = Kind.MARK if payment_id == seed.CASH_PAYMENT else Kind.PAY
    stage.set_rules(manager.portal, limits={"EUR": "10"})
    both = [TWO[0], seed.CASH_PAYMENT]
    without = draft_ticked(manager, both)
    assert {reason for _, reason in kinds_of(without).values()} == {reasons.NEEDS_APPROVAL}
    offer = open_offer(without.rows.get(payment_id=payment_id).offer, manager)
    asked = requests.ask(manager, offer, pay_system_id=system, pay_system_name="", kind=kind)
    requests.approve(admin, asked.pk)

    run = draft_ticked(manager, both)

    assert kinds_of(run)[payment_id] == (own_kind, reason)
    if reason:
        return
    running.start(run, KINDS_OF_A_RUN)
    runs.worked(manager, run)
    attempt = Attempt.objects.get()
    assert (attempt.payment_id, attempt.kind, attempt.state) == (payment_id, own_kind, State.PAID)
    assert attempt.approval is not None
    assert attempt.approval.state == ApprovalState.USED


# ---- confirmed apart


@pytest.mark.parametrize(
    ("kind", "other", "left_out"),
    [
        (Kind.PAY, Kind.MARK, messages.MARKING_UNCONFIRMED),
        (Kind.MARK, Kind.PAY, messages.PAYING_UNCONFIRMED),
    ],
)
def test_only_the_kinds_that_were_confirmed_are_done(
    alpha: Portal, manager: Person, kind: Kind, other: Kind, left_out: str
) -> None:
    run = runs.started(manager, *TWO, seed.CASH_PAYMENT, kinds=[kind])
    # A second start confirms nothing more.
    running.start(run, [other])

    assert runs.worked(manager, run).state == RunState.FINISHED

    rows = runs.rows(run)
    assert {row.kind for row in rows.values()} == {kind, other}
    for number, row in rows.items():
        assert alpha.payments[number].paid == (row.kind == kind)
        if row.kind == other:
            assert (row.state, row.reason) == (RowState.SKIPPED, left_out)


def test_a_run_cannot_start_without_a_row_that_was_confirmed(manager: Person, frame: Frame) -> None:
    run = draft_ticked(manager, [seed.CASH_PAYMENT])
    with pytest.raises(NothingConfirmed):
        running.start(run, [Kind.PAY])
    for fields, says in (
        ({}, "Neither paying nor marking as paid is ticked."),
        ({"kind": "pay"}, "Neither paying nor marking as paid is ticked."),
        ({"kind": ["mark", "undo"]}, "not complete"),
        ({"kind": "x" * 300}, "not complete"),
    ):
        assert says in frame.send(f"/payments/runs/{run.pk}/start/", 400, **fields)
    run.refresh_from_db()
    assert run.state == RunState.READY
    assert kinds_of(run) == {seed.CASH_PAYMENT: (Kind.MARK, "")}
