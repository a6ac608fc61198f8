"""Checks a payment right before it is sent. Bitrix24 itself checks almost none of this."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone

from b24app.rest.clock import CLOCKS_TOO_FAR_APART
from payments import reasons
from payments.attempts.evidence import is_dated_otherwise
from payments.gateway import Order, Payment, PaySystem
from payments.lookups.pay_systems import SystemKind, Systems, takes_buyer
from payments.models import Attempt, State
from payments.offer import Offer
from payments.reasons import Stopped

# People and imports can write any date into a payment. A date in the future, by more than the error
# of a measured clock, is no event that has happened.
_CLOCK_ERROR = timedelta(minutes=1)

_REASON_AGAINST = {
    SystemKind.APP: "",
    SystemKind.SILENT: reasons.PAY_SYSTEM_BUILT_IN,
    SystemKind.ACQUIRER: reasons.PAY_SYSTEM_BUILT_IN,
    SystemKind.OTHER_REGISTRY: reasons.PAY_SYSTEM_OF_INVOICES,
    SystemKind.INACTIVE: reasons.PAY_SYSTEM_INACTIVE,
}


def check_payment(payment: Payment, offer: Offer) -> None:
    """Raises Stopped unless the payment is unpaid and as it was shown to the person."""
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
    """Raises Stopped if the order is cancelled. If no token may read the order (None), Bitrix24
    refuses a cancelled one itself."""
    if order is not None and order.canceled:
        raise Stopped(reasons.ORDER_CANCELED)


def check_since_shown(
    payments: Iterable[Payment], skew: timedelta | None, *, offer: Offer, attempt: Attempt
) -> None:
    """Raises Stopped if the payment was paid and set back to unpaid since the page was opened, or
    if the two clocks differ too much to know that.

    Stores the difference of the clocks in the evidence, in whole seconds. `skew` None counts as no
    difference.
    """
    if skew is not None:
        attempt.evidence["clock"] = round(skew.total_seconds())
        if abs(skew) > CLOCKS_TOO_FAR_APART:
            raise Stopped(reasons.CLOCK_SKEW)
    # Attempts settled while the page was open; the only open one is `attempt` itself.
    settled = (
        Attempt.objects.on(offer.payment_id, portal_id=offer.portal_id)
        .filter(settled_at__gt=offer.made_at)
        .values_list("state", "sent_at")
    )
    was_sent = False
    for state, sent_at in settled:
        if state in (State.PAID, State.UNDONE):
            raise Stopped(reasons.PAID_BACK)
        was_sent = was_sent or sent_at is not None
    # If a sent attempt failed because the portal could not save the payment, its dates may have
    # changed although it was not paid.
    if not was_sent:
        _check_dates(payments, offer, skew or timedelta())


def _check_dates(payments: Iterable[Payment], offer: Offer, skew: timedelta) -> None:
    opened_at = offer.made_at + skew
    now = timezone.now() + skew + _CLOCK_ERROR
    for payment in payments:
        for at in (payment.date_paid, payment.response_at):
            if at is not None and opened_at < at <= now:
                raise Stopped(reasons.PAID_BACK, {"paidBefore": at.isoformat()})


def check_still_paid(payment: Payment, offer: Offer, paid: Attempt) -> None:
    """Raises Stopped unless the payment is as it was shown, and still paid by the attempt `paid`.

    Also raises if the date of the payment cannot be read: it may have been paid again since.
    """
    if not payment.paid:
        raise Stopped(reasons.NOT_PAID_ANY_MORE)
    if payment.sum != offer.sum:
        raise Stopped(reasons.SUM_CHANGED)
    if payment.currency != offer.currency:
        raise Stopped(reasons.CURRENCY_CHANGED)
    if "date_paid" in payment.unread:
        raise Stopped(reasons.READ_FAILED)
    if payment.emp_paid_id not in (None, paid.user_id):
        raise Stopped(reasons.PAID_SINCE)
    if is_dated_otherwise(payment, {paid.evidence.get("readIn"): paid.evidence.get("datePaid")}):
        raise Stopped(reasons.PAID_SINCE)


def reason_against(system: PaySystem | None, systems: Systems) -> str:
    """Returns why an app's call cannot pay through this pay system; "" if it can. None is a deleted
    pay system."""
    return reasons.PAY_SYSTEM_GONE if system is None else _REASON_AGAINST[systems.kind(system)]


def check_pay_system(
    pay_system_id: int, *, offer: Offer, systems: Systems | None, order: Order | None
) -> None:
    """Raises Stopped if the pay system cannot be used, or if the payment would be changed to one
    that does not take the order's type of buyer.

    The payment's own pay system passes unchecked if the pay systems, or its own row, could not be
    read; no other one can be used then.
    """
    is_own = pay_system_id == offer.pay_system_id
    if systems is None:
        if not is_own:
            raise Stopped(reasons.PAY_SYSTEMS_UNREAD)
        return
    if is_own and systems.may_hide(pay_system_id):
        return
    system = systems.find(pay_system_id)
    against = reason_against(system, systems)
    if system is None or against:
        raise Stopped(against)
    person_type_id = order.person_type_id if order else None
    if not is_own and not takes_buyer(system, person_type_id):
        raise Stopped(reasons.PAY_SYSTEM_OF_OTHER_BUYERS)


def check_markable(pay_system_id: int, systems: Systems | None) -> PaySystem:
    """Returns the payment's own pay system if a payment with it is marked by hand.

    Raises Stopped for one that can be paid through: a mark would move no money. Also for others
    that no page offers to mark, such as the buyer's internal account.
    """
    if systems is None or systems.may_hide(pay_system_id):
        raise Stopped(reasons.SYSTEMS_UNKNOWN)
    system = systems.find(pay_system_id)
    if system is None:
        raise Stopped(reasons.PAY_SYSTEM_GONE)
    if systems.can_be_paid(system):
        raise Stopped(reasons.CAN_BE_PAID)
    if not systems.needs_mark(system):
        raise Stopped(reasons.PAY_SYSTEM_UNFIT)
    return system
