"""Marking as paid and undoing: one call that moves no money, believed only after the read-back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from b24app.identity.session import Person
from payments import reasons
from payments.attempts.mark_paid import mark
from payments.attempts.messages import messages_of
from payments.attempts.pay import check
from payments.attempts.reconcile import reconcile
from payments.attempts.settle import settle_saved
from payments.attempts.undo import undo
from payments.attempts.undo_rules import may_undo, undoable
from payments.forms import NoteNeeded
from payments.models import Attempt, Kind, Policy, State, Who
from payments.offer import Offer
from payments.policy import rules as policy
from payments.reasons import Stopped
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role
from tests.payments import stage
from tests.payments.pressing import press
from tests.payments.unconfirmed import MARK, UNDO, calls, lost, overdue

pytestmark = pytest.mark.django_db

NOTE = "Paid for the wrong order"
KINDS = {MARK: Kind.MARK, UNDO: Kind.UNDO}


def cash(who: Person) -> Offer:
    return stage.offer_of(who, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)


@pytest.fixture
def offer(manager: Person) -> Offer:
    return stage.offer_of(manager)


@pytest.fixture
def paid(manager: Person, offer: Offer) -> Attempt:
    attempt = press(manager, offer)
    assert attempt.state == State.PAID
    return attempt


def undo_refused(sandbox: Sandbox, who: Person, offer: Offer) -> str:
    return why_refused(sandbox, UNDO, lambda: undo(who, offer, note=NOTE))


def mark_refused(sandbox: Sandbox, who: Person, offer: Offer) -> str:
    return why_refused(sandbox, MARK, lambda: mark(who, offer))


def why_refused(sandbox: Sandbox, method: str, run: Callable[[], Attempt]) -> str:
    """Asserts that nothing is sent and the person is told why. Returns the reason."""
    told = calls(sandbox, method)
    attempt = run()
    assert (attempt.kind, attempt.state) == (KINDS[method], State.REFUSED)
    assert messages_of(attempt)
    assert calls(sandbox, method) == told
    return attempt.reason


# ---- both


@dataclass(frozen=True)
class Act:
    """A change by hand, about to be made to a payment that needs it."""

    method: str
    done: State
    offer: Offer
    run: Callable[[], Attempt]


@pytest.fixture(params=[Kind.MARK, Kind.UNDO])
def act(request: pytest.FixtureRequest, manager: Person) -> Act:
    if request.param == Kind.MARK:
        given = cash(manager)
        return Act(MARK, State.PAID, given, lambda: mark(manager, given))
    shown = stage.offer_of(manager)
    assert press(manager, shown).state == State.PAID
    return Act(UNDO, State.UNDONE, shown, lambda: undo(manager, shown, note=NOTE))


def is_done(alpha: Portal, act: Act) -> bool:
    return alpha.payments[act.offer.payment_id].paid is (act.done == State.PAID)


def test_true_is_not_believed(sandbox: Sandbox, alpha: Portal, act: Act) -> None:
    sandbox.faults.add(Fault("true_without_payment", method=act.method))
    attempt = act.run()
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.TRUE_WITHOUT_PAYMENT)
    assert not is_done(alpha, act)


@pytest.mark.parametrize("kind", ["drop", "html502", "status500", "broken_json", "query_limit"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_after_each_answer_the_payment_itself_decides(
    sandbox: Sandbox, alpha: Portal, act: Act, kind: str, when: str
) -> None:
    sandbox.faults.add(Fault(kind, method=act.method, when=when))
    attempt = act.run()
    if when == "after":
        assert attempt.state == act.done
    else:
        assert attempt.state == (State.REFUSED if kind == "query_limit" else State.UNKNOWN)
    assert is_done(alpha, act) is (when == "after")
    assert calls(sandbox, act.method) == 1


@pytest.mark.parametrize("way", ["reconcile", "event", "check"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_not_confirmed_is_settled_each_way(
    sandbox: Sandbox, manager: Person, act: Act, way: str, when: str
) -> None:
    attempt = lost(sandbox, act.run, method=act.method, when=when)
    assert attempt.sent_at is not None
    long_ago = attempt.sent_at - (overdue() - attempt.sent_at)
    Attempt.objects.filter(pk=attempt.pk).update(sent_at=long_ago)
    assert act.run().pk == attempt.pk
    assert press(manager, act.offer).pk == attempt.pk

    if way == "reconcile":
        done = reconcile(now=overdue())
        changed = done.undone if act.done == State.UNDONE else done.paid
        assert (changed, done.refused) == ((1, 0) if when == "after" else (0, 1))
    elif way == "event":
        settle_saved(manager.portal, act.offer.payment_id)
    else:
        check(manager, act.offer)

    attempt.refresh_from_db()
    assert attempt.state == (act.done if when == "after" else State.REFUSED)
    assert calls(sandbox, act.method) == 0


# ---- marking


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
    assert (calls(sandbox, MARK), stage.sent_payments(sandbox)) == (1, 0)
    stored = Attempt.objects.get()
    assert (stored.state, stored.kind, stored.due_at) == (State.PAID, Kind.MARK, None)
    assert stored.evidence["paid"] == "Y"
    assert mark_refused(sandbox, manager, offer) == reasons.ALREADY_PAID


def changed(**values: object) -> Callable[[Portal], None]:
    return lambda alpha: vars(alpha.payments[seed.CASH_PAYMENT]).update(values)


def cancel_cash(alpha: Portal) -> None:
    alpha.orders[alpha.payments[seed.CASH_PAYMENT].order_id].canceled = True


def cash_system(**values: object) -> Callable[[Portal], None]:
    return lambda alpha: vars(alpha.pay_systems[seed.CASH]).update(values)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (changed(sum=Decimal(311)), reasons.SUM_CHANGED),
        (cancel_cash, reasons.ORDER_CANCELED),
        (cash_system(active=False), reasons.PAY_SYSTEM_UNFIT),
        (lambda alpha: alpha.pay_systems.pop(seed.CASH), reasons.PAY_SYSTEM_GONE),
    ],
)
def test_what_changed_since_the_page_was_opened_is_not_marked(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    change: Callable[[Portal], object],
    reason: str,
) -> None:
    offer = cash(manager)
    change(alpha)
    assert mark_refused(sandbox, manager, offer) == reason
    assert not alpha.payments[seed.CASH_PAYMENT].paid


def test_the_buyers_account_is_never_taken_from(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    """Marking a payment of the buyer's account would take the money out of it."""
    offer = stage.offer_of(manager, deal_id=seed.BUILT_IN_DEAL, payment_id=seed.INNER_PAYMENT)
    assert mark_refused(sandbox, manager, offer) == reasons.PAY_SYSTEM_UNFIT
    assert not alpha.payments[seed.INNER_PAYMENT].paid


