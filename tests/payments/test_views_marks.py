"""Marking as paid by hand and undoing over HTTP: who is offered what, and the result."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import escape
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from django.utils import timezone

from b24app import models
from payments import reasons
from payments.attempts import messages
from payments.attempts.messages import why_not
from payments.models import Approval, Attempt, Kind, Policy, State, Who
from payments.offer import seal as sealed
from sandbox.api.faults import AFTER, BEFORE, Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.clocks import Clock, at_any_hour
from tests.payments import stage
from tests.payments.frames import Frame, offer_in, text_of

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

pytestmark = pytest.mark.django_db

MARK, UNPAY = "crm.item.payment.pay", "crm.item.payment.unpay"
FRAGMENTS = (
    "/payments/mark/question/",
    "/payments/mark/",
    "/payments/undo/question/",
    "/payments/undo/",
)
UNDO_BUTTON, MARK_BUTTON = "/payments/undo/question/", "/payments/mark/question/"
PAY_BUTTON, CHECK_BUTTON = '"/payments/question/"', "/payments/check/"


@pytest.fixture
def manager(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.MANAGER)


@pytest.fixture
def admin(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.ADMIN)


@pytest.fixture
def reader(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.READER)


def row_in(html: str, payment_id: int) -> str:
    return html.split(f'<tr data-payment="{payment_id}">')[1].split("</tr>")[0]


def said(reason: StrOrPromise) -> str:
    """Returns a message as HTML has it."""
    return escape(str(reason))


def sealed_in(html: str) -> str:
    found = re.search(r'name="offer" value="([^"]+)"', html)
    assert found is not None
    return found[1]


def calls_of(sandbox: Sandbox, method: str) -> int:
    return sum(method in call.methods for call in sandbox.log)


def cash_offer(frame: Frame) -> str:
    return offer_in(frame.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)


def marked(frame: Frame) -> str:
    """Marks the cash payment; returns its row."""
    return text_of(frame.post("/payments/mark/", offer=cash_offer(frame)))


def paid(frame: Frame) -> str:
    offer = offer_in(frame.tab())
    return text_of(frame.post("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY))


def undone(frame: Frame, html: str, note: str = "Paid twice by mistake") -> str:
    return text_of(frame.post("/payments/undo/", offer=sealed_in(html), note=note))


def lose_reads(sandbox: Sandbox) -> None:
    for method in (stage.READ_BACK, stage.KEPT):
        sandbox.faults.add(Fault("drop", method=method, when=BEFORE, times=None))


# ---- marking: who is offered it


@pytest.mark.parametrize(
    ("deal_id", "payment_id"),
    [
        (seed.CASH_DEAL, seed.CASH_PAYMENT),
        (seed.BILL_DEAL, seed.BILL_PAYMENT),
        (seed.ACQUIRER_DEAL, seed.ACQUIRER_PAYMENT),
        (seed.BUILT_IN_DEAL, seed.ON_DELIVERY_PAYMENT),
    ],
)
def test_what_no_app_can_pay_can_be_marked_or_paid_through_another(
    manager: Frame, deal_id: int, payment_id: int
) -> None:
    row = row_in(manager.tab(deal_id), payment_id)
    assert MARK_BUTTON in row
    assert PAY_BUTTON in row
    assert "Demo Card Pay" in row


def test_the_main_page_offers_to_mark_too(manager: Frame) -> None:
    assert MARK_BUTTON in row_in(text_of(manager.opened()), seed.CASH_PAYMENT)


@pytest.mark.parametrize(
    ("deal_id", "payment_id"),
    [
        (seed.DEAL, seed.PAYMENT),
        (seed.INACTIVE_DEAL, seed.INACTIVE_PAYMENT),
        (seed.PAID_DEAL, seed.PAID_PAYMENT),
        # Marking one of these takes money from the buyer's account in the portal.
        (seed.BUILT_IN_DEAL, seed.INNER_PAYMENT),
    ],
)
def test_nothing_else_is_marked_by_hand(manager: Frame, deal_id: int, payment_id: int) -> None:
    assert MARK_BUTTON not in row_in(manager.tab(deal_id), payment_id)


def test_without_another_system_a_payment_can_still_be_marked(
    manager: Frame, alpha: Portal
) -> None:
    for system in alpha.pay_systems.values():
        system.active = system.id == seed.CASH
    row = row_in(manager.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)
    assert MARK_BUTTON in row
    assert PAY_BUTTON not in row
    assert said(messages.BY_HAND_ONLY) in row


def test_without_the_order_right_there_is_no_button(reader: Frame, manager: Frame) -> None:
    marked(manager)
    assert "<button" not in row_in(reader.tab(seed.BILL_DEAL), seed.BILL_PAYMENT)
    assert "<button" not in row_in(reader.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)


# ---- marking: the dialog and the result


def test_the_question_says_that_no_money_moves_and_sends_nothing(manager: Frame) -> None:
    offer = cash_offer(manager)
    calls = len(manager.sandbox.log)
    html = text_of(manager.post("/payments/mark/question/", offer=offer))
    assert "Mark 310.00\xa0EUR by Cash for payment 166/1 as paid?" in html
    assert "No money moves by this." in html
    assert "in your name" in html
    assert [call.method for call in manager.sandbox.log[calls:]] == ["crm.item.payment.get"]
    assert not Attempt.objects.exists()


def test_what_can_be_paid_cannot_be_asked_to_be_marked(manager: Frame) -> None:
    offer = offer_in(manager.tab())
    answer = manager.post("/payments/mark/question/", offer=offer)
    assert "is not marked by hand" in text_of(answer, 404)


def test_marked_is_not_called_paid_and_is_written_down_in_the_persons_name(manager: Frame) -> None:
    html = marked(manager)
    assert 'data-state="marked"' in html
    assert "Marked as paid" in html
    payment = manager.portal.payments[seed.CASH_PAYMENT]
    assert (payment.paid, payment.emp_paid_id, payment.times_paid) == (True, seed.MANAGER, 1)
    assert stage.sent_payments(manager.sandbox) == 0
    attempt = Attempt.objects.get()
    assert (attempt.kind, attempt.state) == (Kind.MARK, State.PAID)
    assert PAY_BUTTON not in html
    assert MARK_BUTTON not in html


def test_it_is_still_called_marked_when_the_tab_is_opened_again(
    manager: Frame, admin: Frame
) -> None:
    marked(manager)
    row = row_in(manager.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)
    assert 'data-state="marked"' in row
    assert said(messages.PAID_BY_ANOTHER_PERSON) not in row
    row = row_in(admin.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)
    assert 'data-state="marked"' in row
    assert said(messages.PAID_BY_ANOTHER_PERSON) in row


def test_a_second_press_marks_nothing_more(manager: Frame) -> None:
    offer = cash_offer(manager)
    text_of(manager.post("/payments/mark/", offer=offer))
    html = text_of(manager.post("/payments/mark/", offer=offer))
    assert "<button" not in html
    assert calls_of(manager.sandbox, MARK) == 1


def test_a_mark_without_an_answer_has_its_own_message(manager: Frame) -> None:
    offer = cash_offer(manager)
    faults = manager.sandbox.faults
    faults.add(Fault("drop", method=MARK, when=AFTER, on_hit=lambda: lose_reads(manager.sandbox)))
    html = text_of(manager.post("/payments/mark/", offer=offer))
    assert 'data-state="unknown"' in html
    assert "Marking is not confirmed" in html
    assert MARK_BUTTON not in html
    faults.clear()
    html = text_of(manager.post("/payments/check/", offer=sealed_in(html)))
    assert 'data-state="marked"' in html
    assert calls_of(manager.sandbox, MARK) == 1


def test_a_mark_that_was_not_carried_out_can_be_tried_again_or_paid(manager: Frame) -> None:
    manager.sandbox.faults.add(Fault("true_without_payment", method=MARK))
    html = marked(manager)
    assert 'data-state="refused"' in html
    assert "Nothing was marked" in html
    assert MARK_BUTTON in html
    assert PAY_BUTTON in html
    assert "Pay by another system" in html
    html = text_of(
        manager.post("/payments/pay/", offer=sealed_in(html), pay_system_id=seed.ACME_PAY)
    )
    assert 'data-state="paid"' in html


# ---- undoing


@at_any_hour
def test_what_was_paid_just_now_can_be_undone_and_then_paid_again(
    clock: Clock, manager: Frame
) -> None:
    html = paid(manager)
    assert UNDO_BUTTON in html
    html = undone(manager, html)
    assert 'data-state="undone"' in html
    assert f'datetime="{clock.today()}' in html
    payment = manager.portal.payments[seed.PAYMENT]
    assert not payment.paid
    attempt = Attempt.objects.get(kind=Kind.UNDO)
    assert (attempt.note, attempt.user_id) == ("Paid twice by mistake", seed.MANAGER)
    assert f'<option value="{seed.ACME_PAY}">' in html
    html = text_of(
        manager.post("/payments/pay/", offer=sealed_in(html), pay_system_id=seed.ACME_PAY)
    )
    assert 'data-state="paid"' in html
    assert payment.times_paid == 2


def test_an_undone_mark_can_be_marked_again_or_paid(manager: Frame) -> None:
    html = undone(manager, marked(manager))
    assert 'data-state="undone"' in html
    assert MARK_BUTTON in html
    assert PAY_BUTTON in html
    html = text_of(manager.post("/payments/mark/", offer=sealed_in(html)))
    assert 'data-state="marked"' in html


@at_any_hour
def test_a_tab_opened_later_offers_to_undo_and_asks_for_the_reason(
    clock: Clock, manager: Frame
) -> None:
    paid(manager)
    row = row_in(manager.tab(), seed.PAYMENT)
    assert UNDO_BUTTON in row
    calls = len(manager.sandbox.log)
    html = text_of(manager.post("/payments/undo/question/", offer=sealed_in(row)))
    assert "Undo 12\xa0500.00\xa0EUR by Acme Pay for payment 163/1?" in html
    assert "This sends no money back" in html
    until = (datetime.now(UTC) + timedelta(hours=24)).astimezone(clock.zone)
    assert f'datetime="{until:%Y-%m-%d}' in html
    field = re.search(r"<input class=\"field\"[^>]*>", html)
    assert field is not None
    assert "required" in field[0]
    assert 'maxlength="255"' in field[0]
    assert [call.method for call in manager.sandbox.log[calls:]] == ["crm.item.payment.get"]


@pytest.mark.parametrize("note", ["", "   ", "x" * 256, "a\x00b"])
def test_without_a_reason_that_can_be_kept_nothing_is_undone(manager: Frame, note: str) -> None:
    html = paid(manager)
    calls = len(manager.sandbox.log)
    answer = manager.post("/payments/undo/", offer=sealed_in(html), note=note)
    assert "255" in text_of(answer, 400)
    assert len(manager.sandbox.log) == calls
    assert manager.portal.payments[seed.PAYMENT].paid
    assert Attempt.objects.count() == 1


def test_after_its_time_a_payment_cannot_be_undone(manager: Frame) -> None:
    html = paid(manager)
    Attempt.objects.update(settled_at=timezone.now() - timedelta(hours=24, minutes=1))
    assert UNDO_BUTTON not in row_in(manager.tab(), seed.PAYMENT)
    for path in ("/payments/undo/question/", "/payments/undo/"):
        answer = manager.post(path, offer=sealed_in(html), note="Too late")
        assert said(why_not(reasons.UNDO_TOO_LATE)) in text_of(answer, 409)
    assert calls_of(manager.sandbox, UNPAY) == 0
    assert Attempt.objects.count() == 1


def test_undoing_can_be_switched_off(manager: Frame, portal: models.Portal) -> None:
    offer = sealed_in(paid(manager))
    Policy.objects.create(portal=portal, undo_hours=0)
    assert UNDO_BUTTON not in row_in(manager.tab(), seed.PAYMENT)
    answer = manager.post("/payments/undo/", offer=offer, note="Off")
    assert said(why_not(reasons.UNDO_OFF)) in text_of(answer, 409)
    assert calls_of(manager.sandbox, UNPAY) == 0


def test_where_only_administrators_may_undo_a_manager_is_not_offered_it(
    manager: Frame, admin: Frame, portal: models.Portal
) -> None:
    Policy.objects.create(portal=portal, undo_by=Who.ADMINISTRATORS)
    html = paid(manager)
    assert UNDO_BUTTON not in html
    assert UNDO_BUTTON not in row_in(manager.tab(), seed.PAYMENT)
    forged = text_of(manager.post("/payments/check/", offer=offer_of_paid(admin)), 404)
    assert "There is no such payment" in forged
    row = row_in(admin.tab(), seed.PAYMENT)
    assert UNDO_BUTTON in row
    html = undone(admin, row)
    assert 'data-state="undone"' in html
    assert Attempt.objects.get(kind=Kind.UNDO).user_id == seed.ADMIN


def offer_of_paid(frame: Frame) -> str:
    return sealed_in(row_in(frame.tab(), seed.PAYMENT))


def test_a_person_whom_the_rules_do_not_let_is_refused_with_words(
    manager: Frame, portal: models.Portal
) -> None:
    offer = sealed_in(paid(manager))
    Policy.objects.create(portal=portal, undo_by=Who.ADMINISTRATORS)
    for path in ("/payments/undo/question/", "/payments/undo/"):
        answer = manager.post(path, offer=offer, note="Forged")
        assert said(why_not(reasons.UNDO_NOT_ALLOWED)) in text_of(answer, 403)
    assert calls_of(manager.sandbox, UNPAY) == 0
    assert Attempt.objects.count() == 1


def test_an_administrator_is_offered_to_undo_right_after_paying(
    admin: Frame, portal: models.Portal
) -> None:
    Policy.objects.create(portal=portal, undo_by=Who.ADMINISTRATORS)
    assert UNDO_BUTTON in paid(admin)


def test_that_it_cannot_be_told_who_is_administrator_does_not_hide_the_payment(
    admin: Frame, portal: models.Portal
) -> None:
    Policy.objects.create(portal=portal, undo_by=Who.ADMINISTRATORS)
    offer = offer_in(admin.tab())
    admin.sandbox.faults.add(Fault("drop", method="profile", when=BEFORE, times=None))
    html = text_of(admin.post("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY))
    assert 'data-state="paid"' in html
    assert UNDO_BUTTON not in html


def test_what_was_paid_outside_the_app_is_not_undone_by_it(admin: Frame) -> None:
    row = row_in(admin.tab(seed.PAID_DEAL), seed.PAID_PAYMENT)
    assert 'data-state="paid"' in row
    assert UNDO_BUTTON not in row


def test_a_payment_paid_again_in_bitrix24_is_not_the_apps_any_more(
    manager: Frame, alpha: Portal
) -> None:
    marked(manager)
    payment = alpha.payments[seed.CASH_PAYMENT]
    assert payment.date_paid is not None
    payment.date_paid += timedelta(minutes=1)
    row = row_in(manager.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)
    assert 'data-state="paid"' in row
    assert UNDO_BUTTON not in row


def test_an_undoing_without_an_answer_is_not_confirmed_and_blocks_the_row(manager: Frame) -> None:
    html = paid(manager)
    faults = manager.sandbox.faults
    faults.add(Fault("drop", method=UNPAY, when=AFTER, on_hit=lambda: lose_reads(manager.sandbox)))
    html = undone(manager, html)
    assert 'data-state="unknown"' in html
    assert "Undoing is not confirmed" in html
    faults.clear()
    row = row_in(manager.tab(), seed.PAYMENT)
    assert 'data-state="unknown"' in row
    assert CHECK_BUTTON in row
    for button in (PAY_BUTTON, UNDO_BUTTON):
        assert button not in row
    html = text_of(manager.post("/payments/check/", offer=sealed_in(row)))
    assert 'data-state="undone"' in html
    assert PAY_BUTTON in html
    assert calls_of(manager.sandbox, UNPAY) == 1


def test_an_undoing_that_the_portal_still_shows_as_paid_is_not_undone(manager: Frame) -> None:
    html = paid(manager)
    manager.sandbox.faults.add(Fault("true_without_payment", method=UNPAY))
    html = undone(manager, html)
    assert 'data-state="not-undone"' in html
    assert "the payment is still paid" in html
    assert PAY_BUTTON not in html
    assert 'data-state="undone"' in undone(manager, html)


def test_another_person_who_may_undo_sees_who_it_was_not(manager: Frame, admin: Frame) -> None:
    paid(manager)
    row = row_in(admin.tab(), seed.PAYMENT)
    assert said(messages.PAID_BY_ANOTHER_PERSON) in row
    assert 'data-state="undone"' in undone(admin, row)


# ---- what waits for a person


@pytest.mark.parametrize("kind", [Kind.PAY, Kind.MARK, Kind.UNDO])
def test_what_was_handed_over_says_who_decides_and_can_still_be_checked(
    manager: Frame, kind: Kind
) -> None:
    html = paid(manager)
    Attempt.objects.update(
        kind=kind,
        state=State.UNKNOWN,
        reason=reasons.NO_ANSWER,
        settled_at=None,
        handed_over_at=timezone.now(),
    )
    if kind != Kind.UNDO:
        manager.portal.payments[seed.PAYMENT].paid = False
    row = row_in(manager.tab(), seed.PAYMENT)
    assert said(messages.HANDED_OVER) in row
    assert 'data-state="unknown"' in row
    assert CHECK_BUTTON in row
    assert PAY_BUTTON not in html


# ---- what is refused


@pytest.mark.parametrize("path", FRAGMENTS)
@pytest.mark.parametrize("change", ["forged", "person"])
def test_an_offer_that_was_not_made_to_this_person_does_not_exist(
    manager: Frame, admin: Frame, path: str, change: str
) -> None:
    offer = cash_offer(manager)
    if change == "forged":
        offer = f"{offer[:-1]}{'A' if offer[-1] != 'A' else 'B'}"
    frame = admin if change == "person" else manager
    calls = len(manager.sandbox.log)
    assert 'data-error="404"' in text_of(frame.post(path, offer=offer, note="x"), 404)
    assert (len(manager.sandbox.log), Attempt.objects.count()) == (calls, 0)


@pytest.mark.parametrize("path", FRAGMENTS)
@pytest.mark.parametrize("fields", [{}, {"offer": "<x>"}, {"offer": "a" * 12001}])
def test_bad_input_is_turned_away_before_anything_is_asked(
    manager: Frame, path: str, fields: dict[str, str]
) -> None:
    calls = len(manager.sandbox.log)
    assert 'data-error="400"' in text_of(manager.post(path, **fields), 400)
    assert (len(manager.sandbox.log), Attempt.objects.count()) == (calls, 0)


@pytest.mark.parametrize("path", FRAGMENTS)
def test_without_a_session_nothing_is_done(manager: Frame, path: str) -> None:
    offer = cash_offer(manager)
    manager.session = "over"
    assert "data-reopen" in text_of(manager.post(path, offer=offer, note="x"), 401)
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("path", FRAGMENTS)
def test_what_changes_something_is_posted(manager: Frame, path: str) -> None:
    assert manager.client.get(path, headers={"x-frame-session": manager.session}).status_code == 405


def test_a_forged_mark_by_a_reader_marks_nothing(reader: Frame, portal: models.Portal) -> None:
    person = stage.person(reader.sandbox, portal, seed.READER)
    offer = stage.offer_of(person, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)
    html = text_of(reader.post("/payments/mark/", offer=sealed(offer)))
    assert 'data-state="refused"' in html
    assert not reader.portal.payments[seed.CASH_PAYMENT].paid
    assert calls_of(reader.sandbox, MARK) == 0


# ---- above the limit of the portal's rules


def test_above_the_limit_a_mark_needs_an_approval_of_its_own(
    manager: Frame, admin: Frame, portal: models.Portal
) -> None:
    Policy.objects.create(portal=portal, limits={"EUR": "100"})
    row = row_in(manager.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)
    assert MARK_BUTTON not in row
    assert "Ask to mark as paid" in row
    assert f'{{"kind": "mark", "pay_system_id": "{seed.CASH}"}}' in row
    fields = {"offer": sealed_in(row), "kind": "mark", "pay_system_id": seed.CASH}
    html = text_of(manager.post("/payments/approvals/question/", **fields))
    assert "Ask for approval to mark 310.00\xa0EUR by Cash for payment 166/1 as paid?" in html
    text_of(manager.post("/payments/approvals/ask/", **fields))
    row = row_in(manager.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)
    assert MARK_BUTTON not in row

    approval = Approval.objects.get()
    text_of(admin.post("/payments/approvals/decide/", approval=approval.pk, decision="approve"))
    row = row_in(manager.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)
    assert MARK_BUTTON in row
    assert PAY_BUTTON not in row
    html = text_of(manager.post("/payments/mark/", offer=sealed_in(row)))
    assert 'data-state="marked"' in html

    # It is used up: after an undo it must be requested again.
    html = undone(manager, html)
    assert "Ask to mark as paid" in html
    assert MARK_BUTTON not in html


def test_a_mark_above_the_limit_without_an_approval_is_refused(
    manager: Frame, portal: models.Portal
) -> None:
    offer = cash_offer(manager)
    Policy.objects.create(portal=portal, limits={"EUR": "100"})
    html = text_of(manager.post("/payments/mark/", offer=offer))
    assert 'data-state="refused"' in html
    assert "Ask to mark as paid" in html
    assert calls_of(manager.sandbox, MARK) == 0
