"""Approvals on the screens: asking in place of Pay, deciding, and who sees which request."""

from __future__ import annotations

import pytest

from b24app import models
from b24app.identity.session import Person
from payments.approvals.requests import ask, offer_of
from payments.models import Approval, Policy
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.frames import Frame, FrameOf, offer_in, row_in, rows_in, words
from tests.payments.test_approvals import age, approved, asked

pytestmark = pytest.mark.django_db

SCREEN, BADGE = "/payments/approvals/", "/payments/approvals/waiting/"
QUESTION, ASK = "/payments/approvals/question/", "/payments/approvals/ask/"
DECISION, DECIDE = "/payments/approvals/decision/", "/payments/approvals/decide/"


@pytest.fixture
def portal(sandbox: Sandbox, alpha: Portal) -> models.Portal:
    row = stage.install(sandbox, alpha)
    Policy.objects.create(portal=row, limits={"EUR": "1000"})
    return row


def choice(frame: Frame) -> dict[str, object]:
    return {"offer": offer_in(frame.tab()), "pay_system_id": seed.ACME_PAY}


def asked_in(frame: Frame) -> str:
    fields = choice(frame)
    question = "Ask for approval to pay 12 500.00 EUR by Acme Pay for payment 163/1?"
    assert question in words(frame.send(QUESTION, **fields))
    answer = frame.post(ASK, **fields)
    assert answer["HX-Trigger"] == "badges"
    content: str = answer.content.decode()
    return content


def decided(frame: Frame, decision: str, status: int = 200, **more: object) -> str:
    fields = {"approval": Approval.objects.latest("pk").pk, "decision": decision}
    frame.send(DECISION, status, **fields)
    return frame.send(DECIDE, status, **fields, **more)


def test_the_whole_way_over_the_screens(frame: Frame, admin_frame: Frame, alpha: Portal) -> None:
    row = row_in(frame.tab(), "payment", seed.PAYMENT)
    for one in ("Ask for approval", "<select", "needs a second person"):
        assert one in row
    assert "/payments/question/" not in row
    assert "It has not been decided yet" in asked_in(frame)
    assert "It has not been decided yet" in frame.tab()
    assert (admin_frame.look(BADGE), frame.look(BADGE)) == ("1", "")
    assert '"decision": "withdraw"' in frame.look(SCREEN)
    html = admin_frame.look(SCREEN)
    for one in (
        '"decision": "approve"',
        '"decision": "decline"',
        "Office chairs for the new floor",
        "Max Manager",
    ):
        assert one in html
    assert "Nothing is paid yet" in decided(admin_frame, "approve")
    assert admin_frame.look(BADGE) == ""
    assert "Approved by Ada Admin on " in frame.tab()
    assert 'data-state="paid"' in frame.send("/payments/pay/", **choice(frame))
    assert alpha.payments[seed.PAYMENT].times_paid == 1
    assert "Used" in frame.look(SCREEN)


def test_the_row_offers_only_the_system_that_was_approved(manager: Person, admin: Person) -> None:
    approved(manager, admin, seed.OTHER_PAY)
    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
    assert (row.payable, row.bound_fits) == (True, False)
    assert [system.id for system in row.systems[1:]] == [seed.OTHER_PAY]


@pytest.mark.parametrize("is_old", [True, False])
def test_an_old_approval_or_one_of_another_sum_does_not_count_on_the_row(
    alpha: Portal, manager: Person, admin: Person, is_old: bool
) -> None:
    approval = approved(manager, admin)
    if is_old:
        age(approval)
    else:
        alpha.payments[seed.PAYMENT].sum += 1
    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
    assert (row.can_ask, row.payable, row.approval) == (True, False, None)
    assert asked(manager).pk != approval.pk


def test_pay_pressed_on_a_page_from_before_the_limit_offers_to_ask(frame: Frame) -> None:
    Policy.objects.update(limits={})
    fields = choice(frame)
    Policy.objects.update(limits={"EUR": "1"})
    html = frame.send("/payments/pay/", **fields)
    assert 'data-state="refused"' in html
    assert QUESTION in html
    assert "/payments/question/" not in html


