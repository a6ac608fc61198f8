"""`crm.item.payment.*`: payments of one CRM object; marks them as paid with any pay system.

https://apidocs.bitrix24.com/api-reference/crm/universal/payment/ ; behaviour follows
`crm/lib/controller/item/payment.php`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from sandbox.api.methods.crm_access import (
    check_intranet,
    check_order_read,
    check_order_update,
    denied,
)
from sandbox.api.methods.listing import argument, column_of, filtered, ordered
from sandbox.api.methods.refusals import missing_argument, wrong_argument
from sandbox.api.methods.sale_payment_fields import PAYMENT_FIELDS, PaymentRow, payment_rows, shown
from sandbox.api.registry import Call, RestError, method
from sandbox.api.saving import add_payment, announce_saved, check_saves, delete_payment, set_paid
from sandbox.wire.loose import to_int, to_text
from sandbox.world.world import Item, Order, Payment

_COLUMNS = (
    "id",
    "accountNumber",
    "paid",
    "datePaid",
    "empPaidId",
    "paySystemId",
    "sum",
    "currency",
    "paySystemName",
)
_FIELDS = {name: PAYMENT_FIELDS[name] for name in _COLUMNS}
_WHOLE_NUMBER = re.compile(r"\s*[+-]?\d+\s*")


@method("crm.item.payment.list", "crm")
def list_payments(call: Call) -> list[dict[str, Any]]:
    """All payments of the object, without paging, total and next."""
    check_intranet(call)
    item_id = _number(call, "entityId")
    owner = (_number(call, "entityTypeId"), item_id)
    item = call.portal.items.get(owner)
    readable = call.user.sees_all if item is None else call.portal.may_read(call.user, item)
    if not readable:
        raise denied(call)
    orders = {order.id for order in call.portal.orders.values() if owner in order.bindings}
    rows = [row for row in payment_rows(call.portal) if row.payment.order_id in orders]
    kept = filtered(rows, argument(call.params, "filter"), _FIELDS, unknown=_unknown_field)
    return [_shown(row) for row in ordered(kept, argument(call.params, "order"), _FIELDS)]


@method("crm.item.payment.get", "crm")
def get_payment(call: Call) -> dict[str, Any]:
    check_intranet(call)
    payment = _existing(call)
    check_order_read(call, call.portal.orders[payment.order_id])
    return _shown(PaymentRow(payment, call.portal.pay_systems.get(payment.pay_system_id)))


@method("crm.item.payment.pay", "crm")
def pay(call: Call) -> bool:
    return _update(call, {"paid": "Y"})


@method("crm.item.payment.unpay", "crm")
def unpay(call: Call) -> bool:
    return _update(call, {"paid": "N"})


@method("crm.item.payment.update", "crm")
def update(call: Call) -> bool:
    """Changes `paid` and `paySystemId`; ignores all other fields."""
    check_intranet(call)
    _number(call, "id")
    if call.params.get("fields") is None:
        raise missing_argument("fields")
    columns = {column_of(name): value for name, value in argument(call.params, "fields").items()}
    fields = {
        name: columns[column]
        for name, column in (("paid", "PAID"), ("paySystemId", "PAY_SYSTEM_ID"))
        if column in columns
    }
    if not fields:
        raise RestError(0, "Empty fields")
    return _update(call, fields)


@method("crm.item.payment.add", "crm")
def add(call: Call) -> int:
    """Adds a payment with a sum of 0, on the object's first order or on a new one."""
    check_intranet(call)
    owner = (_number(call, "entityTypeId"), _number(call, "entityId"))
    item = call.portal.items.get(owner)
    if item is None:
        if not (call.user.is_admin or (call.user.may_change_items and call.user.sees_all)):
            raise denied(call)
        raise RestError(0, f"Entity with identifier №{owner[1]} does not exist")
    if not call.portal.may_update(call.user, item):
        raise denied(call)
    pay_system_id = to_int(argument(call.params, "fields").get("paySystemId"))
    check_saves(call.portal)
    order = _order_for(call, item)
    return add_payment(call, order, pay_system_id=pay_system_id or _default_system(call)).id


@method("crm.item.payment.delete", "crm")
def delete(call: Call) -> bool:
    check_intranet(call)
    payment = _existing(call)
    check_order_update(call, call.portal.orders[payment.order_id])
    delete_payment(call, payment)
    return True


def _update(call: Call, fields: dict[str, Any]) -> bool:
    check_intranet(call)
    payment = _existing(call)
    check_order_update(call, call.portal.orders[payment.order_id])
    pay_system_id = payment.pay_system_id
    if fields.get("paySystemId") is not None:
        pay_system_id = to_int(fields["paySystemId"])
        if pay_system_id not in call.portal.pay_systems:
            raise RestError(0, "Payment system has not been found")
    check_saves(call.portal)
    before = (payment.paid, payment.pay_system_id)
    if fields.get("paid") in ("Y", "N"):
        set_paid(call, payment, fields["paid"] == "Y")
    payment.pay_system_id = pay_system_id
    if before != (payment.paid, payment.pay_system_id):
        announce_saved(call, payment, order_changed=True)
    return True


def _existing(call: Call) -> Payment:
    payment = call.portal.payments.get(_number(call, "id"))
    # The server finds a payment by loading its order.
    if payment is None or payment.order_id not in call.portal.orders:
        raise RestError(0, "Payment has not been found")
    return payment


def _number(call: Call, name: str) -> int:
    """Returns an argument declared as int. Raises RestError for anything but digits."""
    value = call.params.get(name)
    if value is None:
        raise missing_argument(name)
    if not _WHOLE_NUMBER.fullmatch(to_text(value)):
        raise wrong_argument(name, to_text(value), "int")
    return to_int(value)


def _shown(row: PaymentRow) -> dict[str, Any]:
    return {name: shown(field.get(row)) for name, field in _FIELDS.items()}


def _unknown_field(column: str) -> RestError:
    return RestError(0, f"Unknown field definition `{column}`")


def _order_for(call: Call, item: Item) -> Order:
    owner = (item.type_id, item.id)
    for order in call.portal.orders.values():
        if owner in order.bindings:
            return order
    order_id = max(call.portal.orders, default=0) + 1
    order = Order(order_id, str(order_id), Decimal(0), item.currency, bindings=[owner])
    call.portal.orders[order_id] = order
    return order


def _default_system(call: Call) -> int:
    """Returns the first active pay system of orders, as the order builder does."""
    fitting = [
        system
        for system in call.portal.pay_systems.values()
        if system.active and system.registry == "ORDER"
    ]
    return min(fitting, key=lambda system: (system.sort, system.id)).id