def test_where_the_pay_systems_are_not_known_nothing_is_marked(
    sandbox: Sandbox, manager: Person
) -> None:
    offer = cash(manager)
    stage.lose_portal_token(manager.portal)
    cache.clear()
    assert mark_refused(sandbox, manager, offer) == reasons.SYSTEMS_UNKNOWN


def test_what_can_be_paid_is_not_marked_and_the_portals_rules_are_asked_last(
    sandbox: Sandbox, manager: Person, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(*args: object, kind: str, **more: object) -> None:
        assert kind == Kind.MARK
        raise Stopped(reasons.PAY_SYSTEM_UNFIT)

    monkeypatch.setattr(policy, "check", forbid)
    assert mark_refused(sandbox, manager, cash(manager)) == reasons.PAY_SYSTEM_UNFIT
    assert mark_refused(sandbox, manager, offer) == reasons.CAN_BE_PAID
    assert "Press Pay" in str(messages_of(Attempt.objects.latest("pk"))[0])


@pytest.mark.parametrize("older_build", [False, True])
def test_a_right_that_is_gone_at_the_last_moment_is_reported(
    sandbox: Sandbox, alpha: Portal, manager: Person, older_build: bool
) -> None:
    """Newer portals refuse with a code, older ones with the number 0."""
    alpha.older_build = older_build
    offer = cash(manager)
    user = alpha.users[seed.MANAGER]
    stage.during(sandbox, MARK, lambda: setattr(user, "role", Role.READER))
    attempt = mark(manager, offer)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.NO_ORDER_UPDATE)
    assert attempt.evidence["error"]["code"] == ("0" if older_build else "ACCESS_DENIED")
    assert "does not let you change this order" in str(messages_of(attempt)[0])
    assert not alpha.payments[seed.CASH_PAYMENT].paid


