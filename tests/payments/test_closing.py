"""Closing by hand: only what was handed over, after a last read, and never called paid."""

from __future__ import annotations

import pytest
from django.utils import timezone

from b24app import models
from b24app.errors import Missing
from b24app.identity.session import Person
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
from tests.payments import attempts, stage
from tests.payments.frames import Frame, text_of, words
from tests.payments.test_history import CHECK, CLOSE, SCREEN, WAITING
from tests.payments.unconfirmed import UNDO, lost, lost_payment, overdue, silence

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]

NOTE = "The bank's statement shows nothing"


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
    assert (stored.evidence["closedBy"], stored.evidence["answer"]) == (seed.ADMIN, "none")
    # It no longer blocks: the payment itself decides what may still be done with it.
    sandbox.faults.clear()
    again = pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    assert (again.state, again.reason) == (State.REFUSED, reasons.ALREADY_PAID)
    assert alpha.payments[seed.PAYMENT].times_paid == 1


@pytest.mark.parametrize("is_admins_token_alone", [False, True])
def test_the_last_read_decides(
    sandbox: Sandbox, admin: Person, attempt: Attempt, is_admins_token_alone: bool
) -> None:
    sandbox.faults.clear()
    if is_admins_token_alone:
        attempt.portal.tokens.exclude(user_id=seed.ADMIN, serves_portal=False).delete()
    settled = close_by_hand(attempt, by=admin, note=NOTE)
    assert (settled.state, settled.note) == (State.PAID, "")
    stored = Attempt.objects.get()
    assert stored.state == State.PAID
    assert not is_admins_token_alone or stored.evidence["askedBy"] == seed.ADMIN


def test_without_any_token_it_is_closed(sandbox: Sandbox, admin: Person, attempt: Attempt) -> None:
    attempt.portal.tokens.all().delete()
    assert close_by_hand(attempt, by=admin, note=NOTE).state == State.CLOSED
    assert sandbox.log == []


def test_an_attempt_that_is_still_reconciled_is_not_closed(
    sandbox: Sandbox, manager: Person, admin: Person
) -> None:
    attempt = lost_payment(sandbox, manager)
    silence(sandbox)
    with pytest.raises(NotHandedOver):
        close_by_hand(attempt, by=admin, note=NOTE)
    # The database itself refuses too.
    assert not close_undecided(attempt, by=seed.ADMIN, note=NOTE)
    assert Attempt.objects.get().state == State.UNKNOWN
    assert sandbox.log == []


def test_an_attempt_that_was_settled_meanwhile_stays_so(admin: Person, attempt: Attempt) -> None:
    Attempt.objects.update(state=State.PAID, due_at=None)
    assert close_by_hand(attempt, by=admin, note=NOTE).state == State.PAID
    assert Attempt.objects.get().note == ""


def test_another_portals_administrator_and_an_empty_reason_close_nothing(
    sandbox: Sandbox, beta: Portal, admin: Person, attempt: Attempt
) -> None:
    stranger = stage.person(sandbox, stage.install(sandbox, beta), seed.ADMIN)
    with pytest.raises(Missing):
        close_by_hand(attempt, by=stranger, note=NOTE)
    with pytest.raises(NoteNeeded):
        close_by_hand(attempt, by=admin, note=" ")
    assert Attempt.objects.get().state == State.UNKNOWN


def test_the_note_of_an_undoing_is_kept_beside_the_reason(
    sandbox: Sandbox, manager: Person, admin: Person
) -> None:
    offer = stage.offer_of(manager)
    pay(manager, offer, pay_system_id=seed.ACME_PAY)
    undoing = lost(sandbox, lambda: undo(manager, offer, note="Wrong order"), method=UNDO)
    handed_over(sandbox, undoing)
    closed = close_by_hand(undoing, by=admin, note=NOTE)
    assert (closed.state, closed.note) == (State.CLOSED, NOTE)
    assert closed.evidence["noteBefore"] == "Wrong order"


# ---- on the screen of the history


def test_the_badge_counts_decisions_for_administrators(
    sandbox: Sandbox, portal: models.Portal, frame: Frame, admin_frame: Frame
) -> None:
    with stage.no_request(sandbox):
        assert admin_frame.look(WAITING) == ""
    attempts.handed_over(portal, payment_id=1)
    attempts.handed_over(portal, payment_id=2)
    attempts.keep(portal, payment_id=3, state=State.UNKNOWN)
    attempts.handed_over(portal, payment_id=4, state=State.CLOSED)
    assert (admin_frame.look(WAITING), frame.look(WAITING)) == ("2", "")


def test_only_an_administrator_sees_and_decides(
    sandbox: Sandbox, portal: models.Portal, frame: Frame, admin_frame: Frame
) -> None:
    waits = attempts.handed_over(portal)
    html = admin_frame.look(SCREEN)
    assert f'data-waiting="{waits.pk}"' in html
    said = words(html.split('id="waiting"')[1].split("</section>")[0])
    for one in ("163/1", "12 500.00 EUR", "Max Manager", "Handed over", "No clear answer"):
        assert one in said
    assert "data-waiting" not in frame.look(SCREEN)
    frame.send(CHECK, 403, attempt=waits.pk)
    frame.send(CLOSE, 403, attempt=waits.pk, note=NOTE)
    with stage.no_request(sandbox):
        for note in ("", "   ", "x" * 256):
            assert "Say why" in admin_frame.send(CLOSE, 400, attempt=waits.pk, note=note)
    waits.refresh_from_db()
    assert (waits.state, waits.note) == (State.UNKNOWN, "")
    silence(sandbox)
    answer = admin_frame.post(CLOSE, attempt=waits.pk, note="  The bank\nsays no  ")
    assert "Payment 163/1 is settled: Closed by hand." in text_of(answer)
    assert answer["HX-Trigger"] == "badges, attempts"
    waits.refresh_from_db()
    assert (waits.state, waits.note) == (State.CLOSED, "The bank says no")
    early = attempts.keep(portal, payment_id=2, state=State.UNKNOWN)
    admin_frame.send(CLOSE, 404, attempt=early.pk, note=NOTE)


def test_check_now_settles_by_the_portals_answer(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal, admin_frame: Frame
) -> None:
    waits = attempts.handed_over(portal)
    payment = alpha.payments[seed.PAYMENT]
    payment.paid, payment.emp_paid_id = True, seed.MANAGER
    silence(sandbox)
    admin_frame.send(CHECK, 504, attempt=waits.pk)
    waits.refresh_from_db()
    assert waits.state == State.UNKNOWN
    sandbox.faults.clear()
    assert "Payment 163/1 is settled: Paid." in admin_frame.send(CHECK, attempt=waits.pk)
    waits.refresh_from_db()
    assert (waits.state, waits.evidence["empPaidId"]) == (State.PAID, seed.MANAGER)
    assert payment.times_paid == 0
