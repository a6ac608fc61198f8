"""The codes of reasons: why something cannot be done, or why an attempt ended.

The ledger keeps these codes. `attempts/reason_messages.py` has their messages; this module has the
messages without a code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from b24app.errors import AccessDenied, B24Error, Refused

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


# Refused before anything was sent.
ALREADY_PAID = "already_paid"
ORDER_CANCELED = "order_canceled"
SUM_ZERO = "sum_zero"
SUM_CHANGED = "sum_changed"
CURRENCY_CHANGED = "currency_changed"
PAY_SYSTEM_CHANGED = "pay_system_changed"
PAID_BACK = "paid_back"
CLOCK_SKEW = "clock_skew"
PAY_SYSTEM_INACTIVE = "pay_system_inactive"
PAY_SYSTEM_OF_INVOICES = "pay_system_of_invoices"
PAY_SYSTEM_BUILT_IN = "pay_system_built_in"
PAY_SYSTEM_GONE = "pay_system_gone"
PAY_SYSTEM_OF_OTHER_BUYERS = "pay_system_of_other_buyers"
PAY_SYSTEMS_UNREAD = "pay_systems_unread"
# One of the PAY_SYSTEM reasons above; it is not known which.
PAY_SYSTEM_UNFIT = "pay_system_unfit"
NO_ORDER_RIGHT = "no_order_right"
NOT_READABLE = "not_readable"
PAYMENT_GONE = "payment_gone"
READ_FAILED = "read_failed"
PORTAL_MOVED = "portal_moved"
REBIND_FAILED = "rebind_failed"
REBIND_UNKNOWN = "rebind_unknown"
# The person may not read and edit this order; Bitrix24 requires both.
NO_ORDER_UPDATE = "no_order_update"
# The person may read the deal or invoice, but not the payment's order.
ORDER_NOT_READABLE = "order_not_readable"
ABANDONED = "abandoned"
APP_REMOVED = "app_removed"
POLICY_SYSTEM = "policy_system"
NEEDS_APPROVAL = "needs_approval"
APPROVAL_WAITS = "approval_waits"
APPROVED_OTHERWISE = "approved_otherwise"
CAN_BE_PAID = "can_be_paid"
SYSTEMS_UNKNOWN = "systems_unknown"
UNDO_OFF = "undo_off"
UNDO_TOO_LATE = "undo_too_late"
UNDO_NOT_ALLOWED = "undo_not_allowed"
NOT_PAID_HERE = "not_paid_here"
NOT_PAID_ANY_MORE = "not_paid_any_more"
PAID_SINCE = "paid_anew"
BULK_NOT_ALLOWED = "bulk_not_allowed"
RULES_UNSETTLED = "rules_unsettled"
# Refused when it was sent, or at that moment.
NOT_REACHED = "not_reached"
TRUE_WITHOUT_PAYMENT = "true_without_payment"
REFUSED_BY_BITRIX24 = "refused_by_bitrix24"
NOT_CARRIED_OUT = "not_carried_out"
UNPAID_SINCE = "unpaid_since"
# Not confirmed.
NO_ANSWER = "no_answer"
READ_BACK_FAILED = "read_back_failed"
# Paid.
PAID_BY_OTHER = "paid_by_other"
PAID_EARLIER = "paid_earlier"
# By this attempt, but the sum was changed in Bitrix24 after the last look at it.
PAID_OTHER_SUM = "paid_other_sum"
# Undone.
PAID_AGAIN = "paid_again"
DELETED_UNPAID = "deleted_unpaid"
# The outcome is unknown, and a person closed the attempt.
CLOSED_BY_HAND = "closed_by_hand"

# Shown with the reason if the payment's pay system was changed before the attempt failed.
REBOUND = _("The payment system of this payment was changed as you chose, but nothing was paid.")

NOT_POSSIBLE = _("This cannot be done. Nothing was done.")
NO_FITTING_SYSTEM = _(
    "No payment system of this portal can be used here. "
    "Ask the portal's administrator to set one up."
)
OPEN_ATTEMPT = _("An earlier try is not confirmed yet. Check it before you pay again.")

# Shown with a payment above the limit while it cannot be paid.
ABOVE_LIMIT = _("A payment of this sum needs a second person's approval.")
WAITS_FOR_APPROVAL = _("You have asked for approval. It has not been decided yet.")
APPROVED_TO_MARK = _("It is approved to be marked as paid, not to be paid from here.")
SYSTEM_NOT_ALLOWED = _(
    "Your administrator does not allow the payment system of this payment, "
    "and no other one can be used here."
)
# About an approval itself.
OWN_REQUEST = _(
    "You asked for this approval yourself, so another person has to decide. Nothing was done."
)
NO_APPROVAL_NEEDED = _(
    "This payment needs no approval any more. Nothing was asked for. Reload the page to pay it."
)
DECIDED_MEANWHILE = _(
    "This request has been decided, withdrawn or become too old meanwhile. Nothing "
    "was done. Reload the page to see the current state."
)

RULES_CHANGED = _(
    "Another person changed the rules after you opened them, so yours were not saved. "
    "Open the rules again to see the current ones."
)

# In the choice of payment systems, after the name of one that cannot be used.
IN_CHOICE: dict[str, StrOrPromise] = {
    PAY_SYSTEM_INACTIVE: _("switched off"),
    PAY_SYSTEM_OF_INVOICES: _("for old invoices only"),
    PAY_SYSTEM_BUILT_IN: _("cannot be paid from here; mark it as paid instead"),
    PAY_SYSTEM_GONE: _("deleted"),
    PAY_SYSTEM_UNFIT: _("cannot be paid from here"),
    POLICY_SYSTEM: _("not allowed by your administrator"),
    APPROVED_OTHERWISE: _("another one was approved"),
}


# Handlers put long messages into a description; its beginning is enough.
_DESCRIPTION_KEPT = 200


def is_denied(error: B24Error) -> bool:
    """Returns whether the person lacks a right. A tariff plan that forbids the call to all apps
    does not count."""
    return isinstance(error, AccessDenied) and not error.is_about_plan


def evidence_of(error: B24Error) -> dict[str, Any]:
    """Returns the evidence of an error: what a refusal's message needs, else the error's class."""
    if not isinstance(error, Refused):
        return {"failure": type(error).__name__}
    kept = {
        "code": error.code,
        "description": error.description[:_DESCRIPTION_KEPT],
        "status": error.http_status,
    }
    return {"error": kept}


class Stopped(Exception):
    """Raised by a check: nothing may be sent. `reason` is a code of this module."""

    def __init__(self, reason: str, evidence: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.evidence = evidence or {}
