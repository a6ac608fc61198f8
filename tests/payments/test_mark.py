"""Marking as paid by hand: one call that moves no money, believed only after the read-back."""

from __future__ import annotations

import pytest
from django.core.cache import cache

from b24app.identity.session import Person
from payments import reasons
from payments.attempts.mark_paid import mark
from payments.attempts.messages import messages_of
from payments.attempts.pay import check, pay
from payments.attempts.reconcile import reconcile
from payments.attempts.settle import settle_saved
from payments.models import Attempt, Kind, State
from payments.offer import Offer
from payments.policy import rules
from payments.reasons import Stopped
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role
from tests.payments import stage
from tests.payments.unconfirmed import MARK, calls, lost, overdue

pytestmark = pytest.mark.django_db


def cash(who: Person) -> Offer:
    return stage.offer_of(who, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)


@pytest.mark.parametrize(
    ("deal_id", "payment_id"),
    [
        (seed.CASH_DEAL, seed.CASH_PAYMENT),
        (seed.BILL_DEAL, seed.BILL_PAYMENT),
        (seed.ACQUIRER_DEAL, seed.ACQUIRER_PAYMENT),
        (seed.BUILT_IN_DEAL, seed.ON_DELIVERY_PAYMENT),
        (seed.BUILT_IN_DEAL, seed.DOCUMENT_PAYMENT),
    ],
)
def test_what_cannot_be_paid_is_marked_once(
    sandbox: Sandbox, alpha: Portal, manager: Person, deal_id: int, payment_id: int
) -> None:
    offer = stage.offer_of(manager, deal_id=deal_id, payment_id=payment_id)

    attempt = mark(manager, offer)

    assert (attempt.kind, attempt.state, attempt.reason) == (Kind.MARK, State.PAID, "")
    payment = alpha.payments[payment_id]
    assert (payment.paid, payment.times_paid, payment.emp_paid_id) == (True, 1, seed.MANAGER)
    assert calls(sandbox, MARK) == 1
    assert stage.sent_payments(sandbox) == 0
    stored = Attempt.objects.get()
    assert (stored.state, stored.kind, stored.due_at) == (State.PAID, Kind.MARK, None)
    assert stored.evidence["paid"] == "Y"


def test_what_can_be_paid_is_not_marked(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    attempt = mark(manager, stage.offer_of(manager))

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.CAN_BE_PAID)
    assert "Press Pay" in str(messages_of(attempt)[0])
    assert calls(sandbox, MARK) == 0
    assert not alpha.payments[seed.PAYMENT].paid


def test_the_buyers_account_is_never_taken_from(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    """Marking a payment of the buyer's account would take the money out of it."""
    offer = stage.offer_of(manager, deal_id=seed.BUILT_IN_DEAL, payment_id=seed.INNER_PAYMENT)

    attempt = mark(manager, offer)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.PAY_SYSTEM_UNFIT)
    assert calls(sandbox, MARK) == 0
    assert not alpha.payments[seed.INNER_PAYMENT].paid


def test_what_is_switched_off_or_gone_since_the_page_was_opened_is_not_marked(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = cash(manager)
    alpha.pay_systems[seed.CASH].active = False
    assert mark(manager, offer).reason == reasons.PAY_SYSTEM_UNFIT
    del alpha.pay_systems[seed.CASH]
    assert mark(manager, offer).reason == reasons.PAY_SYSTEM_GONE
    assert calls(sandbox, MARK) == 0


def test_where_the_pay_systems_are_not_known_nothing_is_marked(
    sandbox: Sandbox, manager: Person
) -> None:
    offer = cash(manager)
    stage.lose_portal_token(manager.portal)
    cache.clear()

    attempt = mark(manager, offer)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.SYSTEMS_UNKNOWN)
    assert messages_of(attempt)
    assert calls(sandbox, MARK) == 0


