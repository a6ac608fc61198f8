"""What must hold right before a payment is sent: Bitrix24 itself checks hardly any of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone

from b24app.rest.clock import CLOCKS_TOO_FAR_APART
from payments import reasons
from payments.gateway import Order, Payment, PaySystem
from payments.lookups.pay_systems import SystemKind, Systems, takes_buyer
from payments.models import Attempt, State
from payments.offer import Offer
from payments.reasons import Stopped

# Dates of a payment can also be written by hand or brought in from elsewhere. One that lies ahead,
# by more than a measured clock can be wrong, is nothing that has happened.
_ROUGHLY_NOW = timedelta(minutes=1)

_REASON_AGAINST = {
    SystemKind.APP: "",
    SystemKind.SILENT: reasons.PAY_SYSTEM_BUILT_IN,
    SystemKind.ACQUIRER: reasons.PAY_SYSTEM_BUILT_IN,
    SystemKind.OTHER_REGISTRY: reasons.PAY_SYSTEM_OF_INVOICES,
    SystemKind.INACTIVE: reasons.PAY_SYSTEM_INACTIVE,
}


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


def check_since_shown(
    payments: Iterable[Payment], skew: timedelta | None, *, offer: Offer, attempt: Attempt
) -> None:
    """The unpaid payment was not paid and paid back since the page was opened, and the clocks by
    which that is told are near enough to each other. Raises Stopped where it is not so.

    Keeps their difference with the attempt, in whole seconds. An answer that tells no time is no
    reason to stop: then both are taken to be the same.
    """
    if skew is not None:
        attempt.evidence["clock"] = round(skew.total_seconds())
        if abs(skew) > CLOCKS_TOO_FAR_APART:
            raise Stopped(reasons.CLOCK_SKEW)
    # Settled while the page was open; an attempt that is open now is the one being checked.
    ended = (
        Attempt.objects.on(offer.payment_id, portal_id=offer.portal_id)
        .filter(settled_at__gt=offer.made_at)
        .values_list("state", "sent_at")
    )
    was_sent = False
    for state, sent_at in ended:
        if state in (State.PAID, State.UNDONE):
            raise Stopped(reasons.PAID_BACK)
        was_sent = was_sent or sent_at is not None
    # A payment that the portal could not save may leave its dates behind without having been paid.
    if not was_sent:
        _check_dates(payments, offer, skew or timedelta())


def _check_dates(payments: Iterable[Payment], offer: Offer, skew: timedelta) -> None:
    opened_at = offer.made_at + skew
    now = timezone.now() + skew + _ROUGHLY_NOW
    for payment in payments:
        for at in (payment.date_paid, payment.response_at):
            if at is not None and opened_at < at <= now:
                raise Stopped(reasons.PAID_BACK, {"paidBefore": at.isoformat()})


def reason_against(system: PaySystem | None, systems: Systems) -> str:
    """Why nothing can be paid through a pay system from here, None being one that is not there any
    more; empty where it can."""
    return reasons.PAY_SYSTEM_GONE if system is None else _REASON_AGAINST[systems.kind(system)]


def check_pay_system(
    pay_system_id: int, *, offer: Offer, systems: Systems | None, order: Order | None
) -> None:
    """The chosen one can be paid through, and fits the order where the payment is bound to it anew.

    Where the portal's pay systems are not known, only the bound one can have been offered; nor is
    more demanded of one whose row of the list cannot be read.
    """
    is_bound = pay_system_id == offer.pay_system_id
    if systems is None:
        if not is_bound:
            raise Stopped(reasons.PAY_SYSTEMS_UNREAD)
        return
    if is_bound and systems.may_hide(pay_system_id):
        return
    system = systems.find(pay_system_id)
    against = reason_against(system, systems)
    if system is None or against:
        raise Stopped(against)
    person_type_id = order.person_type_id if order else None
    if not is_bound and not takes_buyer(system, person_type_id):
        raise Stopped(reasons.PAY_SYSTEM_OF_OTHER_BUYERS)
