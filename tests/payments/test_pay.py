"""Paying one payment: what is read before, whose token reads it, and changing the pay system."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache

from b24app.errors import B24Error, NeverSent, OutcomeUnknown, PortalMoved, Refused
from b24app.identity.session import Person
from b24app.rest import operating
from payments import reasons
from payments.attempts import kinds
from payments.attempts.messages import messages_of
from payments.gateway import DEAL, SMART_INVOICE
from payments.models import Attempt, Kind, State
from payments.offer import Offer
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role
from tests.payments import stage
from tests.payments.pressing import press, refusal

pytestmark = pytest.mark.django_db

UPDATE = "crm.item.payment.update"


def shown(who: Person, deal_id: int, payment_id: int) -> Offer:
    return stage.offer_of(who, deal_id=deal_id, payment_id=payment_id)


def canceled(who: Person) -> Offer:
    return shown(who, seed.CANCELED_DEAL, seed.CANCELED_PAYMENT)


def test_a_manager_pays_and_the_ledger_says_who_paid_what(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    assert offer.order_id is None
    attempt = press(manager, offer)
    assert (attempt.state, messages_of(attempt)) == (State.PAID, [])
    payment = alpha.payments[seed.PAYMENT]
    assert (payment.paid, payment.times_paid, payment.emp_paid_id) == (True, 1, seed.MANAGER)
    assert stage.sent_payments(sandbox) == 1
    kept = Attempt.objects.get()
    assert (kept.portal, kept.user_id) == (manager.portal, seed.MANAGER)
    assert (kept.payment_id, kept.account_number) == (seed.PAYMENT, "163/1")
    assert kept.order_id == seed.ORDER
    assert (kept.sum, kept.currency) == (Decimal(12500), "EUR")
    assert (kept.pay_system_id, kept.pay_system_name) == (seed.ACME_PAY, "Acme Pay")
    assert kept.sent_at is not None
    assert kept.settled_at is not None
    said = {name: kept.evidence[name] for name in ("paid", "empPaidId", "answer")}
    assert said == {"paid": "Y", "empPaidId": seed.MANAGER, "answer": "true"}


@pytest.mark.parametrize(
    ("owner_type", "owner_id", "payment_id", "system"),
    [
        (SMART_INVOICE, seed.INVOICE, seed.INVOICE_PAYMENT, seed.ACME_PAY),
        (DEAL, seed.OTHER_DEAL, seed.OTHER_PAYMENT, seed.OTHER_PAY),
    ],
    ids=["an invoice", "another app's pay system"],
)
def test_paid_in_the_same_way(
    alpha: Portal, manager: Person, owner_type: int, owner_id: int, payment_id: int, system: int
) -> None:
    offer = stage.offer_of(manager, deal_id=owner_id, payment_id=payment_id, owner_type=owner_type)
    assert press(manager, offer, system).state == State.PAID
    assert alpha.payments[payment_id].times_paid == 1


@pytest.mark.parametrize(
    ("deal_id", "payment_id", "reason"),
    [
        (seed.CANCELED_DEAL, seed.CANCELED_PAYMENT, reasons.ORDER_CANCELED),
        (seed.ZERO_DEAL, seed.ZERO_PAYMENT, reasons.SUM_ZERO),
        (seed.PAID_DEAL, seed.PAID_PAYMENT, reasons.ALREADY_PAID),
        (seed.INACTIVE_DEAL, seed.INACTIVE_PAYMENT, reasons.PAY_SYSTEM_INACTIVE),
        (seed.CASH_DEAL, seed.CASH_PAYMENT, reasons.PAY_SYSTEM_BUILT_IN),
        (seed.BILL_DEAL, seed.BILL_PAYMENT, reasons.PAY_SYSTEM_BUILT_IN),
        (seed.ACQUIRER_DEAL, seed.ACQUIRER_PAYMENT, reasons.PAY_SYSTEM_BUILT_IN),
    ],
)
def test_what_cannot_be_paid_is_not_sent(
    sandbox: Sandbox, alpha: Portal, manager: Person, deal_id: int, payment_id: int, reason: str
) -> None:
    offer = shown(manager, deal_id, payment_id)
    times_paid = alpha.payments[payment_id].times_paid
    assert refusal(sandbox, manager, offer, offer.pay_system_id) == reason
    assert alpha.payments[payment_id].times_paid == times_paid
    assert Attempt.objects.get().order_id == alpha.payments[payment_id].order_id


# ---- the payment and its order, read by one token or another


@pytest.mark.parametrize("offered_order", [None, seed.CANCELED_ORDER])
@pytest.mark.parametrize(
    ("numbers", "has_token"),
    [
        ({}, True),
        ({}, False),
        ({seed.CANCELED_ORDER: "A-2024-7"}, True),
        # The number that the payment begins with belongs to an order in good standing.
        ({seed.CANCELED_ORDER: "old", seed.ORDER: str(seed.CANCELED_ORDER)}, True),
    ],
    ids=["usual", "no portal token", "own numbers", "another order's number"],
)
def test_a_cancelled_order_is_found_by_its_payment(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    numbers: dict[int, str],
    has_token: bool,
    offered_order: int | None,
) -> None:
    for order_id, number in numbers.items():
        alpha.orders[order_id].account_number = number
    offer = replace(canceled(manager), order_id=offered_order)
    if not has_token:
        stage.lose_portal_token(manager.portal)
    assert refusal(sandbox, manager, offer) == reasons.ORDER_CANCELED


@pytest.mark.django_db(transaction=True)  # Another thread finds out, and asks for a new pair.
def test_a_portal_token_that_breaks_meanwhile_is_made_up_for(
    sandbox: Sandbox, manager: Person
) -> None:
    offer = canceled(manager)
    stage.break_portal_token(sandbox, manager.portal)
    assert refusal(sandbox, manager, offer) == reasons.ORDER_CANCELED


@pytest.mark.parametrize("role", [Role.DISMISSED, Role.MANAGER])
def test_it_is_paid_while_no_pair_serves_the_portal(
    alpha: Portal, manager: Person, role: Role
) -> None:
    """Whose token serves it is dismissed, or is no administrator any more; twice, since the second
    time that is known."""
    alpha.users[seed.ADMIN].role = role
    cache.clear()
    for deal_id, payment_id in ((seed.DEAL, seed.PAYMENT), (seed.USD_DEAL, seed.USD_PAYMENT)):
        offer = shown(manager, deal_id, payment_id)
        assert press(manager, offer, offer.pay_system_id).state == State.PAID
    assert manager.portal.tokens.get(serves_portal=True).failure_code


def test_where_no_token_reads_orders_the_deals_own_list_decides(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    alpha.users[seed.MANAGER].reads_sale = False
    offer = stage.offer_of(manager)
    stage.lose_portal_token(manager.portal)
    alpha.payments[seed.PAYMENT].sum += 1
    assert refusal(sandbox, manager, offer) == reasons.SUM_CHANGED
    alpha.payments[seed.PAYMENT].sum -= 1
    assert press(manager, offer).state == State.PAID
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def _without_order(sandbox: Sandbox, alpha: Portal) -> None:
    def alter(envelope: Any) -> Any:
        envelope["result"]["payment"]["orderId"] = None
        return envelope

    sandbox.faults.add(Fault("alter", method=stage.KEPT, times=None, alter=alter))


def _deleted(sandbox: Sandbox, alpha: Portal) -> None:
    del alpha.payments[seed.LOOSE_PAYMENT]


@pytest.mark.parametrize(
    ("change", "reason"),
    [(_without_order, reasons.READ_FAILED), (_deleted, reasons.PAYMENT_GONE)],
)
def test_what_belongs_to_no_deal_is_read_by_itself(
    sandbox: Sandbox,
    alpha: Portal,
    admin: Person,
    change: Callable[[Sandbox, Portal], None],
    reason: str,
) -> None:
    offer = stage.row_of(stage.main(admin), seed.LOOSE_PAYMENT).offer
    change(sandbox, alpha)
    assert refusal(sandbox, admin, offer) == reason


def test_a_payment_deleted_while_it_is_read_is_gone(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    """The deal's list still shows it, and the orders' side does not."""
    offer = stage.offer_of(manager)
    listed = threading.Event()

    def delete() -> None:
        listed.wait(timeout=10)
        del alpha.payments[seed.PAYMENT]

    stage.during(sandbox, stage.READ_BACK, listed.set, when="after")
    stage.during(sandbox, stage.KEPT, delete)
    assert refusal(sandbox, manager, offer) == reasons.PAYMENT_GONE


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("drop", reasons.READ_FAILED),
        ("status500", reasons.READ_FAILED),
        ("operation_limit", reasons.REFUSED_BY_BITRIX24),
    ],
)
def test_what_cannot_be_read_is_not_paid_and_can_be_tried_again(
    sandbox: Sandbox, alpha: Portal, manager: Person, kind: str, reason: str
) -> None:
    offer = stage.offer_of(manager)
    fault = sandbox.faults.add(Fault(kind, method=stage.READ_BACK))
    assert refusal(sandbox, manager, offer) == reason
    assert fault.hits == 1
    operating.forget()  # A blocked method is left alone until its block ends.
    assert press(manager, offer).state == State.PAID
    assert alpha.payments[seed.PAYMENT].times_paid == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NeverSent("no connection"), reasons.NOT_REACHED),
        (PortalMoved("elsewhere"), reasons.PORTAL_MOVED),
        (Refused("SOME_CODE"), reasons.REFUSED_BY_BITRIX24),
        (OutcomeUnknown("no JSON"), reasons.READ_FAILED),
    ],
)
def test_an_error_before_sending_closes_the_attempt_with_its_reason(
    sandbox: Sandbox,
    manager: Person,
    error: B24Error,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise error

    action = replace(kinds.ACTIONS[Kind.PAY], prepare=fails)
    monkeypatch.setitem(kinds.ACTIONS, Kind.PAY, action)
    assert refusal(sandbox, manager) == reason


# ---- another pay system


def test_another_pay_system_is_bound_and_then_paid_through(alpha: Portal, manager: Person) -> None:
    attempt = press(manager, system=seed.DEMO_CARD_PAY)
    assert (attempt.state, attempt.pay_system_name) == (State.PAID, "Demo Card Pay")
    assert attempt.bound_pay_system_id == seed.ACME_PAY
    payment = alpha.payments[seed.PAYMENT]
    assert (payment.pay_system_id, payment.times_paid) == (seed.DEMO_CARD_PAY, 1)
    assert press(manager, shown(manager, seed.CASH_DEAL, seed.CASH_PAYMENT)).state == State.PAID
    assert alpha.payments[seed.CASH_PAYMENT].times_paid == 1


def test_pay_systems_that_cannot_be_read_again_are_those_that_were_shown(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("true_without_payment", method="sale.paysystem.list"))
    assert press(manager, offer, seed.DEMO_CARD_PAY).state == State.PAID
    assert alpha.payments[seed.PAYMENT].times_paid == 1


@pytest.mark.parametrize(
    ("system", "reason"),
    [
        (seed.CASH, reasons.PAY_SYSTEM_BUILT_IN),
        (seed.ACQUIRER, reasons.PAY_SYSTEM_BUILT_IN),
        (seed.INACTIVE_PAY, reasons.PAY_SYSTEM_INACTIVE),
        (seed.INVOICE_PAY, reasons.PAY_SYSTEM_OF_INVOICES),
        (seed.COMPANY_PAY, reasons.PAY_SYSTEM_OF_OTHER_BUYERS),
        (9999, reasons.PAY_SYSTEM_GONE),
    ],
)
def test_a_pay_system_that_does_not_fit_is_not_bound(
    sandbox: Sandbox, alpha: Portal, manager: Person, system: int, reason: str
) -> None:
    assert refusal(sandbox, manager, system=system) == reason
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.ACME_PAY


@pytest.mark.parametrize("is_cached", [False, True])
def test_without_the_portals_token_no_other_pay_system_is_bound(
    sandbox: Sandbox, alpha: Portal, manager: Person, is_cached: bool
) -> None:
    offer = stage.offer_of(manager) if is_cached else None
    stage.lose_portal_token(manager.portal)
    cache.clear()
    assert refusal(sandbox, manager, offer, seed.DEMO_CARD_PAY) == reasons.PAY_SYSTEMS_UNREAD
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.ACME_PAY


def test_an_administrator_reads_the_pay_systems_where_no_pair_serves_the_portal(
    admin: Person,
) -> None:
    offer = shown(admin, seed.CASH_DEAL, seed.CASH_PAYMENT)
    stage.lose_portal_token(admin.portal)
    cache.clear()
    assert press(admin, offer).state == State.PAID


@pytest.mark.parametrize(
    ("kind", "when", "reason"),
    [
        ("operation_limit", "before", reasons.REBIND_FAILED),
        ("drop", "before", reasons.REBIND_UNKNOWN),
        ("drop", "after", reasons.REBIND_UNKNOWN),
    ],
)
def test_a_change_that_is_not_confirmed_pays_nothing(
    sandbox: Sandbox, alpha: Portal, manager: Person, kind: str, when: str, reason: str
) -> None:
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault(kind, method=UPDATE, when=when))
    assert refusal(sandbox, manager, offer, seed.DEMO_CARD_PAY) == reason
    bound = seed.DEMO_CARD_PAY if when == "after" else seed.ACME_PAY
    assert alpha.payments[seed.PAYMENT].pay_system_id == bound
    assert sum(UPDATE in call.methods for call in sandbox.log) == 1


def test_a_change_without_a_payment_is_told_as_such(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))
    attempt = press(manager, offer, seed.DEMO_CARD_PAY)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.TRUE_WITHOUT_PAYMENT)
    assert messages_of(attempt)[-1] == reasons.REBOUND
    payment = alpha.payments[seed.PAYMENT]
    assert (payment.pay_system_id, payment.times_paid) == (seed.DEMO_CARD_PAY, 0)
