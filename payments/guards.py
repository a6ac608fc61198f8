"""What must hold right before a payment is sent: Bitrix24 itself checks hardly any of it."""

from __future__ import annotations

from typing import Any

from payments import reasons
from payments.gateway import Order, Payment
from payments.offer import Offer
from payments.systems import Systems


class Stopped(Exception):
    """Nothing is to be sent; `reason` is a code of reasons.py."""

    def __init__(self, reason: str, evidence: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.evidence = evidence or {}


def check_payment(payment: Payment, offer: Offer) -> None:
    """Still unpaid, and what the person was shown. Raises Stopped where it is not."""
    if payment.paid:
        raise Stopped(reasons.ALREADY_PAID)
    if payment.sum <= 0:
        raise Stopped(reasons.SUM_ZERO)
    if payment.sum != offer.sum:
        raise Stopped(reasons.SUM_CHANGED)
    if payment.currency != offer.currency:
        raise Stopped(reasons.CURRENCY_CHANGED)
    if payment.pay_system_id != offer.pay_system_id:
        raise Stopped(reasons.PAY_SYSTEM_CHANGED)


def check_order(order: Order | None) -> None:
    """Where nobody's token may read the order, Bitrix24 is trusted to refuse a cancelled one: that
    is the one thing it does check."""
    if order is not None and order.canceled:
        raise Stopped(reasons.ORDER_CANCELED)


def check_pay_system(
    pay_system_id: int, *, offer: Offer, systems: Systems | None, order: Order | None
) -> None:
    """The chosen one can be paid through, and fits the order where the payment is bound to it anew.

    Where the portal's pay systems are not known, only the bound one can have been offered.
    """
    is_bound = pay_system_id == offer.pay_system_id
    if systems is None:
        if not is_bound:
            raise Stopped(reasons.PAY_SYSTEM_UNFIT)
        return
    system = systems.find(pay_system_id)
    if system is None or not systems.can_be_paid(system):
        raise Stopped(reasons.PAY_SYSTEM_UNFIT)
    person_type_id = order.person_type_id if order else None
    if not is_bound and system not in systems.fitting(person_type_id):
        raise Stopped(reasons.PAY_SYSTEM_UNFIT)
