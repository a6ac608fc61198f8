"""Rules that are saved while a payment is being prepared hold for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from b24app.identity.session import Person
from payments import reasons
from payments.approvals.requests import approve, ask, withdraw
from payments.attempts.mark_paid import mark
from payments.attempts.messages import messages_of
from payments.attempts.pay import pay
from payments.attempts.undo import undo
from payments.bulk import messages
from payments.models import Approval, Attempt, Kind, Policy, RowState, RunState, State, Who
from payments.policy import rules as policy
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import runs, stage
from tests.payments.unconfirmed import MARK, UNDO, calls

pytestmark = pytest.mark.django_db

BIND = "crm.item.payment.update"
Hook = Callable[[], object]


def after_each_check(monkeypatch: pytest.MonkeyPatch, hook: Hook, *, times: int) -> None:
    """Runs this after the rules have allowed an attempt, and before it is marked as sent."""
    real, left = policy.check, list(range(times))

    def check(*args: Any, **named: Any) -> Any:
        found = real(*args, **named)
        if left:
            left.pop()
            hook()
        return found

    monkeypatch.setattr(policy, "check", check)


def changed_pay_system(who: Person) -> Attempt:
    return pay(who, stage.offer_of(who), pay_system_id=seed.DEMO_CARD_PAY)


def assert_nothing_sent(sandbox: Sandbox, attempt: Attempt, reason: str) -> None:
    stored = Attempt.objects.get(pk=attempt.pk)
    assert (stored.state, stored.reason) == (State.REFUSED, reason)
    assert (stored.sent_at, stored.approval_id, stored.due_at) == (None, None, None)
    assert stage.sent_payments(sandbox) + calls(sandbox, MARK) + calls(sandbox, UNDO) == 0


@pytest.mark.parametrize("had_rules", [False, True])
@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"limits": {"EUR": "100"}}, reasons.NEEDS_APPROVAL),
        ({"systems": [seed.ACME_PAY]}, reasons.POLICY_SYSTEM),
    ],
)
def test_rules_saved_while_the_pay_system_is_changed_hold_for_the_payment(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    had_rules: bool,
    rules: dict[str, Any],
    reason: str,
) -> None:
    if had_rules:
        stage.set_rules(manager.portal, undo_hours=2)
    stage.during(sandbox, BIND, lambda: stage.set_rules(manager.portal, **rules))
    attempt = changed_pay_system(manager)
    assert_nothing_sent(sandbox, attempt, reason)
    assert reasons.REBOUND in messages_of(attempt)
    payment = alpha.payments[seed.PAYMENT]
    assert (payment.paid, payment.pay_system_id) == (False, seed.DEMO_CARD_PAY)


def test_rules_that_still_allow_it_and_those_of_another_portal_do_not_stop_it(
    sandbox: Sandbox, alpha: Portal, beta: Portal, manager: Person
) -> None:
    other = stage.install(sandbox, beta)

    def save() -> None:
        stage.set_rules(manager.portal, limits={"EUR": "100000"})
        stage.set_rules(other, limits={"EUR": "1"})

    stage.during(sandbox, BIND, save)
    attempt = changed_pay_system(manager)
    assert (attempt.state, stage.sent_payments(sandbox)) == (State.PAID, 1)
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def approved(who: Person, approver: Person) -> Approval:
    stage.set_rules(who.portal, limits={"EUR": "100"})
    offer = stage.offer_of(who)
    asked = ask(who, offer, pay_system_id=seed.DEMO_CARD_PAY, pay_system_name="", kind=Kind.PAY)
    return approve(approver, asked.pk)


def test_an_approval_of_new_rules_is_used(sandbox: Sandbox, manager: Person, admin: Person) -> None:
    approval = approved(manager, admin)
    stage.set_rules(manager.portal, limits={})
    demand = partial(stage.set_rules, manager.portal, limits={"EUR": "100"})
    stage.during(sandbox, BIND, demand)
    attempt = changed_pay_system(manager)
    assert (attempt.state, attempt.approval_id) == (State.PAID, approval.pk)
    approval.refresh_from_db()
    assert approval.state == "used"


def test_an_approval_withdrawn_while_the_pay_system_is_changed_pays_nothing(
    sandbox: Sandbox, manager: Person, admin: Person
) -> None:
    approval = approved(manager, admin)
    stage.during(sandbox, BIND, lambda: withdraw(manager, approval.pk))
    assert_nothing_sent(sandbox, changed_pay_system(manager), reasons.NEEDS_APPROVAL)


def test_a_mark_is_held_to_them_as_well(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = stage.offer_of(manager, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)
    hook = lambda: stage.set_rules(manager.portal, limits={"EUR": "100"})  # noqa: E731
    after_each_check(monkeypatch, hook, times=1)
    assert_nothing_sent(sandbox, mark(manager, offer), reasons.NEEDS_APPROVAL)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"undo_hours": 0}, reasons.UNDO_OFF),
        ({"undo_by": Who.ADMINISTRATORS}, reasons.UNDO_NOT_ALLOWED),
    ],
)
def test_an_undoing_is_held_to_them_as_well(
    sandbox: Sandbox, alpha: Portal, manager: Person, rules: dict[str, Any], reason: str
) -> None:
    offer = stage.offer_of(manager)
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    stage.during(sandbox, stage.READ_BACK, lambda: stage.set_rules(manager.portal, **rules))
    attempt = undo(manager, offer, note="By mistake")
    assert (attempt.state, attempt.reason) == (State.REFUSED, reason)
    assert calls(sandbox, UNDO) == 0
    assert alpha.payments[seed.PAYMENT].paid


@pytest.mark.parametrize("when", ["while it is read", "after it was allowed"])
def test_a_row_of_a_run_is_held_to_them_as_well(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    run = runs.started(manager, *seed.PLAIN_PAYMENTS[:2])

    def forbid() -> None:
        stage.set_rules(manager.portal, bulk_by=Who.ADMINISTRATORS)

    if when == "while it is read":
        stage.during(sandbox, stage.READ_BACK, forbid)
    else:
        after_each_check(monkeypatch, forbid, times=1)
    runs.next_step(manager, run)
    assert (run.state, run.reason) == (RunState.PAUSED, messages.POLICY)
    assert {row.state for row in run.rows.all()} == {RowState.WAITING}
    assert stage.sent_payments(sandbox) == 0


def test_rules_that_keep_changing_end_the_attempt(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_each_check(monkeypatch, lambda: stage.set_rules(manager.portal), times=100)
    offer = stage.offer_of(manager)
    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert_nothing_sent(sandbox, attempt, reasons.RULES_UNSETTLED)
    assert Policy.objects.get().version < 10
