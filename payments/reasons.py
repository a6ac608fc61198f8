"""Why an attempt ended as it did: a short code in the ledger, a sentence for the person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from b24app.errors import B24Error, Refused

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
# One of these, where it is not known which.
PAY_SYSTEM_UNFIT = "pay_system_unfit"
NO_ORDER_RIGHT = "no_order_right"
NOT_READABLE = "not_readable"
PAYMENT_GONE = "payment_gone"
READ_FAILED = "read_failed"
PORTAL_MOVED = "portal_moved"
REBIND_FAILED = "rebind_failed"
REBIND_UNKNOWN = "rebind_unknown"
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
PAID_ANEW = "paid_anew"
# Refused although it was, or was to be, sent.
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
# Undone.
PAID_AGAIN = "paid_again"
DELETED_UNPAID = "deleted_unpaid"
# Nobody knows, and a person has let it go.
CLOSED_BY_HAND = "closed_by_hand"

# Beside the reason, where the payment was bound to another pay system before it failed.
REBOUND = _("The payment system of this payment was changed as you chose, but nothing was paid.")

NOT_POSSIBLE = _("This cannot be done. Nothing was done.")
NO_FITTING_SYSTEM = _(
    "No payment system of this portal can be used here. "
    "Ask the portal's administrator to set one up."
)
OPEN_ATTEMPT = _("An earlier try is not confirmed yet. Check it before you pay again.")

# Beside a payment above the limit, while it cannot be paid.
ABOVE_LIMIT = _("A payment of this sum needs a second person's approval.")
WAITS_FOR_APPROVAL = _("You have asked for approval. Nobody has decided yet.")
APPROVED_TO_MARK = _("It is approved to be marked as paid, not to be paid from here.")
SYSTEM_NOT_ALLOWED = _(
    "Your administrator does not allow the payment system of this payment, "
    "and no other one can be used here."
)
# About an approval itself.
OWN_REQUEST = _(
    "You asked for this approval yourself, so somebody else has to decide. Nothing was done."
)
NO_APPROVAL_NEEDED = _(
    "This payment needs no approval any more. Nothing was asked for. Reload the page to pay it."
)
DECIDED_MEANWHILE = _(
    "This request has been decided, withdrawn or become too old meanwhile. Nothing was done. "
    "Reload the page to see how it stands."
)

RULES_CHANGED = _(
    "Somebody else has changed the rules since you opened them, so yours were not stored. "
    "Open the rules again to see what holds now."
)

_NOT_CONFIRMED = _(
    "Bitrix24 has not confirmed this payment, and it may have been paid. "
    "Check it again in two minutes, before you do anything else."
)

SENTENCES: dict[str, StrOrPromise] = {
    ALREADY_PAID: _("This payment is paid already. Nothing was paid a second time."),
    ORDER_CANCELED: _(
        "The order is cancelled, so its payments cannot be paid. Nothing was paid. "
        "If it is to be paid all the same, restore the order in Bitrix24 first."
    ),
    SUM_ZERO: _(
        "The sum of this payment is zero, so there is nothing to pay. Nothing was paid. "
        "Enter its sum in Bitrix24, then reload the page."
    ),
    SUM_CHANGED: _(
        "The sum was changed in Bitrix24 meanwhile. Nothing was paid. "
        "Reload the page to see the new sum."
    ),
    CURRENCY_CHANGED: _(
        "The currency was changed in Bitrix24 meanwhile. Nothing was paid. "
        "Reload the page to see the new one."
    ),
    PAY_SYSTEM_CHANGED: _(
        "The payment system was changed in Bitrix24 meanwhile. Nothing was paid. "
        "Reload the page to see the new one."
    ),
    PAID_BACK: _(
        "Since this page was opened, the payment was paid and then set back to unpaid. "
        "Nothing was paid now. Reload the page to see how it stands, "
        "and find out why it was set back before you pay it again."
    ),
    CLOCK_SKEW: _(
        "The clocks of Bitrix24 and of this app are more than five minutes apart, so it cannot be "
        "told what happened to the payment since this page was opened. Nothing was paid. "
        "Tell the portal's administrator: whoever runs the app has to set the clock of its server."
    ),
    PAY_SYSTEM_INACTIVE: _(
        "This payment system is switched off in Bitrix24. Nothing was paid. "
        "Choose another one, or ask the portal's administrator to switch it on."
    ),
    PAY_SYSTEM_OF_INVOICES: _(
        "This payment system is for invoices of the old kind only, and cannot pay for orders. "
        "Nothing was paid. Choose another one."
    ),
    PAY_SYSTEM_BUILT_IN: _(
        "This payment system is built into Bitrix24 and does not take payments from an app. "
        "Nothing was paid. Choose another one; or, if the money has come in already, "
        "mark the payment as paid by hand."
    ),
    PAY_SYSTEM_GONE: _(
        "This payment system was deleted in Bitrix24. Nothing was paid. Choose another one."
    ),
    PAY_SYSTEM_OF_OTHER_BUYERS: _(
        "This payment system is not for buyers of this kind: some are for companies only, others "
        "for people. Nothing was paid. Choose another one."
    ),
    PAY_SYSTEMS_UNREAD: _(
        "The payment systems of this portal could not be read, so only the one that the payment "
        "has can be used. Nothing was paid. "
        "Choose that one, or ask the portal's administrator to open this app once."
    ),
    PAY_SYSTEM_UNFIT: _(
        "This payment system cannot be used here: it is switched off, or does not take payments "
        "from an app. Nothing was paid. Choose another one."
    ),
    NO_ORDER_RIGHT: _(
        "You do not have permission to pay orders. Nothing was paid. "
        "Ask the portal's administrator for the right to create and edit orders."
    ),
    NOT_READABLE: _(
        "You do not have permission to read the deal or invoice of this payment. "
        "Nothing was paid. Ask the portal's administrator."
    ),
    PAYMENT_GONE: _(
        "The payment was deleted or moved to another deal meanwhile. Nothing was paid. "
        "Reload the page to see what is there now."
    ),
    READ_FAILED: _(
        "The payment could not be read in Bitrix24 just now. Nothing was paid. "
        "Try again in a minute."
    ),
    PORTAL_MOVED: _(
        "This portal has moved to another address. Nothing was paid. "
        "Close the app and open it again from Bitrix24."
    ),
    REBIND_FAILED: _(
        "Bitrix24 did not change the payment system of this payment. Nothing was paid. "
        "Pay by the one it has, or ask the portal's administrator for the right to edit orders."
    ),
    REBIND_UNKNOWN: _(
        "Bitrix24 did not say whether it changed the payment system of this payment. "
        "Nothing was paid. Reload the page to see which one it has."
    ),
    ABANDONED: _("An earlier try was broken off before anything was sent. Nothing was paid."),
    APP_REMOVED: _("The app was removed from this Bitrix24 meanwhile. Nothing was done."),
    POLICY_SYSTEM: _(
        "Your administrator does not allow this payment system for payments from this app. "
        "Nothing was paid. Choose another one."
    ),
    NEEDS_APPROVAL: _(
        "A payment of this sum needs a second person's approval. Nothing was paid. "
        "Ask for approval first."
    ),
    APPROVAL_WAITS: _(
        "A payment of this sum needs a second person's approval, and nobody has given it yet. "
        "Nothing was paid. You asked for it; it is on the approvals list of the others."
    ),
    APPROVED_OTHERWISE: _(
        "Another sum or payment system was approved than this one. Nothing was paid. "
        "Choose the approved payment system, or withdraw your request and ask again."
    ),
    CAN_BE_PAID: _(
        "This payment can be paid through its payment system, so it is not marked by hand. "
        "Nothing was changed. Press Pay."
    ),
    SYSTEMS_UNKNOWN: _(
        "It is not known just now whether this payment can be paid through its payment system, so "
        "it was not marked. Nothing was changed. An administrator can mend that by opening the app."
    ),
    UNDO_OFF: _(
        "Undoing is switched off in this portal. The payment stays paid. "
        "Ask the portal's administrator."
    ),
    UNDO_TOO_LATE: _(
        "The time for undoing this payment is over. It stays paid. Ask the portal's administrator."
    ),
    UNDO_NOT_ALLOWED: _(
        "You may not undo payments. The payment stays paid. Ask the portal's administrator."
    ),
    NOT_PAID_HERE: _(
        "This payment was not paid with this app, or is undone already, so there is nothing to "
        "undo here. Nothing was changed."
    ),
    NOT_PAID_ANY_MORE: _("This payment is not paid any more, so there is nothing to undo."),
    PAID_ANEW: _(
        "This payment was undone in Bitrix24 and paid again since this app paid it. "
        "It stays paid: undo it in Bitrix24, if that is right."
    ),
    NOT_REACHED: _("Bitrix24 could not be reached, so nothing was paid. Try again in a minute."),
    TRUE_WITHOUT_PAYMENT: _(
        "Bitrix24 took the request, but the payment is still unpaid. Some payment systems do not "
        "take payments from an app: choose another one, or ask the portal's administrator."
    ),
    NOT_CARRIED_OUT: _("Bitrix24 did not carry out this payment: it is still unpaid."),
    UNPAID_SINCE: _(
        "It was paid after all, and has been undone in Bitrix24 since: it is not paid now. "
        "Ask who undid it before you pay it again."
    ),
    NO_ANSWER: _NOT_CONFIRMED,
    READ_BACK_FAILED: _NOT_CONFIRMED,
    PAID_BY_OTHER: _("It is paid, but somebody else paid it at the same time."),
    PAID_EARLIER: _("It is paid, but not by this try: it was paid before this was sent."),
    PAID_AGAIN: _("It was undone, and somebody has paid it again since."),
    DELETED_UNPAID: _(
        "The payment was deleted meanwhile. Bitrix24 deletes none that is paid, so it was undone "
        "before."
    ),
    CLOSED_BY_HAND: _(
        "Bitrix24 never said what became of this, and an administrator has closed it. "
        "Look at the payment in Bitrix24 before you do anything else."
    ),
}

# In the choice of payment systems, after the name of one that cannot be paid through.
IN_CHOICE: dict[str, StrOrPromise] = {
    PAY_SYSTEM_INACTIVE: _("switched off"),
    PAY_SYSTEM_OF_INVOICES: _("for old invoices only"),
    PAY_SYSTEM_BUILT_IN: _("cannot be paid from here; mark it as paid instead"),
    PAY_SYSTEM_GONE: _("deleted"),
    PAY_SYSTEM_UNFIT: _("cannot be paid from here"),
    POLICY_SYSTEM: _("not allowed by your administrator"),
    APPROVED_OTHERWISE: _("another one was approved"),
}


# Handlers put whole messages of their own into a description; its beginning is enough.
_DESCRIPTION_KEPT = 200


def evidence_of(error: B24Error) -> dict[str, Any]:
    """What is kept of an error: of a refusal enough to tell its sentence again, else its kind."""
    if not isinstance(error, Refused):
        return {"failure": type(error).__name__}
    kept = {
        "code": error.code,
        "description": error.description[:_DESCRIPTION_KEPT],
        "status": error.http_status,
    }
    return {"error": kept}
