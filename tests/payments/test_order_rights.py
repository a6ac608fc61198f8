"""Rights to one order: what Bitrix24 requires to mark, undo or change the pay system."""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache
from django.test import Client

from b24app.identity.session import Person
from payments import reasons, timeline
from payments.attempts import refused_changes
from payments.attempts.mark_paid import mark
from payments.attempts.messages import messages_of
from payments.attempts.pay import pay
from payments.attempts.undo import undo
from payments.models import State
from payments.visibility.rows import Row
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.users import Level, OrderRights
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.frames import Frame, offer_in, text_of
from tests.payments.unconfirmed import MARK, calls

pytestmark = pytest.mark.django_db

READ = "crm.item.payment.get"
UPDATE = "crm.item.payment.update"
EDIT_ALL = OrderRights(Level.ALL, Level.NONE, Level.ALL)
ADD_ONLY = OrderRights(Level.ALL, Level.ALL, Level.NONE)
OWN_ONLY = OrderRights(Level.OWN, Level.NONE, Level.OWN)
WORDS = "Bitrix24 does not let you change this order"


@pytest.fixture
def frame(client: Client, sandbox: Sandbox, alpha: Portal, manager: Person) -> Frame:
    return Frame(client, sandbox, alpha, seed.MANAGER)


def give(alpha: Portal, rights: OrderRights, *, changes_items: bool = False) -> None:
    """Lets the manager read all deals, and change none of them by default."""
    user = alpha.users[seed.MANAGER]
    user.order_rights, user.changes_items = rights, changes_items


def cash_row(who: Person) -> Row:
    return stage.row_of(stage.tab(who, seed.CASH_DEAL), seed.CASH_PAYMENT)


def test_who_may_edit_orders_and_only_read_the_deal_marks_and_undoes(
    alpha: Portal, manager: Person
) -> None:
    give(alpha, EDIT_ALL)
    offer = cash_row(manager).offer
    assert mark(manager, offer).state == State.PAID
    row = cash_row(manager)
    assert row.undoable
    assert undo(manager, row.offer, note="By mistake").state == State.UNDONE
    assert not alpha.payments[seed.CASH_PAYMENT].paid


def test_their_comment_is_written_by_the_portal_for_it_needs_the_deal(
    alpha: Portal, manager: Person
) -> None:
    give(alpha, EDIT_ALL)
    assert mark(manager, cash_row(manager).offer).state == State.PAID
    assert alpha.comments == []  # the payment has not waited for it
    assert timeline.post_due() == 1
    assert [comment.author_id for comment in alpha.comments] == [seed.ADMIN]


def test_without_a_token_of_the_portal_their_comment_is_kept_for_later(
    alpha: Portal, manager: Person
) -> None:
    give(alpha, EDIT_ALL)
    assert mark(manager, cash_row(manager).offer).state == State.PAID
    stage.lose_portal_token(manager.portal)
    assert timeline.post_due() == 0
    assert alpha.comments == []


def test_the_right_to_an_order_shows_no_deal_that_is_hidden(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    """Bitrix24 alone would let a person who may edit all orders mark any payment."""
    own = stage.person(sandbox, manager.portal, seed.OWN_MANAGER)
    alpha.users[seed.OWN_MANAGER].order_rights = EDIT_ALL
    assert {row.payment.id for row in stage.main(own).rows} == {seed.OWN_PAYMENT}


def test_adding_orders_is_enough_to_pay_by_the_payments_own_system(
    alpha: Portal, manager: Person
) -> None:
    give(alpha, ADD_ONLY)
    attempt = pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    assert attempt.state == State.PAID


@pytest.mark.parametrize("rights", [ADD_ONLY, OWN_ONLY])
def test_a_change_of_system_that_is_not_theirs_is_refused_with_the_money_named(
    sandbox: Sandbox, alpha: Portal, manager: Person, rights: OrderRights
) -> None:
    give(alpha, rights)
    offer = cash_row(manager).offer
    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.NO_ORDER_UPDATE)
    (sentence,) = messages_of(attempt)
    assert "Nothing was paid, and the payment keeps its payment system" in str(sentence)
    payment = alpha.payments[seed.CASH_PAYMENT]
    assert (payment.paid, payment.pay_system_id) == (False, seed.CASH)
    assert stage.sent_payments(sandbox) == 0