def test_the_guards_of_paying_hold(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    offer = cash(manager)
    alpha.payments[seed.CASH_PAYMENT].sum += 1
    assert mark(manager, offer).reason == reasons.SUM_CHANGED
    offer = cash(manager)
    alpha.orders[alpha.payments[seed.CASH_PAYMENT].order_id].canceled = True
    assert mark(manager, offer).reason == reasons.ORDER_CANCELED
    alpha.orders[alpha.payments[seed.CASH_PAYMENT].order_id].canceled = False
    assert mark(manager, offer).state == State.PAID
    assert mark(manager, offer).reason == reasons.ALREADY_PAID
    assert calls(sandbox, MARK) == 1


def test_the_portals_rules_are_asked_last(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(*args: object, kind: str, **more: object) -> None:
        assert kind == Kind.MARK
        raise Stopped(reasons.PAY_SYSTEM_UNFIT)

    monkeypatch.setattr(rules, "check", forbid)
    assert mark(manager, cash(manager)).reason == reasons.PAY_SYSTEM_UNFIT
    assert mark(manager, stage.offer_of(manager)).reason == reasons.CAN_BE_PAID
    assert calls(sandbox, MARK) == 0


def test_without_the_order_right_nothing_is_sent(sandbox: Sandbox, manager: Person) -> None:
    reader = stage.person(sandbox, manager.portal, seed.READER)
    assert mark(reader, cash(reader)).reason == reasons.NO_ORDER_RIGHT
    assert calls(sandbox, MARK) == 0


@pytest.mark.parametrize("older_build", [False, True])
def test_a_right_that_is_gone_at_the_last_moment_is_reported(
    sandbox: Sandbox, alpha: Portal, manager: Person, older_build: bool
) -> None:
    """Newer portals refuse with a code, older ones with the number 0."""
    alpha.older_build = older_build
    offer = cash(manager)

    def take_away() -> None:
        alpha.users[seed.MANAGER].role = Role.READER

    sandbox.faults.add(Fault("delay", method=MARK, seconds=0, on_hit=take_away))

    attempt = mark(manager, offer)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.NO_ORDER_UPDATE)
    assert attempt.evidence["error"]["code"] == ("0" if older_build else "ACCESS_DENIED")
    assert "does not let you change this order" in str(messages_of(attempt)[0])
    assert not alpha.payments[seed.CASH_PAYMENT].paid


def test_true_is_not_believed(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    sandbox.faults.add(Fault("true_without_payment", method=MARK))
    attempt = mark(manager, cash(manager))
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.TRUE_WITHOUT_PAYMENT)
    assert not alpha.payments[seed.CASH_PAYMENT].paid


@pytest.mark.parametrize("kind", ["drop", "html502", "status500", "broken_json", "query_limit"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_after_each_answer_the_payment_itself_decides(
    sandbox: Sandbox, alpha: Portal, manager: Person, kind: str, when: str
) -> None:
    sandbox.faults.add(Fault(kind, method=MARK, when=when))

    attempt = mark(manager, cash(manager))

    if when == "after":
        assert attempt.state == State.PAID
    else:
        assert attempt.state == (State.REFUSED if kind == "query_limit" else State.UNKNOWN)
    assert (attempt.state == State.PAID) == alpha.payments[seed.CASH_PAYMENT].paid
    assert calls(sandbox, MARK) == 1


@pytest.mark.parametrize("way", ["reconcile", "event", "check"])
@pytest.mark.parametrize(("when", "state"), [("before", State.REFUSED), ("after", State.PAID)])
def test_what_is_not_confirmed_is_settled_each_way(
    sandbox: Sandbox, manager: Person, way: str, when: str, state: State
) -> None:
    offer = cash(manager)
    attempt = lost(sandbox, lambda: mark(manager, offer), method=MARK, when=when)
    assert attempt.sent_at is not None
    Attempt.objects.update(sent_at=attempt.sent_at - (overdue() - attempt.sent_at))
    assert mark(manager, offer).pk == attempt.pk
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).pk == attempt.pk

    if way == "reconcile":
        reconcile(now=overdue())
    elif way == "event":
        settle_saved(manager.portal, seed.CASH_PAYMENT)
    else:
        check(manager, offer)

    assert Attempt.objects.get().state == state
    assert calls(sandbox, MARK) == 0
