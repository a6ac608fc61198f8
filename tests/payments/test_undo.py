"""Undoing: one call, only of what the app has paid, and believed only after the read-back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from b24app import models
from b24app.errors import Missing
from b24app.identity.session import Person
from b24app.signals import portal_uninstalled
from payments import reasons
from payments.attempts.mark_paid import mark
from payments.attempts.messages import messages_of
from payments.attempts.pay import check, pay
from payments.attempts.reconcile import reconcile
from payments.attempts.settle import settle_saved
from payments.attempts.undo import undo
from payments.attempts.undo_rules import may_undo, undoable
from payments.forms import NoteNeeded
from payments.models import Attempt, Kind, Policy, State, Who
from payments.offer import Offer
from payments.policy import rules as policy
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role
from tests.payments import stage
from tests.payments.unconfirmed import UNDO, calls, lost, overdue

pytestmark = pytest.mark.django_db

NOTE = "Paid for the wrong order"


@pytest.fixture
def offer(manager: Person) -> Offer:
    return stage.offer_of(manager)


@pytest.fixture
def paid(manager: Person, offer: Offer) -> Attempt:
    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert attempt.state == State.PAID
    return attempt


def rules(
    monkeypatch: pytest.MonkeyPatch, *, undo_hours: int = 24, administrators_only: bool = False
) -> None:
    """Sets what the portal's administrator allows."""

    undo_by = Who.ADMINISTRATORS if administrators_only else Who.EVERYBODY
    found = Policy(undo_hours=undo_hours, undo_by=undo_by)
    monkeypatch.setattr(policy, "policy_of", lambda portal: found)


def refused(sandbox: Sandbox, attempt: Attempt, reason: str) -> bool:
    """Returns whether it was refused for this reason, with messages, and nothing was sent."""
    assert messages_of(attempt)
    return (
        attempt.kind == Kind.UNDO
        and (attempt.state, attempt.reason) == (State.REFUSED, reason)
        and calls(sandbox, UNDO) == 0
    )


def test_what_was_paid_is_undone_and_can_be_paid_again(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, paid: Attempt
) -> None:
    undone = undo(manager, offer, note="  Paid for the\nwrong order ")

    assert (undone.kind, undone.state, undone.reason) == (Kind.UNDO, State.UNDONE, "")
    assert undone.note == NOTE
    assert undone.evidence["paid"] == "N"
    assert not alpha.payments[seed.PAYMENT].paid
    assert calls(sandbox, UNDO) == 1
    paid.refresh_from_db()
    assert paid.state == State.PAID
    assert list(paid.undoings.all()) == [undone]
    # As the page shows it now: the old one was about a payment that had not been undone.
    again = pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    assert again.state == State.PAID
    assert Attempt.objects.count() == 3
    assert alpha.payments[seed.PAYMENT].times_paid == 2