@pytest.mark.parametrize("older_build", [False, True])
def test_a_refused_mark_is_remembered_for_this_person_and_payment(
    sandbox: Sandbox, alpha: Portal, manager: Person, older_build: bool
) -> None:
    give(alpha, ADD_ONLY)
    alpha.older_build = older_build
    before = cash_row(manager)
    assert (before.markable, bool(before.other_systems)) == (True, True)
    assert mark(manager, before.offer).reason == reasons.NO_ORDER_UPDATE

    row = cash_row(manager)
    assert (row.markable, row.payable, row.other_systems) == (False, False, [])
    assert WORDS in str(row.why_not)
    bill = stage.row_of(stage.tab(manager, seed.BILL_DEAL), seed.BILL_PAYMENT)
    assert bill.markable
    assert cash_row(stage.person(sandbox, manager.portal, seed.ADMIN)).markable

    cache.clear()  # its time is over
    give(alpha, EDIT_ALL)
    assert mark(manager, cash_row(manager).offer).state == State.PAID


def test_what_is_remembered_is_the_portals_own(
    sandbox: Sandbox, beta: Portal, manager: Person
) -> None:
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    refused_changes.remember(manager, seed.CASH_PAYMENT)
    assert not cash_row(manager).markable
    assert cash_row(elsewhere).markable


def test_a_payment_by_its_own_system_is_still_offered(alpha: Portal, manager: Person) -> None:
    give(alpha, ADD_ONLY)
    offer = stage.offer_of(manager)
    refused = pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY)
    assert refused.reason == reasons.NO_ORDER_UPDATE
    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
    assert (row.payable, [system.id for system in row.systems]) == (True, [seed.ACME_PAY])


def test_an_undoing_that_is_refused_says_so_and_is_not_offered_again(
    alpha: Portal, manager: Person, frame: Frame
) -> None:
    give(alpha, ADD_ONLY)
    assert pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY).is_open is False
    offer = offer_in(frame.tab())
    answer = text_of(frame.post("/payments/undo/", offer=offer, note="By mistake"))
    assert "Nothing was undone." in answer
    assert WORDS in answer
    assert "/payments/undo/question/" not in answer
    again = frame.tab()
    assert WORDS in again
    assert "/payments/undo/question/" not in again
    assert alpha.payments[seed.PAYMENT].paid


@pytest.mark.parametrize("path", ["mark/question", "question"])
def test_without_read_of_the_order_the_dialog_says_so(
    sandbox: Sandbox, alpha: Portal, frame: Frame, path: str
) -> None:
    """Reading comes first in each of these rights, and can be asked without changing anything."""
    give(alpha, OWN_ONLY)
    offer = offer_in(frame.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)
    answer = text_of(
        frame.post(f"/payments/{path}/", offer=offer, pay_system_id=seed.ACME_PAY), 403
    )
    assert WORDS in answer
    assert "Nothing was" not in answer
    assert calls(sandbox, MARK) == calls(sandbox, UPDATE) == 0
    assert "/payments/mark/question/" not in frame.tab(seed.CASH_DEAL)


def test_who_may_not_read_the_order_is_not_asked_whether_to_undo(
    alpha: Portal, manager: Person, frame: Frame
) -> None:
    give(alpha, OrderRights(Level.NONE, Level.ALL, Level.NONE))
    assert pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY).state == State.PAID
    answer = frame.post("/payments/undo/question/", offer=offer_in(frame.tab()))
    assert WORDS in text_of(answer, 403)


@pytest.mark.parametrize("kind", ["drop", "status500", "html502"])
def test_without_an_answer_about_the_order_the_question_is_asked(
    sandbox: Sandbox, frame: Frame, kind: str
) -> None:
    offer = offer_in(frame.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)
    sandbox.faults.add(Fault(kind, method=READ, times=None))
    answer = text_of(frame.post("/payments/mark/question/", offer=offer))
    assert re.search(r"<button class=\"button button-main\">\s*Mark as paid", answer)


def test_paying_by_the_payments_own_system_asks_nothing_first(
    sandbox: Sandbox, frame: Frame
) -> None:
    offer = offer_in(frame.tab())
    since = len(sandbox.log)
    text_of(frame.post("/payments/question/", offer=offer, pay_system_id=seed.ACME_PAY))
    assert sandbox.log[since:] == []
