"""Lists the payments of a CRM object as the portal has them now, for the table below its card."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.host.shell import full_name
from sandbox.host.visit import Visit
from sandbox.wire.http import Response, json_response
from sandbox.world.world import COMPANY, CONTACT, ORDER, Item, Order, Payment


def payments_json(visit: Visit) -> Response:
    """Returns `{"payments": [...]}`; 404 for an object that this person may not read."""
    query = visit.request.query
    try:
        type_id, object_id = int(query["type"]), int(query["id"])
    except (KeyError, TypeError, ValueError):
        return json_response({}, 400)
    payments = _payments_of(visit, type_id, object_id)
    if payments is None:
        return json_response({}, 404)
    return json_response({"payments": [_row(visit, payment) for payment in payments]})


def readable_order(visit: Visit, order_id: int) -> Order | None:
    """An order is shown to an administrator and to those who may read an item it is bound to."""
    portal = visit.portal
    order = portal.orders.get(order_id)
    if order is None or visit.user.is_admin:
        return order
    items = [portal.items[key] for key in order.bindings if key in portal.items]
    return order if any(portal.may_read(visit.user, item) for item in items) else None


def money(amount: Decimal) -> str:
    """Two digits after the point, or as many as the sum has."""
    digits = amount.normalize().as_tuple().exponent
    places = max(2, -digits if isinstance(digits, int) else 2)
    return f"{amount:,.{places}f}"


def _payments_of(visit: Visit, type_id: int, object_id: int) -> list[Payment] | None:
    portal = visit.portal
    if type_id == ORDER:
        if readable_order(visit, object_id) is None:
            return None
        return [payment for payment in portal.payments.values() if payment.order_id == object_id]
    item = portal.items.get((type_id, object_id))
    if item is None or not portal.may_read(visit.user, item):
        return None
    payments = {
        payment.id: payment
        for one in _items_with_payments(visit, item)
        for payment in portal.payments_of(one.type_id, one.id)
    }
    return list(payments.values())


def _items_with_payments(visit: Visit, item: Item) -> list[Item]:
    """The item itself; for a customer, the deals and invoices that this person may read."""
    if item.type_id not in (COMPANY, CONTACT):
        return [item]
    return [
        one
        for one in visit.portal.items.values()
        if item.id == (one.company_id if item.type_id == COMPANY else one.contact_id)
        and visit.portal.may_read(visit.user, one)
    ]


def _row(visit: Visit, payment: Payment) -> dict[str, Any]:
    system = visit.portal.pay_systems.get(payment.pay_system_id)
    paid_by = visit.portal.users.get(payment.emp_paid_id or 0)
    date_paid = payment.date_paid.strftime("%d %b %Y %H:%M") if payment.date_paid else ""
    return {
        "id": payment.id,
        "account_number": payment.account_number,
        "sum": money(payment.sum),
        "currency": payment.currency,
        "pay_system": system.name if system else "",
        "paid": payment.paid,
        "paid_by": full_name(paid_by) if paid_by and payment.paid else "",
        "date_paid": date_paid,
        "times_paid": payment.times_paid,
    }
