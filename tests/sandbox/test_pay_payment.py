"""`sale.paysystem.pay.payment`: its checks, its effects, and where it returns true without paying.

The method is documented in api-reference/pay-system/sale-pay-system-pay-payment.md; the rest is in
the server's sale/lib/paysystem/restservice.php, service.php and resthandler.php.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sandbox.world import seed
from sandbox.world.world import Payment
from tests.sandbox.asking import (
    Refusal,
    ask,
    by_other_application,
    by_webhook,
    refusal_in,
    refused,
)
from tests.sandbox.wire import PAY, THE_PAYMENT, Wire, in_process

NO_RIGHT = Refusal(403, "ACCESS_DENIED", "Access denied!")


def failure(text: str) -> Refusal:
    return Refusal(400, "ERROR_CHECK_FAILURE", text)


def unprocessed(text: str) -> Refusal:
    return Refusal(400, "ERROR_PROCESS_REQUEST_RESULT", text)


def the_payment(wire: Wire, payment_id: int = seed.PAYMENT) -> Payment:
    return wire.alpha.payments[payment_id]


def params_of(wire: Wire, payment_id: int) -> dict[str, Any]:
    system = the_payment(wire, payment_id).pay_system_id
    return {"PAYMENT_ID": payment_id, "PAY_SYSTEM_ID": system}


# Checks, in order


def test_the_payment_must_have_this_pay_system_now() -> None:
    """checkParamsForPayment in restservice.php: one query for both ids."""
    wire = in_process()
    the_payment(wire).pay_system_id = seed.DEMO_CARD_PAY
    assert refused(wire, PAY, THE_PAYMENT, user=seed.MANAGER) == failure(
        "Payment with ID=271 and PAY_SYSTEM_ID=11 not found"
    )


@pytest.mark.parametrize(
    "params",
    [
        {"payment_id": "271", "pay_system_id": "11"},
        {"Payment_Id": 271, "Pay_System_Id": "11 "},
    ],
)
def test_names_in_any_case_and_numbers_as_strings_are_accepted(params: dict[str, Any]) -> None:
    """arrayChangeKeyCaseRecursive in restservice.php."""
    wire = in_process()
    assert ask(wire, PAY, params, user=seed.MANAGER) is True
    assert the_payment(wire).paid


# Missing checks


def test_rights_to_the_deal_handlers_application_and_active_are_not_checked() -> None:
    """payPayment in restservice.php calls no hasAccessToPaySystem and reads no ACTIVE."""
    wire = in_process()
    for payment_id in (seed.HIDDEN_PAYMENT, seed.OTHER_PAYMENT, seed.INACTIVE_PAYMENT):
        assert ask(wire, PAY, params_of(wire, payment_id), user=seed.OWN_MANAGER) is True
        assert the_payment(wire, payment_id).emp_paid_id == seed.OWN_MANAGER


def test_another_application_can_pay_with_our_handler() -> None:
    """restservice.php: no check of APP_ID on this path."""
    wire = in_process()
    response = by_other_application(wire, PAY, THE_PAYMENT, user=seed.MANAGER)
    assert response.json()["result"] is True
    assert the_payment(wire).paid


def test_a_sum_of_zero_is_paid() -> None:
    """service.php compares no sums."""
    wire = in_process()
    assert ask(wire, PAY, params_of(wire, seed.ZERO_PAYMENT), user=seed.MANAGER) is True
    assert the_payment(wire, seed.ZERO_PAYMENT).paid


# By kind of handler


@pytest.mark.parametrize(
    "payment_id",
    [
        seed.CASH_PAYMENT,
        seed.BILL_PAYMENT,
        seed.ON_DELIVERY_PAYMENT,
        seed.INNER_PAYMENT,
        seed.DOCUMENT_PAYMENT,
    ],
)
def test_a_handler_without_notifications_returns_true_and_pays_nothing(payment_id: int) -> None:
    """service.php processRequest: without a ServiceHandler, success; nothing saved, no event."""
    wire = in_process()
    bind_payment_event(wire)
    assert ask(wire, PAY, params_of(wire, payment_id), user=seed.MANAGER) is True
    payment = the_payment(wire, payment_id)
    assert not payment.paid
    assert (payment.times_paid, payment.provider_data) == (0, {})
    assert wire.sandbox.world.outbox == []


def test_bills_of_other_countries_are_bills() -> None:
    """handlers/paysystem/bill*: one family."""
    wire = in_process()
    wire.alpha.pay_systems[seed.BILL].action_file = "billde"
    assert ask(wire, PAY, params_of(wire, seed.BILL_PAYMENT), user=seed.MANAGER) is True
    assert not the_payment(wire, seed.BILL_PAYMENT).paid


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Partial payment is not specified"),
        ("de", "Es wurde keine Teilzahlung angegeben"),
    ],
)
def test_an_acquirer_finds_no_payment_and_its_error_is_in_the_portals_language(
    language: str, text: str
) -> None:
    """service.php: SALE_PS_SERVICE_PAYMENT_ERROR_EMPTY, a localized message."""
    wire = in_process()
    wire.alpha.language = language
    params = params_of(wire, seed.ACQUIRER_PAYMENT)
    assert refused(wire, PAY, params, user=seed.MANAGER) == unprocessed(text)
    assert not the_payment(wire, seed.ACQUIRER_PAYMENT).paid


def test_an_acquirer_that_reads_the_raw_body_has_its_own_error() -> None:
    """handlers/paysystem/yandexcheckout/handler.php."""
    wire = in_process()
    wire.alpha.pay_systems[seed.ACQUIRER].action_file = "yandexcheckout"
    refusal = refused(wire, PAY, params_of(wire, seed.ACQUIRER_PAYMENT), user=seed.MANAGER)
    assert (refusal.status, refusal.code) == (400, "ERROR_PROCESS_REQUEST_RESULT")


def test_a_pay_system_of_old_invoices_searches_its_own_registry() -> None:
    """service.php: getIdsByPayment with ENTITY_REGISTRY_TYPE, after the check found the order's."""
    wire = in_process()
    the_payment(wire).pay_system_id = seed.INVOICE_PAY
    refusal = refused(wire, PAY, params_of(wire, seed.PAYMENT), user=seed.MANAGER)
    assert refusal == unprocessed("Order #0 does not exist")
    assert not the_payment(wire).paid


