"""`sale.paysystem.pay.payment` and `.pay.invoice`: return true even if nothing was paid.

https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-pay-payment.html ; order and
texts follow `sale/lib/paysystem/restservice.php` and `service.php` of the server.
"""

from __future__ import annotations

from typing import Any

from sandbox.api.methods.paysystem_access import handler_of, incoming
from sandbox.api.methods.refusals import access_denied, check_failure
from sandbox.api.registry import Call, RestError, method
from sandbox.api.saving import announce_saved, check_saves, set_paid
from sandbox.wire.loose import is_empty, is_given, now_at, server_zone, to_decimal, to_int, to_text
from sandbox.world.world import Order, Payment, PaySystem

# Handlers without notifications: the service returns success and does nothing.
_SILENT = ("cash", "bill", "cashondelivery", "orderdocument", "inner")
_SILENT_FAMILY = "bill"  # billde, billla, ... are the same in other countries

_READS_BODY = frozenset({"yandexcheckout"})  # reads the raw body, which here is the REST call's

# Parameters that are stored with the payment, and their names there.
_PROVIDER_FIELDS = {
    "PS_INVOICE_ID": "psInvoiceId",
    "PS_STATUS_CODE": "psStatusCode",
    "PS_STATUS_DESCRIPTION": "psStatusDescription",
    "PS_STATUS_MESSAGE": "psStatusMessage",
    "PS_SUM": "psSum",
    "PS_CURRENCY": "psCurrency",
    "PS_RECURRING_TOKEN": "psRecurringToken",
    "PS_CARD_NUMBER": "psCardNumber",
}

# In the portal's language, so a program must not compare these texts.
_TEXTS = {
    "en": {
        "no payment": "Partial payment is not specified",
        "no order": "Order #{order} does not exist",
        "canceled": "Order #{order} canceled",
        "unreadable": "The notification could not be read",
    },
    "de": {
        "no payment": "Es wurde keine Teilzahlung angegeben",
        "no order": "Auftrag Nr. {order} existiert nicht",
        "canceled": "Auftrag Nr. {order} wurde storniert",
        "unreadable": "Die Benachrichtigung konnte nicht gelesen werden",
    },
}


def check_order_right(call: Call) -> None:
    """Checks the right to add or update any order; no particular order is checked."""
    if not call.user.may_edit_orders:
        raise access_denied()


@method("sale.paysystem.pay.payment", "pay_system")
def pay_payment(call: Call) -> bool:
    check_order_right(call)
    params = incoming(call.params)
    if is_empty(params.get("PAY_SYSTEM_ID")):
        raise check_failure("Empty field PAY_SYSTEM_ID!")
    system = call.portal.pay_systems.get(to_int(params["PAY_SYSTEM_ID"]))
    if system is None:
        raise check_failure("Pay system not found")
    if is_empty(params.get("PAYMENT_ID")):
        raise check_failure("Empty field PAYMENT_ID")
    find_payment(call, params)
    _process_request(call, system, params)
    return True


@method("sale.paysystem.pay.invoice", "pay_system")
def pay_invoice(call: Call) -> bool:
    """Pays an invoice of the old kind; these portals have no such invoice."""
    if not call.user.pays_old_invoices:
        raise access_denied()
    params = incoming(call.params)
    systems, handlers = call.portal.pay_systems, call.portal.handlers.values()
    if not is_given(params, "BX_REST_HANDLER") and not is_given(params, "PAY_SYSTEM_ID"):
        raise check_failure("Empty field BX_REST_HANDLER and PAY_SYSTEM_ID")
    if is_given(params, "PAY_SYSTEM_ID") and to_int(params["PAY_SYSTEM_ID"]) not in systems:
        raise check_failure(f"Pay system with ID={to_text(params['PAY_SYSTEM_ID'])} not found")
    if is_given(params, "BX_REST_HANDLER") and params["BX_REST_HANDLER"] not in [
        handler.code for handler in handlers
    ]:
        raise check_failure("Incorrect rest handler code")
    if is_empty(params.get("INVOICE_ID")):
        raise check_failure("Empty field INVOICE_ID!")
    raise RestError(
        "ERROR_INTERNAL_INVOICE_NOT_FOUND", f"Invoice #{to_text(params['INVOICE_ID'])} not found"
    )


def find_payment(call: Call, params: dict[str, Any]) -> Payment:
    """Returns the payment with this id and this pay system now."""
    payment = call.portal.payments.get(to_int(params["PAYMENT_ID"]))
    if payment is None or payment.pay_system_id != to_int(params["PAY_SYSTEM_ID"]):
        raise check_failure(
            f"Payment with ID={to_text(params['PAYMENT_ID'])}"
            f" and PAY_SYSTEM_ID={to_text(params['PAY_SYSTEM_ID'])} not found"
        )
    return payment


def _process_request(call: Call, system: PaySystem, params: dict[str, Any]) -> None:
    """`Service::processRequest`, with the call's parameters as the notification."""
    kind = system.action_file
    if handler_of(call.portal, kind) is None:
        if kind in _SILENT or kind.startswith(_SILENT_FAMILY):
            return
        # A built-in acquirer expects its own spelling; the keys are in upper case here.
        raise _refusal(call, "unreadable" if kind in _READS_BODY else "no payment")
    payment, order = _in_registry(call, system, params)
    if order.canceled:
        raise _refusal(call, "canceled", order=order.id)
    _mark_paid(call, payment, params)


def _in_registry(call: Call, system: PaySystem, params: dict[str, Any]) -> tuple[Payment, Order]:
    """Returns the payment, looked up again in this pay system's registry."""
    payment = call.portal.payments.get(to_int(params["PAYMENT_ID"]))
    if system.registry != "ORDER" or payment is None:
        raise _refusal(call, "no order", order=0)
    return payment, call.portal.orders[payment.order_id]


def _mark_paid(call: Call, payment: Payment, params: dict[str, Any]) -> None:
    """Marks as paid and stores the provider's parameters.

    The portal only logs a failure: the method still returns true.
    """
    was_paid = payment.paid
    try:
        check_saves(call.portal)
        set_paid(call, payment, True)
    except RestError:
        return
    now = now_at(call.world.now())
    payment.provider_data |= {
        "psStatus": "Y",
        "psStatusCode": "Y",
        "psResponseDate": now,
        "payVoucherDate": now.astimezone(server_zone()).replace(hour=0, minute=0, second=0),
    }
    for name, field in _PROVIDER_FIELDS.items():
        if is_given(params, name):
            value = params[name]
            payment.provider_data[field] = to_decimal(value) if field == "psSum" else value
    announce_saved(call, payment, order_changed=not was_paid)


def _refusal(call: Call, reason: str, **values: object) -> RestError:
    texts = _TEXTS.get(call.portal.language, _TEXTS["en"])
    return RestError("ERROR_PROCESS_REQUEST_RESULT", texts[reason].format(**values))
