"""Closing by hand: only what was handed over, after a last read, and never called paid."""

from __future__ import annotations

import pytest
from django.utils import timezone

from b24app.errors import Missing
from b24app.identity.session import Person
from b24app.rest import client
from payments import reasons
from payments.attempts.close import NotHandedOver
from payments.attempts.messages import messages_of
from payments.attempts.pay import pay
from payments.attempts.reconcile import HAND_OVER_AFTER, close_by_hand, reconcile
from payments.attempts.transitions import close_undecided
from payments.attempts.undo import undo
from payments.forms import NoteNeeded
from payments.models import Attempt, State
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.unconfirmed import UNDO, lost, lost_payment, overdue, silence

pytestmark = pytest.mark.django_db

NOTE = "The bank's statement shows nothing"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "pause", lambda seconds: None)


@pytest.fixture
def admin(sandbox: Sandbox, manager: Person) -> Person:
    return stage.person(sandbox, manager.portal, seed.ADMIN)


def handed_over(sandbox: Sandbox, attempt: Attempt) -> Attempt:
    """Returns an attempt after a day of silence, which goes on."""
    Attempt.objects.update(sent_at=timezone.now() - HAND_OVER_AFTER)
    silence(sandbox)
    assert reconcile(now=overdue()).handed_over == 1
    sandbox.log.clear()
    attempt.refresh_from_db()
    return attempt


@pytest.fixture
def attempt(sandbox: Sandbox, manager: Person) -> Attempt:
    return handed_over(sandbox, lost_payment(sandbox, manager))


def test_without_a_clear_answer_it_is_closed_and_never_called_paid(
    sandbox: Sandbox, alpha: Portal, manager: Person, admin: Person, attempt: Attempt
) -> None:
    assert alpha.payments[seed.PAYMENT].paid

    closed = close_by_hand(attempt, by=admin, note=f" {NOTE}\n")

    assert (closed.state, closed.reason) == (State.CLOSED, reasons.CLOSED_BY_HAND)
    assert messages_of(closed)
    stored = Attempt.objects.get()
    assert (stored.state, stored.note, stored.due_at) == (State.CLOSED, NOTE, None)
    assert stored.settled_at is not None
    assert stored.evidence["closedBy"] == seed.ADMIN
    assert stored.evidence["answer"] == "none"
    # It no longer blocks: the payment itself decides what may still be done with it.
    sandbox.faults.clear()
    again = pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    assert (again.state, again.reason) == (State.REFUSED, reasons.ALREADY_PAID)
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def test_the_last_read_decides(sandbox: Sandbox, admin: Person, attempt: Attempt) -> None:
    sandbox.faults.clear()
    settled = close_by_hand(attempt, by=admin, note=NOTE)
    assert (settled.state, settled.note) == (State.PAID, "")
    assert Attempt.objects.get().state == State.PAID


def test_the_administrators_own_token_is_tried_too(
    sandbox: Sandbox, admin: Person, attempt: Attempt
) -> None:
    sandbox.faults.clear()
    attempt.portal.tokens.exclude(user_id=seed.ADMIN, serves_portal=False).delete()
    assert close_by_hand(attempt, by=admin, note=NOTE).state == State.PAID
    assert Attempt.objects.get().evidence["askedBy"] == seed.ADMIN


def test_without_any_token_at_all_it_can_be_closed(
    sandbox: Sandbox, admin: Person, attempt: Attempt
) -> None:
    attempt.portal.tokens.all().delete()
    assert close_by_hand(attempt, by=admin, note=NOTE).state == State.CLOSED
    assert sandbox.log == []


def test_what_is_still_looked_at_is_nobodys_to_decide(
    sandbox: Sandbox, manager: Person, admin: Person
) -> None:
    attempt = lost_payment(sandbox, manager)
    silence(sandbox)
    with pytest.raises(NotHandedOver):
        close_by_hand(attempt, by=admin, note=NOTE)
    assert Attempt.objects.get().state == State.UNKNOWN
    assert sandbox.log == []


def test_the_database_itself_closes_only_what_was_handed_over(
    sandbox: Sandbox, manager: Person
) -> None:
    attempt = lost_payment(sandbox, manager)
    assert not close_undecided(attempt, by=seed.ADMIN, note=NOTE)
    assert Attempt.objects.get().state == State.UNKNOWN


def test_what_was_settled_meanwhile_stays_so(admin: Person, attempt: Attempt) -> None:
    Attempt.objects.update(state=State.PAID, due_at=None)
    assert close_by_hand(attempt, by=admin, note=NOTE).state == State.PAID
    assert Attempt.objects.get().note == ""


def test_another_portals_attempt_does_not_exist(
    sandbox: Sandbox, beta: Portal, attempt: Attempt
) -> None:
    stranger = stage.person(sandbox, stage.install(sandbox, beta), seed.ADMIN)
    with pytest.raises(Missing):
        close_by_hand(attempt, by=stranger, note=NOTE)
    assert Attempt.objects.get().state == State.UNKNOWN


def test_a_reason_has_to_be_written_down(admin: Person, attempt: Attempt) -> None:
    with pytest.raises(NoteNeeded):
        close_by_hand(attempt, by=admin, note=" ")
    assert Attempt.objects.get().state == State.UNKNOWN


def test_why_it_was_to_be_undone_is_kept_beside(
    sandbox: Sandbox, manager: Person, admin: Person
) -> None:
    offer = stage.offer_of(manager)
    pay(manager, offer, pay_system_id=seed.ACME_PAY)
    undoing = lost(sandbox, lambda: undo(manager, offer, note="Wrong order"), method=UNDO)
    handed_over(sandbox, undoing)
    closed = close_by_hand(undoing, by=admin, note=NOTE)
    assert (closed.state, closed.note) == (State.CLOSED, NOTE)
    assert closed.evidence["noteBefore"] == "Wrong order"