# ---- undoing


def test_what_was_paid_is_undone_once_and_can_be_paid_again(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, paid: Attempt
) -> None:
    undone = undo(manager, offer, note="  Paid for the\nwrong order ")
    assert (undone.kind, undone.state, undone.reason) == (Kind.UNDO, State.UNDONE, "")
    assert (undone.note, undone.evidence["paid"]) == (NOTE, "N")
    payment = alpha.payments[seed.PAYMENT]
    assert (calls(sandbox, UNDO), payment.paid) == (1, False)
    assert Attempt.objects.get(pk=paid.pk).state == State.PAID
    assert list(paid.undoings.all()) == [undone]
    assert undo_refused(sandbox, manager, offer) == reasons.NOT_PAID_HERE
    # As the page shows it now: the old one was about a payment that had not been undone.
    stage.forget_dates(alpha)
    assert press(manager).state == State.PAID
    assert payment.times_paid == 2


@pytest.mark.parametrize("note", ["", "   ", "\n\t", "x" * 256, "a\x00b", "a\ud800b"])
def test_without_a_reason_to_write_down_nothing_is_done(
    sandbox: Sandbox, manager: Person, offer: Offer, paid: Attempt, note: str
) -> None:
    with pytest.raises(NoteNeeded):
        undo(manager, offer, note=note)
    assert Attempt.objects.count() == 1
    assert calls(sandbox, UNDO) == 0


@pytest.mark.parametrize("note", ["x", "x" * 255, "Ä Ω 支付 👩\u200d💻"])
def test_any_words_will_do(manager: Person, offer: Offer, paid: Attempt, note: str) -> None:
    assert undo(manager, offer, note=note).state == State.UNDONE
    assert Attempt.objects.latest("pk").note == note


def test_what_the_app_did_not_pay_is_not_undone(
    sandbox: Sandbox, manager: Person, offer: Offer, paid: Attempt
) -> None:
    """Paid before, or by another person at the same time."""
    before = stage.offer_of(manager, deal_id=seed.PAID_DEAL, payment_id=seed.PAID_PAYMENT)
    assert undo_refused(sandbox, manager, before) == reasons.NOT_PAID_HERE
    Attempt.objects.update(reason=reasons.PAID_BY_OTHER)
    assert undo_refused(sandbox, manager, offer) == reasons.NOT_PAID_HERE


def test_it_is_over_after_the_time_that_the_administrator_set(
    sandbox: Sandbox, manager: Person, offer: Offer, paid: Attempt
) -> None:
    two_hours = timedelta(hours=2)
    stage.set_rules(manager.portal, undo_hours=0)
    assert undo_refused(sandbox, manager, offer) == reasons.UNDO_OFF
    stage.set_rules(manager.portal, undo_hours=2)
    Attempt.objects.filter(pk=paid.pk).update(settled_at=timezone.now() - two_hours)
    assert undo_refused(sandbox, manager, offer) == reasons.UNDO_TOO_LATE
    soon = timezone.now() - two_hours + timedelta(minutes=1)
    Attempt.objects.filter(pk=paid.pk).update(settled_at=soon)
    assert undo(manager, offer, note=NOTE).state == State.UNDONE


