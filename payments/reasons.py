"""Why an attempt ended as it did: a short code in the ledger, a sentence for the person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from b24app.errors import B24Error, Refused, error_from_answer

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from payments.models import Attempt

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
# Refused although it was, or was to be, sent.
NOT_REACHED = "not_reached"
TRUE_WITHOUT_PAYMENT = "true_without_payment"
REFUSED_BY_BITRIX24 = "refused_by_bitrix24"
NOT_CARRIED_OUT = "not_carried_out"
# Not confirmed.
NO_ANSWER = "no_answer"
READ_BACK_FAILED = "read_back_failed"
# Paid.
PAID_BY_OTHER = "paid_by_other"

# Beside the reason, where the payment was bound to another pay system before it failed.
REBOUND = _("The payment system of this payment was changed as you chose, but nothing was paid.")

NO_FITTING_SYSTEM = _(
    "No payment system of this portal can be used here. "
    "Ask the portal's administrator to set one up."
)
OPEN_ATTEMPT = _("An earlier try is not confirmed yet. Check it before you pay again.")

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
    NOT_REACHED: _("Bitrix24 could not be reached, so nothing was paid. Try again in a minute."),
    TRUE_WITHOUT_PAYMENT: _(
        "Bitrix24 took the request, but the payment is still unpaid. Some payment systems do not "
        "take payments from an app: choose another one, or ask the portal's administrator."
    ),
    NOT_CARRIED_OUT: _("Bitrix24 did not carry out this payment: it is still unpaid."),
    NO_ANSWER: _NOT_CONFIRMED,
    READ_BACK_FAILED: _NOT_CONFIRMED,
    PAID_BY_OTHER: _("It is paid, but somebody else paid it at the same time."),
}

# In the choice of payment systems, after the name of one that cannot be paid through.
IN_CHOICE: dict[str, StrOrPromise] = {
    PAY_SYSTEM_INACTIVE: _("switched off"),
    PAY_SYSTEM_OF_INVOICES: _("for old invoices only"),
    PAY_SYSTEM_BUILT_IN: _("cannot be paid from here; mark it as paid instead"),
    PAY_SYSTEM_GONE: _("deleted"),
}

# Handlers put whole messages of their own into a description; its beginning is enough.
_DESCRIPTION_KEPT = 200


def sentences(attempt: Attempt) -> list[StrOrPromise]:
    """What a person reads below the result: nothing where Paid says it all."""
    found = []
    if attempt.reason == REFUSED_BY_BITRIX24:
        found.append(_sentence_of(attempt.evidence["error"]))
    elif attempt.reason:
        found.append(SENTENCES[attempt.reason])
    if attempt.evidence.get("rebound") and attempt.is_refused:
        found.append(REBOUND)
    return found


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


def _sentence_of(error: dict[str, Any]) -> StrOrPromise:
    return error_from_answer(error["code"], error["description"], error["status"]).sentence