def test_a_request_is_declined_with_a_note_or_withdrawn(frame: Frame, admin_frame: Frame) -> None:
    asked_in(frame)
    fields = {"approval": Approval.objects.get().pk, "decision": "decline"}
    for note in ("", "  ", "a" * 256, "a\0b"):
        assert "Say why" in admin_frame.send(DECIDE, 400, **fields, note=note)
    assert "Declined" in decided(admin_frame, "decline", note="<b>Too dear</b>")
    html = frame.look(SCREEN)
    assert "Declined by Ada Admin on" in html
    assert "&lt;b&gt;Too dear" in html
    asked_in(frame)
    assert "Withdrawn" in decided(frame, "withdraw")


def test_the_list_shows_only_requests_that_this_person_may_see_and_decide(
    frame_of: FrameOf, manager: Person
) -> None:
    Policy.objects.update(limits={"EUR": "1"})
    asked(manager)
    own_deal = asked(manager, deal_id=seed.OWN_DEAL, payment_id=seed.OWN_PAYMENT)
    own = frame_of(seed.OWN_MANAGER).look(SCREEN)
    assert rows_in(own, "approval") == [own_deal.pk]
    reader = frame_of(seed.READER)
    html = reader.look(SCREEN)
    assert "you cannot approve payments of others" in html
    assert rows_in(html, "approval") == []
    decided(reader, "approve", 409)


def test_a_payment_without_a_deal_waits_for_administrators_only(
    frame: Frame, admin_frame: Frame, admin: Person
) -> None:
    approval = asked(admin)
    loose = Approval.objects.filter(pk=approval.pk)
    loose.update(owner_type=None, owner_id=None, payment_id=seed.LOOSE_PAYMENT)
    assert rows_in(frame.look(SCREEN), "approval") == []
    loose.update(requested_by=seed.MANAGER)
    assert rows_in(admin_frame.look(SCREEN), "approval") == [approval.pk]


def test_a_full_list_is_one_batch_and_the_badge_asks_no_portal(
    admin_frame: Frame, sandbox: Sandbox, manager: Person
) -> None:
    approval = asked(manager)
    with stage.no_request(sandbox):
        assert admin_frame.look(BADGE) == "1"
        age(approval)
        assert admin_frame.look(BADGE) == ""
    approval = asked(manager)
    for number in range(60):
        copy = Approval.objects.get(pk=approval.pk)
        copy.pk, copy.payment_id, copy.owner_id = None, 10_000 + number, seed.DEAL
        copy.save(force_insert=True)
    since = len(sandbox.log)
    html = admin_frame.look(SCREEN)
    assert len(rows_in(html, "approval")) == 50
    assert "There are more" in html
    assert len(sandbox.log) == since + 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"approval": "x", "decision": "approve"},
        {"approval": "1", "decision": "pay"},
        {"approval": "0", "decision": "approve"},
    ],
)
@pytest.mark.parametrize("path", [DECISION, DECIDE])
def test_bad_input_is_refused(
    frame: Frame, sandbox: Sandbox, path: str, fields: dict[str, str]
) -> None:
    with stage.no_request(sandbox):
        frame.send(path, 400, **fields)


def test_an_undoing_is_not_asked_for_and_a_missing_request_is_told(frame: Frame) -> None:
    for path in (QUESTION, ASK):
        frame.send(path, 400, **choice(frame), kind="undo")
    assert not Approval.objects.exists()
    frame.send(DECIDE, 404, approval=999, decision="approve")


def test_a_decision_reads_the_payment_that_was_asked_for(manager: Person, admin: Person) -> None:
    shown = stage.offer_of(manager)
    approval = ask(manager, shown, pay_system_id=seed.OTHER_PAY, pay_system_name="Other Wallet")
    offer = offer_of(approval, admin)
    assert (offer.user_id, offer.payment_id) == (seed.ADMIN, seed.PAYMENT)
    assert (offer.sum, offer.currency) == (shown.sum, shown.currency)
    assert offer.pay_system_id == shown.pay_system_id == seed.ACME_PAY
    assert offer.owner is not None
    assert offer.owner.key == (2, seed.DEAL)
