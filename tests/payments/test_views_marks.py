"""Marking as paid by hand and undoing over HTTP: who is offered what, and the result."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import escape

import pytest
from django.utils import timezone

from b24app import models
from payments import reasons
from payments.attempts import messages
from payments.attempts.messages import why_not
from payments.models import Approval, Attempt, Kind, State, Who
from sandbox.api.faults import AFTER, BEFORE, Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.clocks import Clock, at_any_hour
from tests.payments import stage
from tests.payments.frames import Frame, FrameOf, offer_in, row_in
from tests.payments.unconfirmed import MARK, UNDO, calls, silence

pytestmark = pytest.mark.django_db

UNDO_BUTTON, MARK_BUTTON = "/payments/undo/question/", "/payments/mark/question/"
PAY_BUTTON, CHECK_BUTTON = '"/payments/question/"', "/payments/check/"
NOTE = "Paid twice by mistake"


def paid_row(frame: Frame) -> str:
    return row_in(frame.tab(), "payment", seed.PAYMENT)


def cash_row(frame: Frame) -> str:
    return row_in(frame.tab(seed.CASH_DEAL), "payment", seed.CASH_PAYMENT)


def sealed_in(html: str) -> str:
    found = re.search(r'name="offer" value="([^"]+)"', html)
    assert found is not None
    return found[1]


def marked(frame: Frame, html: str = "") -> str:
    """Marks the cash payment; returns its row."""
    return frame.send("/payments/mark/", offer=sealed_in(html or cash_row(frame)))


def paid(frame: Frame, html: str = "") -> str:
    offer = sealed_in(html or frame.tab())
    return frame.send("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)


def undone(frame: Frame, html: str) -> str:
    return frame.send("/payments/undo/", offer=sealed_in(html), note=NOTE)


def checked(frame: Frame, html: str) -> str:
    return frame.send("/payments/check/", offer=sealed_in(html))


def assert_undo_refused(frame: Frame, html: str, status: int, reason: str) -> None:
    """Asserts that question and undoing are refused with the same words, and nothing is sent."""
    for path in (UNDO_BUTTON, "/payments/undo/"):
        answer = frame.send(path, status, offer=sealed_in(html), note=NOTE)
        assert escape(str(why_not(reason))) in answer
    assert calls(frame.sandbox, UNDO) == 0
    assert Attempt.objects.count() == 1


def lose(sandbox: Sandbox, method: str) -> None:
    """Loses the answer to the method, and all reads after it."""
    stage.during(sandbox, method, lambda: silence(sandbox))
    sandbox.faults.add(Fault("drop", method=method, when=AFTER))


# ---- marking


@pytest.mark.parametrize(
    ("deal_id", "payment_id", "is_offered"),
    [
        (seed.CASH_DEAL, seed.CASH_PAYMENT, True),
        (seed.BILL_DEAL, seed.BILL_PAYMENT, True),
        (seed.ACQUIRER_DEAL, seed.ACQUIRER_PAYMENT, True),
        (seed.BUILT_IN_DEAL, seed.ON_DELIVERY_PAYMENT, True),
        (seed.DEAL, seed.PAYMENT, False),
        (seed.INACTIVE_DEAL, seed.INACTIVE_PAYMENT, False),
        (seed.PAID_DEAL, seed.PAID_PAYMENT, False),
        # Marking one of these takes money from the buyer's account in the portal.
        (seed.BUILT_IN_DEAL, seed.INNER_PAYMENT, False),
    ],
)
def test_only_what_no_app_can_pay_can_be_marked_or_paid_through_another(
    frame: Frame, deal_id: int, payment_id: int, is_offered: bool
) -> None:
    row = row_in(frame.tab(deal_id), "payment", payment_id)
    assert (MARK_BUTTON in row) is is_offered
    if is_offered:
        assert PAY_BUTTON in row
        assert "Demo Card Pay" in row


def test_the_main_page_offers_to_mark_too(frame: Frame) -> None:
    html = frame.opened().content.decode()
    assert MARK_BUTTON in row_in(html, "payment", seed.CASH_PAYMENT)


def test_without_another_system_a_payment_can_still_be_marked(frame: Frame, alpha: Portal) -> None:
    for system in alpha.pay_systems.values():
        system.active = system.id == seed.CASH
    row = cash_row(frame)
    assert MARK_BUTTON in row
    assert PAY_BUTTON not in row
    assert escape(str(messages.BY_HAND_ONLY)) in row


def test_without_the_order_right_there_is_no_button(frame_of: FrameOf, frame: Frame) -> None:
    marked(frame)
    reader = frame_of(seed.READER)
    assert "<button" not in row_in(reader.tab(seed.BILL_DEAL), "payment", seed.BILL_PAYMENT)
    assert "<button" not in cash_row(reader)


def test_the_question_says_that_no_money_moves_and_sends_nothing(frame: Frame) -> None:
    offer = sealed_in(cash_row(frame))
    since = len(frame.sandbox.log)
    html = frame.send(MARK_BUTTON, offer=offer)
    assert "Mark 310.00\xa0EUR by Cash for payment 166/1 as paid?" in html
    assert "No money moves by this." in html
    assert "in your name" in html
    assert [call.method for call in frame.sandbox.log[since:]] == ["crm.item.payment.get"]
    assert not Attempt.objects.exists()
    assert "is not marked by hand" in frame.send(MARK_BUTTON, 404, offer=offer_in(frame.tab()))


def test_marked_is_not_called_paid_then_or_later_and_once_is_enough(
    frame: Frame, admin_frame: Frame
) -> None:
    before = cash_row(frame)
    html = marked(frame, before)
    assert 'data-state="marked"' in html
    assert "Marked as paid" in html
    assert PAY_BUTTON not in html
    assert MARK_BUTTON not in html
    payment = frame.portal.payments[seed.CASH_PAYMENT]
    assert (payment.paid, payment.emp_paid_id, payment.times_paid) == (True, seed.MANAGER, 1)
    assert (calls(frame.sandbox, MARK), stage.sent_payments(frame.sandbox)) == (1, 0)
    attempt = Attempt.objects.get()
    assert (attempt.kind, attempt.state) == (Kind.MARK, State.PAID)
    for person in (frame, admin_frame):
        row = cash_row(person)
        assert 'data-state="marked"' in row
        by_another = escape(str(messages.PAID_BY_ANOTHER_PERSON)) in row
        assert by_another is (person is admin_frame)
    assert "<button" not in marked(frame, before)
    assert calls(frame.sandbox, MARK) == 1


def test_a_mark_without_an_answer_has_its_own_message(frame: Frame) -> None:
    offered = cash_row(frame)
    lose(frame.sandbox, MARK)
    html = marked(frame, offered)
    assert 'data-state="unknown"' in html
    assert "Marking is not confirmed" in html
    assert MARK_BUTTON not in html
    frame.sandbox.faults.clear()
    assert 'data-state="marked"' in checked(frame, html)
    assert calls(frame.sandbox, MARK) == 1


def test_a_mark_that_was_not_carried_out_can_be_tried_again_or_paid(frame: Frame) -> None:
    frame.sandbox.faults.add(Fault("true_without_payment", method=MARK))
    html = marked(frame)
    assert 'data-state="refused"' in html
    assert "Nothing was marked" in html
    assert MARK_BUTTON in html
    assert PAY_BUTTON in html
    assert "Pay by another system" in html
    assert 'data-state="paid"' in paid(frame, html)


# ---- undoing


@at_any_hour
def test_what_was_paid_just_now_can_be_undone_and_then_paid_again(
    clock: Clock, frame: Frame
) -> None:
    html = paid(frame)
    assert UNDO_BUTTON in html
    html = undone(frame, html)
    assert 'data-state="undone"' in html
    assert f'datetime="{clock.today()}' in html
    payment = frame.portal.payments[seed.PAYMENT]
    assert not payment.paid
    attempt = Attempt.objects.get(kind=Kind.UNDO)
    assert (attempt.note, attempt.user_id) == (NOTE, seed.MANAGER)
    assert f'<option value="{seed.ACME_PAY}">' in html
    stage.forget_dates(frame.portal)
    assert 'data-state="paid"' in paid(frame, html)
    assert payment.times_paid == 2


def test_an_undone_mark_can_be_marked_again_or_paid(frame: Frame) -> None:
    html = undone(frame, marked(frame))
    assert Attempt.objects.get(kind=Kind.UNDO).undoes == Attempt.objects.get(kind=Kind.MARK)
    assert 'data-state="undone"' in html
    assert MARK_BUTTON in html
    assert PAY_BUTTON in html
    stage.forget_dates(frame.portal)
    assert 'data-state="marked"' in marked(frame, html)


@at_any_hour
def test_a_tab_opened_later_offers_to_undo_and_asks_for_the_reason(
    clock: Clock, frame: Frame
) -> None:
    paid(frame)
    row = paid_row(frame)
    assert UNDO_BUTTON in row
    since = len(frame.sandbox.log)
    html = frame.send(UNDO_BUTTON, offer=sealed_in(row))
    assert "Undo 12\xa0500.00\xa0EUR by Acme Pay for payment 163/1?" in html
    assert "This sends no money back" in html
    until = (datetime.now(UTC) + timedelta(hours=24)).astimezone(clock.zone)
    assert f'datetime="{until:%Y-%m-%d}' in html
    field = re.search(r"<input class=\"field\"[^>]*>", html)
    assert field is not None
    assert "required" in field[0]
    assert 'maxlength="255"' in field[0]
    assert [call.method for call in frame.sandbox.log[since:]] == ["crm.item.payment.get"]


def test_without_a_reason_nothing_is_undone(frame: Frame) -> None:
    offer = sealed_in(paid(frame))
    with stage.no_request(frame.sandbox):
        assert "255" in frame.send("/payments/undo/", 400, offer=offer, note=" ")
    assert frame.portal.payments[seed.PAYMENT].paid
    assert Attempt.objects.count() == 1


def test_after_its_time_a_payment_cannot_be_undone(frame: Frame) -> None:
    html = paid(frame)
    Attempt.objects.update(settled_at=timezone.now() - timedelta(hours=24, minutes=1))
    assert UNDO_BUTTON not in paid_row(frame)
    assert_undo_refused(frame, html, 409, reasons.UNDO_TOO_LATE)


def test_undoing_can_be_switched_off(frame: Frame, portal: models.Portal) -> None:
    html = paid(frame)
    stage.set_rules(portal, undo_hours=0)
    assert UNDO_BUTTON not in paid_row(frame)
    assert_undo_refused(frame, html, 409, reasons.UNDO_OFF)


def test_where_only_administrators_may_undo_only_they_are_offered_it(
    frame: Frame, admin_frame: Frame, portal: models.Portal
) -> None:
    before = paid(frame)
    stage.set_rules(portal, undo_by=Who.ADMINISTRATORS)
    assert UNDO_BUTTON not in paid_row(frame)
    assert_undo_refused(frame, before, 403, reasons.UNDO_NOT_ALLOWED)
    row = paid_row(admin_frame)
    assert "There is no such payment" in frame.send("/payments/check/", 404, offer=sealed_in(row))
    assert UNDO_BUTTON in row
    assert escape(str(messages.PAID_BY_ANOTHER_PERSON)) in row
    assert 'data-state="undone"' in undone(admin_frame, row)
    assert Attempt.objects.get(kind=Kind.UNDO).user_id == seed.ADMIN


@pytest.mark.parametrize("is_known", [True, False])
def test_that_it_cannot_be_told_who_is_administrator_does_not_hide_the_payment(
    admin_frame: Frame, portal: models.Portal, is_known: bool
) -> None:
    stage.set_rules(portal, undo_by=Who.ADMINISTRATORS)
    offered = admin_frame.tab()
    if not is_known:
        fault = Fault("drop", method="profile", when=BEFORE, times=None)
        admin_frame.sandbox.faults.add(fault)
    html = paid(admin_frame, offered)
    assert 'data-state="paid"' in html
    assert (UNDO_BUTTON in html) is is_known


def test_what_was_paid_outside_the_app_is_not_undone_by_it(frame: Frame, alpha: Portal) -> None:
    """Also where it is the last of several times."""
    row = row_in(frame.tab(seed.PAID_DEAL), "payment", seed.PAID_PAYMENT)
    assert 'data-state="paid"' in row
    assert UNDO_BUTTON not in row
    marked(frame)
    payment = alpha.payments[seed.CASH_PAYMENT]
    assert payment.date_paid is not None
    payment.date_paid += timedelta(minutes=1)
    row = cash_row(frame)
    assert 'data-state="paid"' in row
    assert UNDO_BUTTON not in row


def test_an_undoing_without_an_answer_is_not_confirmed_and_blocks_the_row(frame: Frame) -> None:
    html = paid(frame)
    lose(frame.sandbox, UNDO)
    html = undone(frame, html)
    assert 'data-state="unknown"' in html
    assert "Undoing is not confirmed" in html
    frame.sandbox.faults.clear()
    row = paid_row(frame)
    assert 'data-state="unknown"' in row
    assert CHECK_BUTTON in row
    assert not [button for button in (PAY_BUTTON, UNDO_BUTTON) if button in row]
    html = checked(frame, row)
    assert 'data-state="undone"' in html
    assert PAY_BUTTON in html
    assert calls(frame.sandbox, UNDO) == 1


def test_an_undoing_that_the_portal_still_shows_as_paid_is_not_undone(frame: Frame) -> None:
    html = paid(frame)
    frame.sandbox.faults.add(Fault("true_without_payment", method=UNDO))
    html = undone(frame, html)
    assert 'data-state="not-undone"' in html
    assert "the payment is still paid" in html
    assert PAY_BUTTON not in html
    assert 'data-state="undone"' in undone(frame, html)


@pytest.mark.parametrize("kind", [Kind.PAY, Kind.MARK, Kind.UNDO])
def test_what_was_handed_over_says_who_decides_and_can_still_be_checked(
    frame: Frame, kind: Kind
) -> None:
    paid(frame)
    Attempt.objects.update(
        kind=kind,
        state=State.UNKNOWN,
        reason=reasons.NO_ANSWER,
        settled_at=None,
        handed_over_at=timezone.now(),
    )
    frame.portal.payments[seed.PAYMENT].paid = kind == Kind.UNDO
    row = paid_row(frame)
    assert escape(str(messages.HANDED_OVER)) in row
    assert 'data-state="unknown"' in row
    assert CHECK_BUTTON in row
    assert PAY_BUTTON not in row


# ---- above the limit of the portal's rules


def test_above_the_limit_a_mark_needs_an_approval_of_its_own(
    frame: Frame, admin_frame: Frame, portal: models.Portal
) -> None:
    before = cash_row(frame)
    stage.set_rules(portal, limits={"EUR": "100"})
    html = marked(frame, before)
    assert 'data-state="refused"' in html
    assert "Ask to mark as paid" in html
    assert calls(frame.sandbox, MARK) == 0
    row = cash_row(frame)
    assert MARK_BUTTON not in row
    assert "Ask to mark as paid" in row
    assert f'{{"kind": "mark", "pay_system_id": "{seed.CASH}"}}' in row
    fields = {"offer": sealed_in(row), "kind": "mark", "pay_system_id": seed.CASH}
    html = frame.send("/payments/approvals/question/", **fields)
    assert "Ask for approval to mark 310.00\xa0EUR by Cash for payment 166/1 as paid?" in html
    frame.send("/payments/approvals/ask/", **fields)
    assert MARK_BUTTON not in cash_row(frame)

    decided = {"approval": Approval.objects.get().pk, "decision": "approve"}
    admin_frame.send("/payments/approvals/decide/", **decided)
    row = cash_row(frame)
    assert MARK_BUTTON in row
    assert PAY_BUTTON not in row
    html = marked(frame, row)
    assert 'data-state="marked"' in html
    # It is used up: after an undo it must be requested again.
    html = undone(frame, html)
    assert "Ask to mark as paid" in html
    assert MARK_BUTTON not in html