def test_a_cancelled_order_is_ignored_if_the_handler_processes_nothing() -> None:
    """service.php checks the kind of handler before the order."""
    wire = in_process()
    the_payment(wire, seed.CANCELED_PAYMENT).pay_system_id = seed.CASH
    params = params_of(wire, seed.CANCELED_PAYMENT)
    assert ask(wire, PAY, params, user=seed.MANAGER) is True


# Effects


def test_a_payment_is_marked_with_the_person_of_the_token() -> None:
    """sale/lib/payment.php: DATE_PAID and EMP_PAID_ID; resthandler.php: the PS fields."""
    wire = in_process()
    assert ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER) is True
    row = ask(wire, "sale.payment.get", {"id": seed.PAYMENT}, user=seed.MANAGER)["payment"]
    assert (row["paid"], row["empPaidId"], row["isReturn"]) == ("Y", seed.MANAGER, "N")
    assert (row["psStatus"], row["psStatusCode"]) == ("Y", "Y")
    assert row["datePaid"] == row["psResponseDate"]
    assert row["payVoucherDate"].endswith("T00:00:00+03:00")
    assert the_payment(wire).times_paid == 1


def test_a_webhook_pays_as_its_owner() -> None:
    """sale/lib/payment.php: EMP_PAID_ID is the current user, here the webhook's owner."""
    wire = in_process()
    assert by_webhook(wire, PAY, THE_PAYMENT).json()["result"] is True
    assert the_payment(wire).emp_paid_id == seed.ADMIN


