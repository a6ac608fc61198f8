"""`sale.payment.*`: every payment of the portal, for people with any CRM role.

https://apidocs.bitrix24.com/api-reference/sale/payment/ ; behaviour follows
`sale/lib/controller/payment.php` and the order builder behind it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.api.methods.listing import argument, descriptions, page_of
from sandbox.api.methods.refusals import missing_argument
from sandbox.api.methods.sale_access import check_modify, check_read
from sandbox.api.methods.sale_payment_fields import (
    KEPT_FIELDS,
    PAYMENT_FIELDS,
    payment_row,
    payment_rows,
    shown,
)
from sandbox.api.registry import Call, Listed, RestError, method
from sandbox.api.saving import add_payment, announce_saved, check_saves, delete_payment, set_paid
from sandbox.wire.loose import is_empty, to_decimal, to_int, to_moment, to_text
from sandbox.world.world import Payment

PAYMENT_NOT_FOUND = 200640400001
ORDER_NOT_FOUND = 200540400001

_SUM_TOLERANCE = Decimal("0.001")  # a smaller difference does not change a paid payment's sum


@method("sale.payment.list", "sale")
def list_payments(call: Call) -> Listed:
    check_read(call)
    return page_of(
        payment_rows(call.portal),
        call.params,
        fields=PAYMENT_FIELDS,
        default_order="id",
        shown=shown,
        envelope="payments",
    )


@method("sale.payment.get", "sale")
def get_payment(call: Call) -> dict[str, Any]:
    check_read(call)
    return {"payment": payment_row(call.portal, _existing(call))}


@method("sale.payment.getfields", "sale")
def get_payment_fields(call: Call) -> dict[str, Any]:
    """Needs no right."""
    return {"payment": descriptions(PAYMENT_FIELDS)}


@method("sale.payment.add", "sale")
def add(call: Call) -> dict[str, Any]:
    check_modify(call)
    fields = _fields(call)
    _check_required(fields, "orderId", "paySystemId")
    order = call.portal.orders.get(to_int(fields["orderId"]))
    if order is None:
        raise RestError(ORDER_NOT_FOUND, "order is not exists")
    _check_pay_system(call, fields)
    check_saves(call.portal)
    payment = add_payment(call, order, pay_system_id=to_int(fields["paySystemId"]))
    _write(call, payment, fields)
    return {"payment": payment_row(call.portal, payment)}


@method("sale.payment.update", "sale")
def update(call: Call) -> dict[str, Any]:
    """Updates a payment. paySystemId is required; without companyId the server sets it to 0."""
    check_modify(call)
    payment = _existing(call)
    fields = _fields(call)
    _check_required(fields, "paySystemId")
    _check_pay_system(call, fields)
    if payment.paid and abs(_sum(fields, payment) - payment.sum) > _SUM_TOLERANCE:
        raise RestError(0, "The sum of a paid payment cannot be changed")
    check_saves(call.portal)
    was_paid = payment.paid
    _write(call, payment, fields)
    announce_saved(call, payment, order_changed=payment.paid is not was_paid)
    return {"payment": payment_row(call.portal, payment)}


@method("sale.payment.delete", "sale")
def delete(call: Call) -> bool:
    check_modify(call)
    delete_payment(call, _existing(call))
    return True


def _existing(call: Call) -> Payment:
    if call.params.get("id") is None:
        raise missing_argument("id")
    payment = call.portal.payments.get(to_int(call.params["id"]))
    if payment is None:
        raise RestError(PAYMENT_NOT_FOUND, "payment is not exists")
    return payment


def _fields(call: Call) -> dict[str, Any]:
    if is_empty(call.params.get("fields")):
        raise missing_argument("fields")
    return argument(call.params, "fields")


def _check_required(fields: dict[str, Any], *names: str) -> None:
    missing = [name for name in names if is_empty(fields.get(name))]
    if missing:
        raise RestError(0, f"Required fields: {', '.join(missing)}")


def _check_pay_system(call: Call, fields: dict[str, Any]) -> None:
    pay_system_id = to_int(fields["paySystemId"])
    if pay_system_id > 0 and pay_system_id not in call.portal.pay_systems:
        raise RestError("SALE_PAYMENT_WRONG_PAYMENT_SERVICE", "The payment system is incorrect")


def _sum(fields: dict[str, Any], payment: Payment) -> Decimal:
    return to_decimal(fields["sum"]) if "sum" in fields else payment.sum


def _write(call: Call, payment: Payment, fields: dict[str, Any]) -> None:
    """Writes the known, writable fields; ignores a date that cannot be parsed."""
    if fields.get("paid") in ("Y", "N"):
        set_paid(call, payment, fields["paid"] == "Y")
    payment.pay_system_id = to_int(fields["paySystemId"])
    if not payment.paid:
        payment.sum = _sum(fields, payment)
    payment.company_id = to_int(fields.get("companyId"))
    payment.comments = to_text(fields.get("comments", payment.comments))
    for name in KEPT_FIELDS & fields.keys():
        is_date = PAYMENT_FIELDS[name].type == "datetime"
        value = to_moment(fields[name]) if is_date else fields[name]
        if value is not None or not is_date:
            payment.provider_data[name] = value
    payment.date_bill = to_moment(fields.get("dateBill")) or payment.date_bill
    payment.date_paid = to_moment(fields.get("datePaid")) or payment.date_paid
