"""What a person reads of how an attempt ended: other words for a mark and an undoing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from b24app.errors import error_from_answer
from payments import reasons

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from payments.models import Attempt

# Of an open attempt, once looking has brought no answer for too long: waiting two minutes more, as
# its own reason says, is no advice then.
HANDED_OVER = _(
    "Bitrix24 has given no clear answer for too long, so this may have gone through or not. "
    "Your portal's administrator has to decide what became of it; Check now still looks again."
)
PAID_BY_SOMEBODY_ELSE = _("Paid by somebody else.")
DATE_UNREADABLE = _("Bitrix24's date of this payment cannot be read.")
BY_HAND_ONLY = _(
    "Payments by this payment system are not made through the app. "
    "Once the money is there, mark this one as paid."
)

# What is told otherwise where a payment was to be marked as paid.
_MARK_NOT_CONFIRMED = _(
    "Marking is not confirmed: this payment may be marked as paid in Bitrix24. No money moves by "
    "it. Check it again in two minutes, before you do anything else."
)
MARKING: dict[str, StrOrPromise] = {
    reasons.PAY_SYSTEM_UNFIT: _(
        "Payments of this payment system are not marked by hand: it is switched off, or takes "
        "payments from the app. Nothing was marked. Reload the page."
    ),
    reasons.NOT_REACHED: _(
        "Bitrix24 could not be reached, so nothing was marked. Try again in a minute."
    ),
    reasons.TRUE_WITHOUT_PAYMENT: _(
        "Bitrix24 took the request, but the payment is still unpaid. Nothing was marked. "
        "Try again, or ask the portal's administrator."
    ),
    reasons.NOT_CARRIED_OUT: _("Bitrix24 did not mark this payment as paid: it is still unpaid."),
    reasons.NO_ANSWER: _MARK_NOT_CONFIRMED,
    reasons.READ_BACK_FAILED: _MARK_NOT_CONFIRMED,
}

# And where a payment was to be undone: there "nothing was paid" would be beside the point.
_UNDO_NOT_CONFIRMED = _(
    "Undoing is not confirmed: this payment may be unpaid again in Bitrix24. "
    "Check it again in two minutes, before you do anything else."
)
UNDOING: dict[str, StrOrPromise] = {
    reasons.ORDER_CANCELED: _("The order is cancelled, so its payments are not changed any more."),
    reasons.SUM_CHANGED: _(
        "The sum was changed in Bitrix24 meanwhile. Nothing was undone. "
        "Reload the page to see the new sum."
    ),
    reasons.CURRENCY_CHANGED: _(
        "The currency was changed in Bitrix24 meanwhile. Nothing was undone. "
        "Reload the page to see the new one."
    ),
    reasons.PAY_SYSTEM_CHANGED: _(
        "The payment system was changed in Bitrix24 meanwhile. Nothing was undone. "
        "Reload the page to see the new one."
    ),
    reasons.NO_ORDER_RIGHT: _(
        "You do not have permission to change orders. Nothing was undone. "
        "Ask the portal's administrator for the right to create and edit orders."
    ),
    reasons.NOT_READABLE: _(
        "You do not have permission to read the deal or invoice of this payment. "
        "Nothing was undone. Ask the portal's administrator."
    ),
    reasons.PAYMENT_GONE: _(
        "The payment was deleted or moved to another deal meanwhile. Nothing was undone. "
        "Reload the page to see what is there now."
    ),
    reasons.READ_FAILED: _(
        "The payment could not be read in Bitrix24 just now. Nothing was undone. "
        "Try again in a minute."
    ),
    reasons.PORTAL_MOVED: _(
        "This portal has moved to another address. Nothing was undone. "
        "Close the app and open it again from Bitrix24."
    ),
    reasons.ABANDONED: _(
        "An earlier try was broken off before anything was sent. Nothing was undone."
    ),
    reasons.NOT_REACHED: _(
        "Bitrix24 could not be reached, so nothing was undone. Try again in a minute."
    ),
    reasons.TRUE_WITHOUT_PAYMENT: _(
        "Bitrix24 took the request, but the payment is still paid. Nothing was undone. "
        "Try again, or ask the portal's administrator."
    ),
    reasons.NOT_CARRIED_OUT: _("Bitrix24 did not undo this payment: it is still paid."),
    reasons.NO_ANSWER: _UNDO_NOT_CONFIRMED,
    reasons.READ_BACK_FAILED: _UNDO_NOT_CONFIRMED,
}
_BY_KIND: dict[str, dict[str, StrOrPromise]] = {"mark": MARKING, "undo": UNDOING}


def sentences(attempt: Attempt) -> list[StrOrPromise]:
    """What a person reads below the result: nothing where Paid says it all."""
    if attempt.is_open and attempt.handed_over_at is not None:
        return [HANDED_OVER]
    found = []
    if attempt.reason == reasons.REFUSED_BY_BITRIX24:
        found.append(_sentence_of(attempt.evidence["error"]))
    elif attempt.reason:
        found.append(sentence(attempt.reason, kind=attempt.kind))
    if attempt.evidence.get("rebound") and attempt.is_refused:
        found.append(reasons.REBOUND)
    return found


def sentence(reason: str, *, kind: str) -> StrOrPromise:
    """What a code of this module means for the money; `kind` is an attempt's."""
    return _BY_KIND.get(kind, {}).get(reason) or reasons.SENTENCES[reason]


def _sentence_of(error: dict[str, Any]) -> StrOrPromise:
    return error_from_answer(error["code"], error["description"], error["status"]).sentence
