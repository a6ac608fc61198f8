"""Begins and ends other people's saves of an order: Bitrix24 has no lock, and the last save wins.

`sale/lib/payment.php` and `sale/lib/order.php` of the server: a save writes what differs from the
order as it was loaded, and no method looks at LOCKED_BY.
"""

from __future__ import annotations

from sandbox.wire.loose import now_at
from sandbox.world.events import queue_event
from sandbox.world.other_saves import LoadedPayment, OtherSave
from sandbox.world.world import Order, Payment, Portal, World


def begin(
    portal: Portal,
    order_id: int,
    *,
    user_id: int,
    whole_rows: bool = False,
    ends_after_next: bool = False,
) -> OtherSave:
    """Loads the order's payments, as a person who opens its form does."""
    loaded = tuple(
        LoadedPayment(
            id=payment.id,
            sum=payment.sum,
            pay_system_id=payment.pay_system_id,
            paid=payment.paid,
            date_paid=payment.date_paid,
            emp_paid_id=payment.emp_paid_id,
            provider_data=dict(payment.provider_data),
        )
        for payment in portal.payments.values()
        if payment.order_id == order_id
    )
    save = OtherSave(order_id, user_id, loaded, whole_rows, ends_after_next)
    portal.other_saves.append(save)
    return save


def end(world: World, portal: Portal, save: OtherSave) -> None:
    """Saves the order with the payments as they were loaded, except those deleted meanwhile."""
    with world.lock:
        portal.other_saves.remove(save)
        changed = [
            payment.id
            for loaded in save.payments
            if (payment := portal.payments.get(loaded.id)) and _write(world, payment, loaded, save)
        ]
        for payment_id in changed:
            _queue(world, portal, save, "ONPAYMENTENTITYSAVED", payment_id)
        _queue(world, portal, save, "ONORDERENTITYSAVED", save.order_id)


def end_those_after(world: World, portal: Portal, order: Order) -> None:
    """Ends the saves that wait for the save of this order that has just been made."""
    for save in list(portal.other_saves):
        if save.ends_after_next and save.order_id == order.id:
            end(world, portal, save)


def _write(world: World, payment: Payment, loaded: LoadedPayment, save: OtherSave) -> bool:
    """Returns whether the payment's paid flag changed."""
    is_changed = payment.paid is not loaded.paid
    payment.paid = loaded.paid
    if is_changed and loaded.paid:
        payment.times_paid += 1
        payment.date_paid, payment.emp_paid_id = now_at(world.now()), save.user_id
    if save.whole_rows:
        payment.sum, payment.pay_system_id = loaded.sum, loaded.pay_system_id
        payment.date_paid, payment.emp_paid_id = loaded.date_paid, loaded.emp_paid_id
        payment.provider_data = dict(loaded.provider_data)
    return is_changed


def _queue(world: World, portal: Portal, save: OtherSave, event: str, number: int) -> None:
    queue_event(world, portal, event, {"FIELDS": {"ID": number}}, user_id=save.user_id)