def test_a_mark_is_undone_as_well(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    offer = stage.offer_of(manager, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)
    marked = mark(manager, offer)
    undone = undo(manager, offer, note=NOTE)
    assert (undone.state, undone.undoes_id) == (State.UNDONE, marked.pk)
    assert not alpha.payments[seed.CASH_PAYMENT].paid


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


def test_another_persons_offer_does_not_exist(manager: Person, offer: Offer, paid: Attempt) -> None:
    with pytest.raises(Missing):
        undo(manager, replace(offer, user_id=seed.ADMIN), note=NOTE)


def test_what_the_app_did_not_pay_is_not_undone(sandbox: Sandbox, manager: Person) -> None:
    offer = stage.offer_of(manager, deal_id=seed.PAID_DEAL, payment_id=seed.PAID_PAYMENT)
    assert refused(sandbox, undo(manager, offer, note=NOTE), reasons.NOT_PAID_HERE)


def test_what_another_person_paid_at_the_same_time_is_not_undone(
    sandbox: Sandbox, manager: Person, offer: Offer, paid: Attempt
) -> None:
    Attempt.objects.update(reason=reasons.PAID_BY_OTHER)
    assert refused(sandbox, undo(manager, offer, note=NOTE), reasons.NOT_PAID_HERE)


def test_what_is_undone_is_not_undone_again(
    sandbox: Sandbox, manager: Person, offer: Offer, paid: Attempt
) -> None:
    undo(manager, offer, note=NOTE)
    again = undo(manager, offer, note=NOTE)
    assert (again.state, again.reason) == (State.REFUSED, reasons.NOT_PAID_HERE)
    assert calls(sandbox, UNDO) == 1


def test_it_is_over_after_the_time_that_the_administrator_set(
    sandbox: Sandbox,
    manager: Person,
    offer: Offer,
    paid: Attempt,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules(monkeypatch, undo_hours=2)
    two_hours = timedelta(hours=2)
    Attempt.objects.filter(pk=paid.pk).update(settled_at=timezone.now() - two_hours)
    assert refused(sandbox, undo(manager, offer, note=NOTE), reasons.UNDO_TOO_LATE)
    soon = timezone.now() - two_hours + timedelta(minutes=1)
    Attempt.objects.filter(pk=paid.pk).update(settled_at=soon)
    assert undo(manager, offer, note=NOTE).state == State.UNDONE


def test_it_can_be_switched_off(
    sandbox: Sandbox,
    manager: Person,
    offer: Offer,
    paid: Attempt,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules(monkeypatch, undo_hours=0)
    assert refused(sandbox, undo(manager, offer, note=NOTE), reasons.UNDO_OFF)


def test_only_those_allowed_by_the_rules_and_the_administrator_right_is_read_again(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    offer: Offer,
    paid: Attempt,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules(monkeypatch, administrators_only=True)
    admin = stage.person(sandbox, manager.portal, seed.ADMIN)
    theirs = stage.offer_of(admin)
    assert refused(sandbox, undo(manager, offer, note=NOTE), reasons.UNDO_NOT_ALLOWED)
    undone = undo(admin, theirs, note=NOTE)
    assert (undone.state, undone.user_id, undone.undoes_id) == (
        State.UNDONE,
        seed.ADMIN,
        paid.pk,
    )


def test_the_order_right_is_needed(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, paid: Attempt
) -> None:
    alpha.users[seed.MANAGER].role = Role.READER
    assert refused(sandbox, undo(manager, offer, note=NOTE), reasons.NO_ORDER_RIGHT)


def test_a_payment_of_a_hidden_deal_is_not_undone(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    own = stage.person(sandbox, manager.portal, seed.OWN_MANAGER)
    offer = stage.offer_of(own, deal_id=seed.OWN_DEAL, payment_id=seed.OWN_PAYMENT)
    assert pay(own, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    alpha.items[2, seed.OWN_DEAL].responsible_id = seed.ADMIN
    assert refused(sandbox, undo(own, offer, note=NOTE), reasons.NOT_READABLE)


def test_the_present_payment_is_compared_with_what_was_shown_and_paid(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, paid: Attempt
) -> None:
    payment = alpha.payments[seed.PAYMENT]
    payment.sum += 1
    assert refused(sandbox, undo(manager, offer, note=NOTE), reasons.SUM_CHANGED)
    payment.sum -= 1
    payment.paid = False
    assert refused(sandbox, undo(manager, offer, note=NOTE), reasons.NOT_PAID_ANY_MORE)
    payment.paid = True
    assert payment.date_paid is not None
    payment.date_paid += timedelta(minutes=1)
    assert refused(sandbox, undo(manager, offer, note=NOTE), reasons.PAID_SINCE)
    payment.date_paid -= timedelta(minutes=1)
    payment.emp_paid_id = seed.ADMIN
    assert refused(sandbox, undo(manager, offer, note=NOTE), reasons.PAID_SINCE)
    assert not stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT).undoable


def test_true_is_not_believed(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, paid: Attempt
) -> None:
    sandbox.faults.add(Fault("true_without_payment", method=UNDO))
    attempt = undo(manager, offer, note=NOTE)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.TRUE_WITHOUT_PAYMENT)
    assert alpha.payments[seed.PAYMENT].paid


@pytest.mark.parametrize("kind", ["drop", "html502", "status500", "broken_json", "query_limit"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_after_each_answer_the_payment_itself_decides(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    offer: Offer,
    paid: Attempt,
    kind: str,
    when: str,
) -> None:
    sandbox.faults.add(Fault(kind, method=UNDO, when=when))

    attempt = undo(manager, offer, note=NOTE)

    if when == "after":
        assert attempt.state == State.UNDONE
    else:
        assert attempt.state == (State.REFUSED if kind == "query_limit" else State.UNKNOWN)
    assert (attempt.state == State.UNDONE) == (not alpha.payments[seed.PAYMENT].paid)
    assert calls(sandbox, UNDO) == 1


@pytest.mark.parametrize("way", ["reconcile", "event", "check"])
@pytest.mark.parametrize(("when", "state"), [("before", State.REFUSED), ("after", State.UNDONE)])
def test_what_is_not_confirmed_is_settled_each_way(
    sandbox: Sandbox,
    manager: Person,
    offer: Offer,
    paid: Attempt,
    way: str,
    when: str,
    state: State,
) -> None:
    attempt = lost(sandbox, lambda: undo(manager, offer, note=NOTE), method=UNDO, when=when)
    assert attempt.sent_at is not None
    long_ago = attempt.sent_at - (overdue() - attempt.sent_at)
    Attempt.objects.filter(pk=attempt.pk).update(sent_at=long_ago)
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).pk == attempt.pk

    if way == "reconcile":
        done = reconcile(now=overdue())
        assert (done.undone, done.refused) == ((1, 0) if state == State.UNDONE else (0, 1))
    elif way == "event":
        settle_saved(manager.portal, seed.PAYMENT)
    else:
        check(manager, offer)

    attempt.refresh_from_db()
    assert (attempt.state, attempt.undoes_id) == (state, paid.pk)
    assert calls(sandbox, UNDO) == 0


def test_undone_and_paid_again_is_told_from_never_undone(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, paid: Attempt
) -> None:
    attempt = lost(sandbox, lambda: undo(manager, offer, note=NOTE), method=UNDO)
    payment = alpha.payments[seed.PAYMENT]
    assert payment.date_paid is not None
    payment.paid, payment.emp_paid_id = True, seed.ADMIN
    payment.date_paid += timedelta(minutes=1)

    assert reconcile(now=overdue()).undone == 1

    attempt.refresh_from_db()
    assert (attempt.state, attempt.reason) == (State.UNDONE, reasons.PAID_AGAIN)
    assert messages_of(attempt)


def test_a_payment_deleted_after_it_was_undone_is_undone(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, paid: Attempt
) -> None:
    attempt = lost(sandbox, lambda: undo(manager, offer, note=NOTE), method=UNDO)
    del alpha.payments[seed.PAYMENT]
    assert reconcile(now=overdue()).undone == 1
    attempt.refresh_from_db()
    assert (attempt.state, attempt.reason) == (State.UNDONE, reasons.DELETED_UNPAID)


def test_what_a_page_may_offer(
    manager: Person, offer: Offer, paid: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert undoable(manager.portal.pk, [seed.PAYMENT, 1]) == {seed.PAYMENT: paid}
    rules(monkeypatch, administrators_only=True)
    allowed = policy.policy_of(manager.portal)
    assert may_undo(seed.ADMIN, paid, rules=allowed, is_admin=True)
    assert not may_undo(seed.MANAGER, paid, rules=allowed, is_admin=False)
    tomorrow = timezone.now() + timedelta(hours=25)
    assert not may_undo(seed.ADMIN, paid, rules=allowed, is_admin=True, now=tomorrow)
    Attempt.objects.update(state=State.REFUSED)
    assert undoable(manager.portal.pk, [seed.PAYMENT]) == {}


def test_the_data_of_a_portal_is_deleted_with_all_its_undoings(
    manager: Person, offer: Offer, paid: Attempt
) -> None:
    undo(manager, offer, note=NOTE)
    portal_uninstalled.send(sender=models.Portal, portal=manager.portal, clean=True)
    assert not Attempt.objects.exists()


def test_what_a_person_wrote_goes_with_the_app(
    manager: Person, offer: Offer, paid: Attempt
) -> None:
    undo(manager, offer, note=NOTE)
    portal_uninstalled.send(sender=models.Portal, portal=manager.portal, clean=False)
    assert NOTE not in str(list(Attempt.objects.values()))
