"""Pays, unpays, adds and deletes payments, for all REST methods that do.

Documented under https://apidocs.bitrix24.com/api-reference/sale/payment/ ; the effects follow
`sale/lib/payment.php` and `sale/lib/paymentcollection.php` of the server.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.api import other_saves
from sandbox.api.registry import Call, RestError
from sandbox.wire.loose import now_at
from sandbox.world.events import queue_event
from sandbox.world.world import Order, Payment, PaySystem, Portal

INNER_ACCOUNT = "inner"


def pay_system_of(portal: Portal, payment: Payment) -> PaySystem | None:
    return portal.pay_systems.get(payment.pay_system_id)


def payments_of_order(portal: Portal, order: Order) -> list[Payment]:
    return [payment for payment in portal.payments.values() if payment.order_id == order.id]


def is_order_paid(order: Order, payments: list[Payment]) -> bool:
    """Returns the order's own flag, spelled `payed` in REST: its payments cover its price."""
    paid = [payment.sum for payment in payments if payment.paid]
    return bool(paid) and sum(paid, Decimal(0)) >= order.price


def set_paid(call: Call, payment: Payment, paid: bool) -> None:
    """Sets PAID and the fields that depend on it; an equal value changes nothing.

    Raises RestError if the order is cancelled or the pay system is the buyer's internal account,
    which is always empty here. Unpaying keeps date and person, as the server does.
    """
    order = call.portal.orders[payment.order_id]
    if payment.paid is paid:
        return
    if paid and order.canceled:
        raise RestError("SALE_ORDER_PAID_ORDER_CANCELED", "The order has been canceled.")
    system = pay_system_of(call.portal, payment)
    if paid and system is not None and system.action_file == INNER_ACCOUNT:
        raise RestError(0, "There is not enough money on the internal account")
    payment.paid = paid
    if not paid:
        return
    payment.times_paid += 1
    payment.date_paid = now_at(call.world.now())
    payment.emp_paid_id = call.user.id
    payment.provider_data["isReturn"] = "N"


def check_saves(portal: Portal) -> None:
    """Raises RestError if the portal's saves fail; called before any change."""
    if portal.payment_save_fails:
        raise RestError(0, "The payment could not be saved")


def announce_saved(call: Call, payment: Payment, *, order_changed: bool) -> None:
    """Queues the events of a saved payment. Bitrix24 has no event for "paid".

    Then it ends other people's saves of the order that wait for this one.
    """
    order = call.portal.orders[payment.order_id]
    _queue(call, "ONPAYMENTENTITYSAVED", {"ID": payment.id})
    if order_changed:
        _queue(call, "ONORDERENTITYSAVED", {"ID": order.id})
    _queue(call, "ONSALEORDERSAVED", {"ID": order.id, "XML_ID": f"bx_{order.id}", "ACTION": "save"})
    other_saves.end_those_after(call.world, call.portal, order)


def add_payment(
    call: Call, order: Order, *, pay_system_id: int, amount: Decimal = Decimal(0)
) -> Payment:
    portal = call.portal
    number = 1 + len(payments_of_order(portal, order))
    payment = Payment(
        id=max(portal.payments, default=0) + 1,
        order_id=order.id,
        account_number=f"{order.account_number}/{number}",
        sum=amount,
        currency=order.currency,
        pay_system_id=pay_system_id,
        date_bill=now_at(call.world.now()),
    )
    portal.payments[payment.id] = payment
    announce_saved(call, payment, order_changed=False)
    return payment


def delete_payment(call: Call, payment: Payment) -> None:
    """Deletes the payment and queues its event. Raises RestError for a paid payment."""
    if payment.paid:
        raise RestError("SALE_PAYMENT_DELETE_EXIST_PAID", "The payment has been paid.")
    check_saves(call.portal)
    del call.portal.payments[payment.id]
    _queue(call, "ONPAYMENTDELETED", {"ID": payment.id})


def _queue(call: Call, event: str, fields: dict[str, object]) -> None:
    queue_event(call.world, call.portal, event, {"FIELDS": fields}, user_id=call.user.id)
