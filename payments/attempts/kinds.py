"""The table of kinds of attempts: how each is prepared, sent, and recognised as done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from b24app.identity.session import Caller
from b24app.rest.client import Client
from payments import gateway, reasons
from payments.attempts.evidence import is_dated_otherwise
from payments.attempts.prepare import (
    ExtraRule,
    allow_undo,
    prepare_mark,
    prepare_pay,
    prepare_undo,
)
from payments.gateway import Payment
from payments.models import Attempt, Kind, State
from payments.offer import Offer
from payments.policy import rules

Check = Callable[[Caller, Offer, Attempt, ExtraRule | None], object]

# The error of a measured difference of the clocks: the portal writes whole seconds, and its clock
# was read in whole seconds and after the time of an answer.
_MEASURED = timedelta(seconds=5)
# The difference of the clocks if it was not measured. Most servers set their clocks by the network
# and differ less.
_CLOCKS_APART = timedelta(seconds=60)


@dataclass(frozen=True)
class Action:
    """How attempts of one kind are run."""

    # Reads and checks the payment before sending, by the portal's rules too.
    prepare: Check
    # The checks by the rules alone; they run again if the rules change before sending.
    allow: Check
    # Makes the one call that changes whether the payment is paid.
    send: Callable[[Client, Attempt], None]
    # The state of an attempt whose payment is as it wanted.
    done: State
    # Returns whether the payment is as the attempt wanted, and a reason or "".
    outcome: Callable[[Attempt, Payment], tuple[bool, str]]
    # State and reason of an attempt whose payment was deleted.
    gone: tuple[State, str]


def action_of(attempt: Attempt) -> Action:
    return ACTIONS[Kind(attempt.kind)]


def _pay(client: Client, attempt: Attempt) -> None:
    gateway.pay_payment(client, payment_id=attempt.payment_id, pay_system_id=attempt.pay_system_id)


def _mark(client: Client, attempt: Attempt) -> None:
    gateway.mark_payment(client, payment_id=attempt.payment_id)


def _unpay(client: Client, attempt: Attempt) -> None:
    gateway.unpay_payment(client, payment_id=attempt.payment_id)


def _is_paid(attempt: Attempt, payment: Payment) -> tuple[bool, str]:
    if not payment.paid:
        was_paid = is_dated_otherwise(payment, attempt.evidence.get("before", {}))
        return False, reasons.UNPAID_SINCE if was_paid else ""
    if payment.emp_paid_id != attempt.user_id:
        return True, reasons.PAID_BY_OTHER
    if payment.date_paid is not None and payment.date_paid < _earliest(attempt):
        return True, reasons.PAID_EARLIER
    if (payment.sum, payment.currency) != (attempt.sum, attempt.currency):
        return True, reasons.PAID_OTHER_SUM
    return True, ""


def _earliest(attempt: Attempt) -> datetime:
    """Returns the earliest time, by the portal's clock, at which the attempt can have paid."""
    sent_at = attempt.sent_at or attempt.created_at
    skew = attempt.evidence.get("clock")  # seconds, the portal's clock minus this app's
    if skew is None:
        return sent_at - _CLOCKS_APART
    return sent_at + timedelta(seconds=float(skew)) - _MEASURED


def _is_undone(attempt: Attempt, payment: Payment) -> tuple[bool, str]:
    if not payment.paid:
        return True, ""
    was_unpaid = is_dated_otherwise(payment, attempt.evidence.get("before", {}))
    return was_unpaid, reasons.PAID_AGAIN if was_unpaid else ""


# Bitrix24 does not delete paid payments, so a deleted payment was unpaid.
_NEVER_PAID = (State.REFUSED, reasons.PAYMENT_GONE)
_UNPAID_FIRST = (State.UNDONE, reasons.DELETED_UNPAID)

ACTIONS = {
    Kind.PAY: Action(prepare_pay, rules.apply, _pay, State.PAID, _is_paid, _NEVER_PAID),
    Kind.MARK: Action(prepare_mark, rules.apply, _mark, State.PAID, _is_paid, _NEVER_PAID),
    Kind.UNDO: Action(prepare_undo, allow_undo, _unpay, State.UNDONE, _is_undone, _UNPAID_FIRST),
}
