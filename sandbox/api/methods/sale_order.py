"""`sale.order.list`, `.get` and `.getFields`.

https://apidocs.bitrix24.com/api-reference/sale/order/ ; a list row has the order's own columns,
`get` also nests the order's parts, each only if it is not empty.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sandbox.api.methods.listing import Field, descriptions, page_of
from sandbox.api.methods.refusals import missing_argument
from sandbox.api.methods.sale_access import check_read
from sandbox.api.methods.sale_payment_fields import payment_row, shown
from sandbox.api.registry import Call, Listed, RestError, method
from sandbox.api.saving import is_order_paid, payments_of_order
from sandbox.wire.loose import flag, to_int
from sandbox.world.world import Order, Payment, Portal

ORDER_NOT_FOUND = 200540400001


class OrderRow(NamedTuple):
    order: Order
    payments: list[Payment]


def _constant(kind: str, value: Any, **flags: bool) -> Field[OrderRow]:
    return Field(kind, lambda row: value, **flags)


def _lock(order: Order) -> tuple[str, datetime | None]:
    """Returns who has the order open, and since when."""
    if order.locked_by is None:
        return "", None
    return str(order.locked_by), order.date_insert


ORDER_FIELDS: dict[str, Field[OrderRow]] = {
    "id": Field("integer", lambda row: row.order.id, read_only=True),
    "accountNumber": Field("string", lambda row: row.order.account_number, read_only=True),
    "price": Field("double", lambda row: row.order.price),
    "currency": Field("string", lambda row: row.order.currency, required=True, immutable=True),
    "payed": Field("char", lambda row: flag(is_order_paid(*row)), read_only=True),
    "canceled": Field("char", lambda row: flag(row.order.canceled)),
    "personTypeId": Field(
        "integer", lambda row: row.order.person_type_id, required=True, immutable=True
    ),
    "userId": Field("integer", lambda row: row.order.user_id, immutable=True),
    "responsibleId": Field("integer", lambda row: row.order.responsible_id),
    "dateInsert": Field("datetime", lambda row: row.order.date_insert),
    "dateStatus": Field("datetime", lambda row: row.order.date_insert, read_only=True),
    "dateUpdate": Field("datetime", lambda row: row.order.date_insert, read_only=True),
    "xmlId": Field("string", lambda row: f"bx_{row.order.id}"),
    "additionalInfo": _constant("string", ""),
    "affiliateId": _constant("integer", None),
    "comments": _constant("string", ""),
    "companyId": _constant("integer", None),
    "dateCanceled": _constant("datetime", None, read_only=True),
    "dateLock": Field("datetime", lambda row: _lock(row.order)[1], read_only=True),
    "dateMarked": _constant("datetime", None, read_only=True),
    "deducted": _constant("char", "N", read_only=True),
    "discountValue": _constant("double", Decimal(0)),
    "empCanceledId": _constant("integer", None),
    "empMarkedId": _constant("integer", None),
    "empStatusId": _constant("integer", 1),
    "externalOrder": _constant("char", "N"),
    "id1c": _constant("string", ""),
    "lid": _constant("string", "s1", required=True, immutable=True),
    "lockedBy": Field("char", lambda row: _lock(row.order)[0]),
    "marked": _constant("char", "N"),
    "orderTopic": _constant("string", ""),
    "personTypeXmlId": _constant("string", "", read_only=True),
    "reasonCanceled": _constant("string", ""),
    "reasonMarked": _constant("string", ""),
    "recountFlag": _constant("char", "Y"),
    "recurringId": _constant("char", ""),
    "statusId": _constant("char", "N"),
    "statusXmlId": _constant("string", "", read_only=True),
    "taxValue": _constant("double", Decimal(0), read_only=True),
    "updated1c": _constant("char", "N"),
    "userDescription": _constant("string", ""),
    "version": _constant("integer", 0, read_only=True),
    "version1c": _constant("string", ""),
}


@method("sale.order.list", "sale")
def list_orders(call: Call) -> Listed:
    check_read(call)
    return page_of(
        _rows(call.portal),
        call.params,
        fields=ORDER_FIELDS,
        default_order="id",
        shown=shown,
        envelope="orders",
    )


@method("sale.order.get", "sale")
def get_order(call: Call) -> dict[str, Any]:
    check_read(call)
    if call.params.get("id") is None:
        raise missing_argument("id")
    order = call.portal.orders.get(to_int(call.params["id"]))
    if order is None:
        raise RestError(ORDER_NOT_FOUND, "order is not exists")
    row = OrderRow(order, payments_of_order(call.portal, order))
    fields = {name: shown(field.get(row)) for name, field in ORDER_FIELDS.items()}
    if row.payments:
        fields["payments"] = [payment_row(call.portal, payment) for payment in row.payments]
    return {"order": {name: fields[name] for name in sorted(fields)}}


@method("sale.order.getfields", "sale")
def get_order_fields(call: Call) -> dict[str, Any]:
    """Needs no right."""
    return {"order": descriptions(ORDER_FIELDS)}


def _rows(portal: Portal) -> list[OrderRow]:
    rows = {order.id: OrderRow(order, []) for order in portal.orders.values()}
    for payment in portal.payments.values():
        if payment.order_id in rows:
            rows[payment.order_id].payments.append(payment)
    return list(rows.values())
