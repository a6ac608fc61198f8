"""Paying one payment: what is refused before anything is sent, and changing the pay system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from django.core.cache import cache

from b24app.errors import Missing
from b24app.identity.session import Person
from payments import reasons
from payments.attempts.messages import messages_of
from payments.attempts.pay import pay
from payments.models import Attempt, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Payment, Portal, Role
from tests.payments import stage

pytestmark = pytest.mark.django_db

UPDATE = "crm.item.payment.update"


def test_a_manager_pays(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    attempt = pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)

    assert (attempt.state, messages_of(attempt)) == (State.PAID, [])
    payment = alpha.payments[seed.PAYMENT]
    assert (payment.paid, payment.times_paid) == (True, 1)
    assert payment.emp_paid_id == seed.MANAGER
    assert stage.sent_payments(sandbox) == 1


def test_the_ledger_says_who_paid_what(manager: Person) -> None:
    pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)

    attempt = Attempt.objects.get()
    assert (attempt.portal, attempt.user_id) == (manager.portal, seed.MANAGER)
    assert (attempt.payment_id, attempt.account_number) == (seed.PAYMENT, "163/1")
    assert (attempt.sum, attempt.currency) == (Decimal(12500), "EUR")
    assert (attempt.pay_system_id, attempt.pay_system_name) == (seed.ACME_PAY, "Acme Pay")
    assert attempt.sent_at is not None
    assert attempt.settled_at is not None
    assert attempt.evidence["paid"] == "Y"
    assert attempt.evidence["empPaidId"] == seed.MANAGER
    assert attempt.evidence["answer"] == "true"


def test_an_invoice_is_paid_like_a_deal(alpha: Portal, manager: Person) -> None:
    offer = stage.offer_of(
        manager, deal_id=seed.INVOICE, payment_id=seed.INVOICE_PAYMENT, owner_type=31
    )
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    assert alpha.payments[seed.INVOICE_PAYMENT].times_paid == 1


def test_another_apps_pay_system_pays_too(alpha: Portal, manager: Person) -> None:
    offer = stage.offer_of(manager, deal_id=seed.OTHER_DEAL, payment_id=seed.OTHER_PAYMENT)
    assert pay(manager, offer, pay_system_id=seed.OTHER_PAY).state == State.PAID
    assert alpha.payments[seed.OTHER_PAYMENT].times_paid == 1


def _paid(payment: Payment) -> None:
    payment.paid, payment.emp_paid_id, payment.times_paid = True, seed.ADMIN, 1


def _dearer(payment: Payment) -> None:
    payment.sum += Decimal("0.01")


def _in_dollars(payment: Payment) -> None:
    payment.currency = "USD"


def _bound_elsewhere(payment: Payment) -> None:
    payment.pay_system_id = seed.DEMO_CARD_PAY


def _free(payment: Payment) -> None:
    payment.sum = Decimal(0)


def _moved(payment: Payment) -> None:
    payment.order_id = seed.INVOICE_ORDER


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_paid, reasons.ALREADY_PAID),
        (_dearer, reasons.SUM_CHANGED),
        (_in_dollars, reasons.CURRENCY_CHANGED),
        (_bound_elsewhere, reasons.PAY_SYSTEM_CHANGED),
        (_free, reasons.SUM_ZERO),
        (_moved, reasons.PAYMENT_GONE),
    ],
)
def test_what_changed_since_it_was_shown_is_not_paid(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    change: Callable[[Payment], None],
    reason: str,
) -> None:
    offer = stage.offer_of(manager)
    payment = alpha.payments[seed.PAYMENT]
    change(payment)
    times_paid = payment.times_paid

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reason)
    assert messages_of(attempt)
    assert attempt.sent_at is None
    assert stage.sent_payments(sandbox) == 0
    assert payment.times_paid == times_paid


def test_a_deleted_payment_is_shown_as_gone(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    del alpha.payments[seed.PAYMENT]

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.PAYMENT_GONE)
    assert stage.sent_payments(sandbox) == 0


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
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    deal_id: int,
    payment_id: int,
    reason: str,
) -> None:
    offer = stage.offer_of(manager, deal_id=deal_id, payment_id=payment_id)
    times_paid = alpha.payments[payment_id].times_paid

    attempt = pay(manager, offer, pay_system_id=offer.pay_system_id)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reason)
    assert stage.sent_payments(sandbox) == 0
    assert alpha.payments[payment_id].times_paid == times_paid


@pytest.mark.parametrize(
    ("deal_id", "payment_id"),
    [(seed.DEAL, seed.PAYMENT), (seed.CANCELED_DEAL, seed.CANCELED_PAYMENT)],
)
def test_an_attempt_from_a_deal_keeps_its_order(
    alpha: Portal, manager: Person, deal_id: int, payment_id: int
) -> None:
    offer = stage.offer_of(manager, deal_id=deal_id, payment_id=payment_id)
    assert offer.order_id is None

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    attempt.refresh_from_db()
    assert attempt.order_id == alpha.payments[payment_id].order_id


@pytest.mark.parametrize("offered_order", [None, seed.CANCELED_ORDER])
def test_a_cancelled_order_is_found_whether_or_not_its_id_is_known(
    sandbox: Sandbox, manager: Person, offered_order: int | None
) -> None:
    offer = stage.offer_of(manager, deal_id=seed.CANCELED_DEAL, payment_id=seed.CANCELED_PAYMENT)

    attempt = pay(manager, replace(offer, order_id=offered_order), pay_system_id=seed.ACME_PAY)

    assert attempt.reason == reasons.ORDER_CANCELED
    assert stage.sent_payments(sandbox) == 0


def test_an_order_with_numbers_of_its_own_is_found_all_the_same(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    alpha.orders[seed.CANCELED_ORDER].account_number = "A-2024-7"
    offer = stage.offer_of(manager, deal_id=seed.CANCELED_DEAL, payment_id=seed.CANCELED_PAYMENT)

    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).reason == reasons.ORDER_CANCELED
    assert stage.sent_payments(sandbox) == 0


def test_another_orders_number_does_not_vouch_for_this_one(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    # The number that the payment begins with belongs to an order in good standing.
    alpha.orders[seed.CANCELED_ORDER].account_number = "old"
    alpha.orders[seed.ORDER].account_number = str(seed.CANCELED_ORDER)
    offer = stage.offer_of(manager, deal_id=seed.CANCELED_DEAL, payment_id=seed.CANCELED_PAYMENT)

    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).reason == reasons.ORDER_CANCELED
    assert stage.sent_payments(sandbox) == 0


def test_without_the_portals_token_the_persons_own_reads_the_order(
    sandbox: Sandbox, manager: Person
) -> None:
    offer = stage.offer_of(manager, deal_id=seed.CANCELED_DEAL, payment_id=seed.CANCELED_PAYMENT)
    stage.lose_portal_token(manager.portal)

    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).reason == reasons.ORDER_CANCELED
    assert stage.sent_payments(sandbox) == 0


@pytest.mark.django_db(transaction=True)  # Another thread finds out, and asks for a new pair.
def test_a_portal_token_that_breaks_meanwhile_is_made_up_for(
    sandbox: Sandbox, manager: Person
) -> None:
    offer = stage.offer_of(manager, deal_id=seed.CANCELED_DEAL, payment_id=seed.CANCELED_PAYMENT)
    stage.break_portal_token(sandbox, manager.portal)

    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).reason == reasons.ORDER_CANCELED
    assert stage.sent_payments(sandbox) == 0


@pytest.mark.parametrize("role", [Role.DISMISSED, Role.MANAGER])
def test_it_is_paid_while_no_pair_serves_the_portal(
    sandbox: Sandbox, alpha: Portal, manager: Person, role: Role
) -> None:
    """Whose token serves it is dismissed, or is no administrator any more; twice, since the second
    time that is known."""
    alpha.users[seed.ADMIN].role = role
    cache.clear()
    for deal_id, payment_id in ((seed.DEAL, seed.PAYMENT), (seed.USD_DEAL, seed.USD_PAYMENT)):
        offer = stage.offer_of(manager, deal_id=deal_id, payment_id=payment_id)
        attempt = pay(manager, offer, pay_system_id=offer.pay_system_id)
        assert attempt.state == State.PAID
    assert manager.portal.tokens.get(serves_portal=True).failure_code


def test_a_pay_system_switched_off_since_it_was_shown_is_not_used(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    alpha.pay_systems[seed.ACME_PAY].active = False

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert attempt.reason == reasons.PAY_SYSTEM_INACTIVE
    assert stage.sent_payments(sandbox) == 0


def test_pay_systems_that_cannot_be_read_again_are_those_that_were_shown(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("true_without_payment", method="sale.paysystem.list"))

    assert pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY).state == State.PAID
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def test_another_persons_offer_does_not_exist(manager: Person) -> None:
    offer = replace(stage.offer_of(manager), user_id=seed.ADMIN)
    with pytest.raises(Missing):
        pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert not Attempt.objects.exists()


def test_another_pay_system_is_bound_and_then_paid_through(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    attempt = pay(manager, stage.offer_of(manager), pay_system_id=seed.DEMO_CARD_PAY)

    assert attempt.state == State.PAID
    assert attempt.pay_system_name == "Demo Card Pay"
    assert attempt.bound_pay_system_id == seed.ACME_PAY
    payment = alpha.payments[seed.PAYMENT]
    assert (payment.pay_system_id, payment.times_paid) == (seed.DEMO_CARD_PAY, 1)


def test_cash_can_be_changed_for_what_pays(alpha: Portal, manager: Person) -> None:
    offer = stage.offer_of(manager, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)

    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    assert alpha.payments[seed.CASH_PAYMENT].times_paid == 1


@pytest.mark.parametrize(
    ("pay_system_id", "reason"),
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
    sandbox: Sandbox, alpha: Portal, manager: Person, pay_system_id: int, reason: str
) -> None:
    attempt = pay(manager, stage.offer_of(manager), pay_system_id=pay_system_id)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reason)
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.ACME_PAY
    assert stage.sent_payments(sandbox) == 0


def test_without_the_portals_token_no_other_pay_system_can_be_chosen(
    alpha: Portal, manager: Person
) -> None:
    stage.lose_portal_token(manager.portal)

    attempt = pay(manager, stage.offer_of(manager), pay_system_id=seed.DEMO_CARD_PAY)

    assert attempt.reason == reasons.PAY_SYSTEMS_UNREAD
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.ACME_PAY


def test_a_refused_change_pays_nothing(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("operation_limit", method=UPDATE))

    attempt = pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.REBIND_FAILED)
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.ACME_PAY
    assert stage.sent_payments(sandbox) == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_change_without_an_answer_pays_nothing_and_says_so(
    sandbox: Sandbox, manager: Person, when: str
) -> None:
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("drop", method=UPDATE, when=when))

    attempt = pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.REBIND_UNKNOWN)
    assert sum(UPDATE in call.methods for call in sandbox.log) == 1
    assert stage.sent_payments(sandbox) == 0


def test_a_change_without_a_payment_is_told_as_such(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))

    attempt = pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.TRUE_WITHOUT_PAYMENT)
    assert messages_of(attempt)[-1] == reasons.REBOUND
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.DEMO_CARD_PAY
    assert alpha.payments[seed.PAYMENT].times_paid == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("drop", method=stage.READ_BACK), reasons.READ_FAILED),
        (Fault("status500", method=stage.READ_BACK), reasons.READ_FAILED),
        (Fault("operation_limit", method=stage.READ_BACK), reasons.REFUSED_BY_BITRIX24),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_what_cannot_be_read_is_not_paid(
    sandbox: Sandbox, manager: Person, fault: Fault, reason: str
) -> None:
    offer = stage.offer_of(manager)
    sandbox.faults.add(replace(fault))

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reason)
    assert messages_of(attempt)
    assert stage.sent_payments(sandbox) == 0


def test_after_a_refusal_it_can_be_tried_again(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("drop", method=stage.READ_BACK))
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.REFUSED

    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    assert alpha.payments[seed.PAYMENT].times_paid == 1