def test_provider_fields_are_stored_as_passed() -> None:
    """resthandler.php: optional PS_* parameters, not documented."""
    wire = in_process()
    extra = {
        "PS_INVOICE_ID": "INV-7",
        "PS_STATUS_CODE": "captured",
        "PS_STATUS_DESCRIPTION": "by card",
        "PS_STATUS_MESSAGE": "fine",
        "PS_SUM": "1.50",
        "PS_CURRENCY": "USD",
    }
    ask(wire, PAY, {**THE_PAYMENT, **extra}, user=seed.MANAGER)
    row = ask(wire, "sale.payment.get", {"id": seed.PAYMENT}, user=seed.MANAGER)["payment"]
    assert (row["psInvoiceId"], row["psStatusCode"]) == ("INV-7", "captured")
    assert (row["psStatusDescription"], row["psStatusMessage"]) == ("by card", "fine")
    assert (row["psSum"], row["psCurrency"]) == (1.5, "USD")
    assert the_payment(wire).sum == Decimal("12500.00"), "recorded, never compared"


def test_an_order_is_paid_when_its_payments_cover_its_price() -> None:
    """sale/lib/paymentcollection.php: PAYED, spelled so."""
    wire = in_process()
    first, _paid = seed.SEVERAL_PAYMENTS[:2]
    order = {"id": seed.SEVERAL_ORDERS[0]}
    assert ask(wire, "sale.order.get", order, user=seed.MANAGER)["order"]["payed"] == "N"
    ask(wire, PAY, params_of(wire, first), user=seed.MANAGER)
    assert ask(wire, "sale.order.get", order, user=seed.MANAGER)["order"]["payed"] == "Y"


def test_paying_again_changes_no_money_but_the_providers_fields() -> None:
    """main/lib entity: an equal value is no change; service.php: psData is written each time."""
    wire = in_process()
    bind_payment_event(wire)
    ask(wire, PAY, {**THE_PAYMENT, "PS_INVOICE_ID": "first"}, user=seed.MANAGER)
    before = ask(wire, "sale.payment.get", {"id": seed.PAYMENT}, user=seed.MANAGER)["payment"]
    wire.sandbox.world.advance(60)
    again = {**THE_PAYMENT, "PS_INVOICE_ID": "second"}
    assert ask(wire, PAY, again, user=seed.ADMIN) is True
    after = ask(wire, "sale.payment.get", {"id": seed.PAYMENT}, user=seed.MANAGER)["payment"]
    assert the_payment(wire).times_paid == 1
    assert after["datePaid"] == before["datePaid"]
    assert after["empPaidId"] == seed.MANAGER
    assert after["psResponseDate"] > before["psResponseDate"]
    assert after["psInvoiceId"] == "second"
    assert len(wire.sandbox.world.outbox) == 2, "the event is sent for each save"


def test_a_payment_that_was_unpaid_can_be_paid_again() -> None:
    """Only the change from N to Y counts."""
    wire = in_process()
    ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER)
    ask(wire, "crm.item.payment.unpay", {"id": seed.PAYMENT}, user=seed.MANAGER)
    ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER)
    assert the_payment(wire).times_paid == 2


def test_a_failed_save_is_an_error_only_in_other_methods() -> None:
    """service.php only logs a failure of setPaid or save; the order controllers report it."""
    wire = in_process()
    wire.alpha.payment_save_fails = True
    assert ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER) is True
    payment = the_payment(wire)
    assert (payment.paid, payment.times_paid, payment.provider_data) == (False, 0, {})
    by_hand = refused(wire, "crm.item.payment.pay", {"id": seed.PAYMENT}, user=seed.MANAGER)
    assert (by_hand.status, by_hand.code) == (400, "0")


# sale.paysystem.pay.invoice


def test_old_invoices_have_a_right_of_their_own() -> None:
    """checkInvoicePermission."""
    wire = in_process()
    wire.alpha.users[seed.MANAGER].pays_old_invoices = False
    assert refused(wire, "sale.paysystem.pay.invoice", user=seed.MANAGER) == NO_RIGHT


def bind_payment_event(wire: Wire) -> None:
    handler = {"event": "OnPaymentEntitySaved", "handler": "https://pay.example.com/event/"}
    assert ask(wire, "event.bind", handler, user=seed.ADMIN) is True


def test_a_dismissed_person_is_refused() -> None:
    """_includes/system-errors.md: a fired user is no longer authorized, whatever the method."""
    wire = in_process()
    response = wire.call(PAY, THE_PAYMENT, token=wire.token(seed.DISMISSED))
    assert refusal_in(response).status == 401
    assert not the_payment(wire).paid