def test_only_those_allowed_by_the_rules_undo_it(
    sandbox: Sandbox, manager: Person, admin: Person, offer: Offer, paid: Attempt
) -> None:
    stage.set_rules(manager.portal, undo_by=Who.ADMINISTRATORS)
    assert undo_refused(sandbox, manager, offer) == reasons.UNDO_NOT_ALLOWED
    undone = undo(admin, stage.offer_of(admin), note=NOTE)
    assert (undone.state, undone.user_id) == (State.UNDONE, seed.ADMIN)
    assert undone.undoes_id == paid.pk


def test_the_order_right_and_the_sight_of_the_deal_are_needed(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, paid: Attempt
) -> None:
    own = stage.person(sandbox, manager.portal, seed.OWN_MANAGER)
    theirs = stage.offer_of(own, deal_id=seed.OWN_DEAL, payment_id=seed.OWN_PAYMENT)
    assert press(own, theirs).state == State.PAID
    alpha.items[2, seed.OWN_DEAL].responsible_id = seed.ADMIN
    assert undo_refused(sandbox, own, theirs) == reasons.NOT_READABLE
    unpaid = cash(manager)
    alpha.users[seed.MANAGER].role = Role.READER
    assert undo_refused(sandbox, manager, offer) == reasons.NO_ORDER_RIGHT
    assert mark_refused(sandbox, manager, unpaid) == reasons.NO_ORDER_RIGHT


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sum": 1}, reasons.SUM_CHANGED),
        ({"currency": "USD"}, reasons.CURRENCY_CHANGED),
        ({"paid": False}, reasons.NOT_PAID_ANY_MORE),
        ({"date_paid": timedelta(minutes=1)}, reasons.PAID_SINCE),
        ({"emp_paid_id": seed.ADMIN}, reasons.PAID_SINCE),
    ],
    ids=str,
)
def test_the_present_payment_is_compared_with_what_was_shown_and_paid(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    offer: Offer,
    paid: Attempt,
    change: dict[str, Any],
    reason: str,
) -> None:
    payment = alpha.payments[seed.PAYMENT]
    for name, value in change.items():
        later = isinstance(value, timedelta)
        setattr(payment, name, getattr(payment, name) + value if later else value)
    assert undo_refused(sandbox, manager, offer) == reason
    if reason == reasons.PAID_SINCE:
        assert not stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT).undoable


@pytest.mark.parametrize("reason", [reasons.PAID_AGAIN, reasons.DELETED_UNPAID])
def test_undone_and_then_paid_again_or_deleted_is_told_from_never_undone(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, paid: Attempt, reason: str
) -> None:
    attempt = lost(sandbox, lambda: undo(manager, offer, note=NOTE), method=UNDO)
    payment = alpha.payments.pop(seed.PAYMENT)
    if reason == reasons.PAID_AGAIN:
        assert payment.date_paid is not None
        payment.paid, payment.emp_paid_id = True, seed.ADMIN
        payment.date_paid += timedelta(minutes=1)
        alpha.payments[seed.PAYMENT] = payment
    assert reconcile(now=overdue()).undone == 1
    attempt.refresh_from_db()
    assert (attempt.state, attempt.reason) == (State.UNDONE, reason)
    assert messages_of(attempt)


def test_what_a_page_may_offer(manager: Person, paid: Attempt) -> None:
    assert undoable(manager.portal.pk, [seed.PAYMENT, 1]) == {seed.PAYMENT: paid}
    allowed = Policy(undo_hours=24, undo_by=Who.ADMINISTRATORS)
    assert may_undo(seed.ADMIN, paid, rules=allowed, is_admin=True)
    assert not may_undo(seed.MANAGER, paid, rules=allowed, is_admin=False)
    tomorrow = timezone.now() + timedelta(hours=25)
    assert not may_undo(seed.ADMIN, paid, rules=allowed, is_admin=True, now=tomorrow)
    Attempt.objects.update(state=State.REFUSED)
    assert undoable(manager.portal.pk, [seed.PAYMENT]) == {}
