"""The kinds of attempts: what each sends to Bitrix24, and by what it is known to be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from b24app.rest.client import Client
from payments import gateway, reasons
from payments.gateway import Payment
from payments.models import Attempt, Kind, State

# The portal writes whole seconds, and its clock was read in whole seconds, an answer's way later.
_MEASURED = timedelta(seconds=5)
# Without a reading of the portal's clock: what two machines that ask the time over the network
# never are apart, nor most that do not.
_CLOCKS_APART = timedelta(seconds=60)


@dataclass(frozen=True)
class Action:
    """`send` makes the one call. `done` is the state once the payment shows what was wanted;
    `outcome` answers whether it does, and a reason where there is more to say. A payment that is
    `gone` ends the attempt in that state, for that reason."""

    send: Callable[[Client, Attempt], None]
    done: State
    outcome: Callable[[Attempt, Payment], tuple[bool, str]]
    gone: tuple[State, str]


def action_of(attempt: Attempt) -> Action:
    return _ACTIONS[Kind(attempt.kind)]


def as_evidence(payment: Payment) -> dict[str, Any]:
    """How the payment stood when it was read, and in which list."""
    return {
        "paid": "Y" if payment.paid else "N",
        "datePaid": _date_paid(payment),
        "empPaidId": payment.emp_paid_id,
        "paySystemId": payment.pay_system_id,
        # Which list's date it is; without it, dates of this payment are not compared.
        "readIn": "" if "date_paid" in payment.unread else _list_of(payment),
    }


def remember(attempt: Attempt, *payments: Payment | None) -> None:
    """Stores with the attempt which order the payment is of, and when the payment was last paid
    before. Bitrix24 keeps that date when a payment is set back to unpaid, so a different date shows
    later that it was paid in between."""
    orders = [payment.order_id for payment in payments if payment is not None]
    # The rows of a deal do not name the order; the row that the portal's token reads does.
    attempt.order_id = next((id_ for id_ in orders if id_ is not None), attempt.order_id)
    attempt.evidence["before"] = {
        _list_of(payment): _date_paid(payment)
        for payment in payments
        if payment is not None and "date_paid" not in payment.unread
    }


def is_dated_otherwise(payment: Payment, dates: dict[str, str | None]) -> bool:
    """Was it paid at another time than in `dates`, by list? Two lists are never compared: nobody
    promises that both write the same moment alike."""
    list_ = _list_of(payment)
    if payment.date_paid is None or list_ not in dates:
        return False
    before = dates[list_]
    return before is None or payment.date_paid != datetime.fromisoformat(before)


def _date_paid(payment: Payment) -> str | None:
    return payment.date_paid.isoformat() if payment.date_paid else None


def _list_of(payment: Payment) -> str:
    """The short rows of a CRM object do not say which order they are of."""
    return "object" if payment.order_id is None else "order"


def _whether_paid(attempt: Attempt, payment: Payment) -> tuple[bool, str]:
    if not payment.paid:
        was_paid = is_dated_otherwise(payment, attempt.evidence.get("before", {}))
        return False, reasons.UNPAID_SINCE if was_paid else ""
    if payment.emp_paid_id != attempt.user_id:
        return True, reasons.PAID_BY_OTHER
    if payment.date_paid is not None and payment.date_paid < _earliest(attempt):
        return True, reasons.PAID_EARLIER
    return True, ""


def _earliest(attempt: Attempt) -> datetime:
    """Before this, by the portal's clock, the attempt cannot have paid."""
    sent_at = attempt.sent_at or attempt.created_at
    apart = attempt.evidence.get("clock")  # seconds, the portal's clock minus ours
    if apart is None:
        return sent_at - _CLOCKS_APART
    return sent_at + timedelta(seconds=float(apart)) - _MEASURED


def _whether_undone(attempt: Attempt, payment: Payment) -> tuple[bool, str]:
    if not payment.paid:
        return True, ""
    was_unpaid = is_dated_otherwise(payment, attempt.evidence.get("before", {}))
    return was_unpaid, reasons.PAID_AGAIN if was_unpaid else ""


def _pay(client: Client, attempt: Attempt) -> None:
    gateway.pay_payment(client, payment_id=attempt.payment_id, pay_system_id=attempt.pay_system_id)


def _mark(client: Client, attempt: Attempt) -> None:
    gateway.mark_payment(client, payment_id=attempt.payment_id)


def _unpay(client: Client, attempt: Attempt) -> None:
    gateway.unpay_payment(client, payment_id=attempt.payment_id)


# Bitrix24 deletes no payment that is paid.
_NEVER_PAID = (State.REFUSED, reasons.PAYMENT_GONE)
_UNPAID_FIRST = (State.UNDONE, reasons.DELETED_UNPAID)

_ACTIONS = {
    Kind.PAY: Action(_pay, State.PAID, _whether_paid, _NEVER_PAID),
    Kind.MARK: Action(_mark, State.PAID, _whether_paid, _NEVER_PAID),
    Kind.UNDO: Action(_unpay, State.UNDONE, _whether_undone, _UNPAID_FIRST),
}
