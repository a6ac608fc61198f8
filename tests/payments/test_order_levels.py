"""People whose role limits them to some orders: what they see, pay, mark as paid and undo.

Bitrix24 shows the payments of a deal to all who may read it, and its method to pay asks for no
particular order. The app pays only orders that the person may read.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from b24app import models
from b24app.identity.session import Person
from payments.approvals import requests
from payments.attempts.messages import messages_of
from payments.attempts.pay import pay
from payments.models import Approval, Attempt, State
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.users import OrderRights
from sandbox.world.world import Portal
from tests.payments import runs, stage
from tests.payments.frames import FrameOf, offer_in, row_in, rows_in
from tests.payments.unconfirmed import MARK, UNDO, calls

pytestmark = pytest.mark.django_db

PAY_PATH, MARK_PATH, UNDO_PATH = "/payments/pay/", "/payments/mark/", "/payments/undo/"
UPDATE = "crm.item.payment.update"
UNREADABLE = "Bitrix24 does not let you read the order of this payment"
UNCHANGEABLE = "Bitrix24 does not let you change this order"
NO_RIGHT = "You do not have permission to pay orders"

# One payment of each order: OWN_ORDERS' own, a colleague's, and one of the department below.
OWN, COLLEAGUES, BELOW = seed.PLAIN_PAYMENTS[::3]
DEAL_OF = dict(zip((OWN, COLLEAGUES, BELOW), seed.PLAIN_DEALS, strict=True))
ALL = frozenset(DEAL_OF)

# Whom, what they may read, what they may change; a payment needs the right to add or change too.
PEOPLE = [
    (seed.OWN_ORDERS, {OWN}, {OWN}),
    (seed.DEPARTMENT_ORDERS, {OWN, COLLEAGUES}, {OWN, COLLEAGUES}),
    (seed.ADD_ONLY, ALL, set()),
    (seed.UPDATE_ONLY, set(), set()),
]


@pytest.mark.parametrize("user_id", [user_id for user_id, _, _ in PEOPLE])
def test_they_see_the_payments_of_every_deal_that_they_may_read(
    frame_of: FrameOf, user_id: int
) -> None:
    """As Bitrix24's own list of a deal's payments does."""
    frame = frame_of(user_id)
    main = rows_in(frame.opened().content.decode(), "payment")
    for payment_id, deal_id in DEAL_OF.items():
        assert payment_id in main
        assert payment_id in rows_in(frame.tab(deal_id), "payment")


@pytest.mark.parametrize("payment_id", ALL)
@pytest.mark.parametrize(("user_id", "readable", "changeable"), PEOPLE)
def test_they_pay_what_they_may_read(
    sandbox: Sandbox,
    alpha: Portal,
    frame_of: FrameOf,
    user_id: int,
    readable: set[int],
    changeable: set[int],
    payment_id: int,
) -> None:
    frame = frame_of(user_id)
    offer = offer_in(frame.tab(DEAL_OF[payment_id]), payment_id)
    answer = frame.send(PAY_PATH, offer=offer, pay_system_id=seed.ACME_PAY)
    may_pay = payment_id in readable
    assert ('data-state="paid"' in answer) is may_pay
    assert alpha.payments[payment_id].paid is may_pay
    assert stage.sent_payments(sandbox) == may_pay
    if may_pay:
        return
    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.sent_at) == (State.REFUSED, None)
    row = row_in(frame.tab(DEAL_OF[payment_id]), "payment", payment_id)
    for html in (answer, row):
        assert UNREADABLE in html
        assert PAY_PATH not in html
        assert "/payments/question/" not in html
    assert "Nothing was paid." in answer


@pytest.mark.parametrize("payment_id", ALL)
@pytest.mark.parametrize(("user_id", "readable", "changeable"), PEOPLE)
def test_they_mark_and_undo_what_they_may_read_and_change(
    sandbox: Sandbox,
    alpha: Portal,
    frame_of: FrameOf,
    user_id: int,
    readable: set[int],
    changeable: set[int],
    payment_id: int,
) -> None:
    alpha.payments[payment_id].pay_system_id = seed.CASH
    frame = frame_of(user_id)

    def pressed(path: str, **fields: str) -> str:
        offer = offer_in(frame.tab(DEAL_OF[payment_id]), payment_id)
        return frame.send(path, offer=offer, **fields)

    answer = pressed(MARK_PATH)
    assert alpha.payments[payment_id].paid is (payment_id in changeable)
    if payment_id in changeable:
        assert 'data-state="undone"' in pressed(UNDO_PATH, note="By mistake")
        assert not alpha.payments[payment_id].paid
        return
    assert "Nothing was marked as paid." in answer
    assert (UNCHANGEABLE if payment_id in readable else UNREADABLE) in answer
    assert calls(sandbox, MARK) == (payment_id in readable)  # reading can be asked beforehand
    assert Attempt.objects.get().state == State.REFUSED


@pytest.mark.parametrize(("user_id", "readable", "changeable"), PEOPLE)
def test_what_is_refused_to_be_undone_stays_paid(
    sandbox: Sandbox,
    alpha: Portal,
    frame_of: FrameOf,
    user_id: int,
    readable: set[int],
    changeable: set[int],
) -> None:
    """The person paid it while they had the right."""
    rights, person = alpha.users[user_id].order_rights, alpha.users[user_id]
    person.order_rights = None
    frame = frame_of(user_id)
    fields = {"offer": offer_in(frame.tab(DEAL_OF[BELOW]), BELOW), "pay_system_id": seed.ACME_PAY}
    frame.send(PAY_PATH, **fields)
    offer = offer_in(frame.tab(DEAL_OF[BELOW]), BELOW)
    person.order_rights = rights
    answer = frame.send(UNDO_PATH, offer=offer, note="By mistake")
    assert "Nothing was undone." in answer
    assert (UNCHANGEABLE if BELOW in readable else UNREADABLE) in answer
    assert alpha.payments[BELOW].paid
    assert calls(sandbox, UNDO) == (BELOW in readable)
    assert Attempt.objects.latest("pk").state == State.REFUSED


@pytest.mark.parametrize("payment_id", ALL)
@pytest.mark.parametrize(("user_id", "readable", "changeable"), PEOPLE)
def test_another_pay_system_needs_the_right_to_change_the_order(
    sandbox: Sandbox,
    alpha: Portal,
    frame_of: FrameOf,
    user_id: int,
    readable: set[int],
    changeable: set[int],
    payment_id: int,
) -> None:
    frame = frame_of(user_id)
    offer = offer_in(frame.tab(DEAL_OF[payment_id]), payment_id)
    frame.send(PAY_PATH, offer=offer, pay_system_id=seed.DEMO_CARD_PAY)
    may_pay = payment_id in changeable
    payment = alpha.payments[payment_id]
    system = seed.DEMO_CARD_PAY if may_pay else seed.ACME_PAY
    assert (payment.paid, payment.pay_system_id) == (may_pay, system)
    assert stage.sent_payments(sandbox) == may_pay
    assert calls(sandbox, UPDATE) == (payment_id in readable)


@pytest.mark.parametrize(("user_id", "readable", "changeable"), PEOPLE)
def test_several_at_once_pay_and_mark_the_same(
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    user_id: int,
    readable: set[int],
    changeable: set[int],
) -> None:
    marks = dict.fromkeys((OWN + 1, COLLEAGUES + 1, BELOW + 1))
    for payment_id in marks:
        alpha.payments[payment_id].pay_system_id = seed.CASH
    person = stage.person(sandbox, portal, user_id)
    run = runs.worked(person, runs.started(person, *ALL, *marks))
    paid = {row.payment_id for row in run.rows.all() if alpha.payments[row.payment_id].paid}
    assert paid == readable | {payment_id + 1 for payment_id in changeable}
    for row in runs.rows(run).values():
        assert row.attempt is not None
        is_done = row.payment_id in paid
        assert row.attempt.state == (State.PAID if is_done else State.REFUSED)
        assert bool(messages_of(row.attempt)) is not is_done


def test_who_may_not_read_the_order_neither_asks_for_approval_nor_gives_it(
    sandbox: Sandbox, portal: models.Portal, manager: Person
) -> None:
    stage.set_rules(portal, limits={"EUR": "10"})
    own = stage.person(sandbox, portal, seed.OWN_ORDERS)
    approval = _asked(manager, COLLEAGUES)
    with pytest.raises(requests.NotPossible, match=UNREADABLE):
        _asked(own, COLLEAGUES)
    with pytest.raises(requests.NotPossible, match=UNREADABLE):
        requests.approve(own, approval.pk)
    assert requests.approve(own, _asked(manager, OWN).pk).is_approved


def _asked(who: Person, payment_id: int) -> Approval:
    offer = stage.offer_of(who, deal_id=DEAL_OF[payment_id], payment_id=payment_id)
    return requests.ask(who, offer, pay_system_id=seed.ACME_PAY, pay_system_name="Acme Pay")


# ---- rights that are taken away during the attempt


def _lose_all(alpha: Portal) -> None:
    alpha.users[seed.MANAGER].order_rights = OrderRights()


@pytest.mark.parametrize(
    ("method", "act", "words"),
    [
        (stage.PAY, lambda who, offer: pay(who, offer, pay_system_id=seed.ACME_PAY), "permission"),
        (
            UPDATE,
            lambda who, offer: pay(who, offer, pay_system_id=seed.DEMO_CARD_PAY),
            UNCHANGEABLE,
        ),
    ],
)
def test_a_right_that_ends_before_the_call_refuses_it(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    method: str,
    act: Callable[..., Attempt],
    words: str,
) -> None:
    offer = stage.offer_of(manager)
    stage.during(sandbox, method, lambda: _lose_all(alpha))
    attempt = act(manager, offer)
    payment = alpha.payments[seed.PAYMENT]
    assert (payment.paid, payment.pay_system_id) == (False, seed.ACME_PAY)
    assert attempt.state == State.REFUSED
    assert words in " ".join(map(str, messages_of(attempt)))
