"""Rights to one order: what Bitrix24 requires to mark, undo or change the pay system."""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache

from b24app.identity.session import Person
from payments import reasons, timeline
from payments.attempts import refused_changes
from payments.attempts.mark_paid import mark
from payments.attempts.messages import messages_of
from payments.attempts.undo import undo
from payments.models import State
from payments.visibility.rows import Row
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.users import Level, OrderRights
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.frames import Frame, offer_in
from tests.payments.pressing import press
from tests.payments.unconfirmed import MARK, calls

pytestmark = pytest.mark.django_db

UPDATE = "crm.item.payment.update"
EDIT_ALL = OrderRights(Level.ALL, Level.NONE, Level.ALL)
ADD_ONLY = OrderRights(Level.ALL, Level.ALL, Level.NONE)
OWN_ONLY = OrderRights(Level.OWN, Level.NONE, Level.OWN)
WORDS = "Bitrix24 does not let you change this order"
UNREADABLE = "Bitrix24 does not let you read the order of this payment"
MARK_BUTTON, UNDO_BUTTON = "/payments/mark/question/", "/payments/undo/question/"


def give(alpha: Portal, rights: OrderRights) -> None:
    """Lets the manager read all deals, and change none of them."""
    user = alpha.users[seed.MANAGER]
    user.order_rights, user.changes_items = rights, False


def cash_row(who: Person) -> Row:
    return stage.row_of(stage.tab(who, seed.CASH_DEAL), seed.CASH_PAYMENT)


@pytest.mark.parametrize("has_token", [True, False])
def test_who_may_edit_orders_and_only_read_the_deal_marks_and_undoes(
    alpha: Portal, manager: Person, has_token: bool
) -> None:
    """Their comment needs the deal, so the portal writes it; without a token of the portal it is
    kept for later."""
    give(alpha, EDIT_ALL)
    assert mark(manager, cash_row(manager).offer).state == State.PAID
    assert alpha.comments == []  # the payment has not waited for it
    if not has_token:
        stage.lose_portal_token(manager.portal)
    assert timeline.post_due() == has_token
    assert [comment.author_id for comment in alpha.comments] == [seed.ADMIN] * has_token
    row = cash_row(manager)
    assert row.undoable
    assert undo(manager, row.offer, note="By mistake").state == State.UNDONE
    assert not alpha.payments[seed.CASH_PAYMENT].paid


def test_the_right_to_an_order_shows_no_deal_that_is_hidden(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    """Bitrix24 alone would let a person who may edit all orders mark any payment."""
    own = stage.person(sandbox, manager.portal, seed.OWN_MANAGER)
    alpha.users[seed.OWN_MANAGER].order_rights = EDIT_ALL
    assert {row.payment.id for row in stage.main(own).rows} == {seed.OWN_PAYMENT}


def test_a_change_of_system_that_is_not_theirs_is_refused_with_the_money_named(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    give(alpha, ADD_ONLY)
    attempt = press(manager, cash_row(manager).offer)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.NO_ORDER_UPDATE)
    (sentence,) = messages_of(attempt)
    assert "Nothing was paid, and the payment keeps its payment system" in str(sentence)
    payment = alpha.payments[seed.CASH_PAYMENT]
    assert (payment.paid, payment.pay_system_id) == (False, seed.CASH)
    assert stage.sent_payments(sandbox) == 0


@pytest.mark.parametrize("older_build", [False, True])
def test_a_refused_mark_is_remembered_for_this_person_and_payment(
    alpha: Portal, manager: Person, admin: Person, older_build: bool
) -> None:
    give(alpha, ADD_ONLY)
    alpha.older_build = older_build
    before = cash_row(manager)
    assert (before.markable, bool(before.other_systems)) == (True, True)
    assert mark(manager, before.offer).reason == reasons.NO_ORDER_UPDATE

    row = cash_row(manager)
    assert (row.markable, row.payable, row.other_systems) == (False, False, [])
    assert WORDS in str(row.why_not)
    assert stage.row_of(stage.tab(manager, seed.BILL_DEAL), seed.BILL_PAYMENT).markable
    assert cash_row(admin).markable

    cache.clear()  # its time is over
    give(alpha, EDIT_ALL)
    assert mark(manager, cash_row(manager).offer).state == State.PAID


def test_what_is_remembered_is_the_portals_own(
    sandbox: Sandbox, beta: Portal, manager: Person
) -> None:
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    refused_changes.remember(manager, seed.CASH_PAYMENT, reasons.NO_ORDER_UPDATE)
    assert not cash_row(manager).markable
    assert cash_row(elsewhere).markable


def test_adding_orders_is_enough_to_pay_by_the_payments_own_system(
    alpha: Portal, manager: Person
) -> None:
    """Also where changing it was refused before."""
    give(alpha, ADD_ONLY)
    assert press(manager, system=seed.DEMO_CARD_PAY).reason == reasons.NO_ORDER_UPDATE
    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
    assert (row.payable, [system.id for system in row.systems]) == (True, [seed.ACME_PAY])
    assert press(manager, row.offer).state == State.PAID


def test_an_undoing_that_is_refused_says_so_and_is_not_offered_again(
    alpha: Portal, manager: Person, frame: Frame
) -> None:
    give(alpha, ADD_ONLY)
    assert press(manager).state == State.PAID
    answer = frame.send("/payments/undo/", offer=offer_in(frame.tab()), note="By mistake")
    assert "Nothing was undone." in answer
    for html in (answer, frame.tab()):
        assert WORDS in html
        assert UNDO_BUTTON not in html
    assert alpha.payments[seed.PAYMENT].paid


@pytest.mark.parametrize("path", ["mark/question", "question"])
def test_without_read_of_the_order_the_dialog_says_so(
    sandbox: Sandbox, alpha: Portal, frame: Frame, path: str
) -> None:
    """Reading comes first in each of these rights, and can be asked without changing anything."""
    give(alpha, OWN_ONLY)
    fields = {"offer": offer_in(frame.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)}
    answer = frame.send(f"/payments/{path}/", 403, **fields, pay_system_id=seed.ACME_PAY)
    assert UNREADABLE in answer
    assert "Nothing was" not in answer
    assert calls(sandbox, MARK) == calls(sandbox, UPDATE) == 0
    assert MARK_BUTTON not in frame.tab(seed.CASH_DEAL)


def test_who_may_not_read_the_order_is_not_asked_whether_to_undo(
    alpha: Portal, manager: Person, frame: Frame
) -> None:
    assert press(manager).state == State.PAID
    give(alpha, OrderRights(Level.NONE, Level.ALL, Level.NONE))
    assert UNREADABLE in frame.send(UNDO_BUTTON, 403, offer=offer_in(frame.tab()))


@pytest.mark.parametrize("kind", ["drop", "status500", "html502"])
def test_without_an_answer_about_the_order_the_question_is_asked(
    sandbox: Sandbox, frame: Frame, kind: str
) -> None:
    offer = offer_in(frame.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)
    sandbox.faults.add(Fault(kind, method="crm.item.payment.get", times=None))
    answer = frame.send(MARK_BUTTON, offer=offer)
    assert re.search(r"<button class=\"button button-main\">\s*Mark as paid", answer)
