"""The messages of reasons that are known only after an attempt was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from payments import reasons
from payments.attempts.reason_messages import MARK, UNDO, Reason

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def _only_after(
    every: StrOrPromise = "", *, mark: StrOrPromise = "", undo: StrOrPromise = ""
) -> Reason:
    texts = {"": every, MARK: mark, UNDO: undo}
    return Reason(after={kind: text for kind, text in texts.items() if text})


_NOT_CONFIRMED = _only_after(
    _(
        "Bitrix24 has not confirmed this payment, and it may have been paid. "
        "Check it again in two minutes, before you do anything else."
    ),
    mark=_(
        "Marking is not confirmed: this payment may be marked as paid in Bitrix24. No money moves "
        "by it. Check it again in two minutes, before you do anything else."
    ),
    undo=_(
        "Undoing is not confirmed: this payment may be unpaid again in Bitrix24. "
        "Check it again in two minutes, before you do anything else."
    ),
)

AFTER_SENDING: dict[str, Reason] = {
    reasons.TRUE_WITHOUT_PAYMENT: _only_after(
        _(
            "Bitrix24 took the request, but the payment is still unpaid. Some payment systems do "
            "not take payments from an app: choose another one, or ask the portal's administrator."
        ),
        mark=_(
            "Bitrix24 took the request, but the payment is still unpaid. Nothing was marked. "
            "Try again, or ask the portal's administrator."
        ),
        undo=_(
            "Bitrix24 took the request, but the payment is still paid. Nothing was undone. "
            "Try again, or ask the portal's administrator."
        ),
    ),
    reasons.NOT_CARRIED_OUT: _only_after(
        _("Bitrix24 did not carry out this payment: it is still unpaid."),
        mark=_("Bitrix24 did not mark this payment as paid: it is still unpaid."),
        undo=_("Bitrix24 did not undo this payment: it is still paid."),
    ),
    reasons.UNPAID_SINCE: _only_after(
        _(
            "This payment went through, but was undone in Bitrix24 later, so it is unpaid "
            "now. Ask the person who undid it before you pay it again."
        )
    ),
    reasons.NO_ANSWER: _NOT_CONFIRMED,
    reasons.READ_BACK_FAILED: _NOT_CONFIRMED,
    reasons.PAID_BY_OTHER: _only_after(
        _("It is paid, but another person paid it at the same time.")
    ),
    reasons.PAID_EARLIER: _only_after(
        _("It is paid, but not by this try: it was paid before this was sent.")
    ),
    reasons.PAID_OTHER_SUM: _only_after(
        _(
            "It is paid, but not with the sum that was shown: the sum was changed in Bitrix24 at "
            "the same time. Look at the payment in Bitrix24."
        ),
        mark=_(
            "It is marked as paid, but not with the sum that was shown: the sum was changed in "
            "Bitrix24 at the same time. Look at the payment in Bitrix24."
        ),
    ),
    reasons.PAID_AGAIN: _only_after(_("It was undone, and has been paid again since.")),
    reasons.DELETED_UNPAID: _only_after(
        _(
            "The payment was deleted meanwhile. Bitrix24 does not delete paid payments, so it "
            "was undone before."
        )
    ),
    reasons.CLOSED_BY_HAND: _only_after(
        _(
            "Bitrix24 never said what happened, and an administrator has closed this attempt. "
            "Look at the payment in Bitrix24 before you do anything else."
        )
    ),
}
