"""The messages of reasons that are found before sending: one before a person tries, one after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from payments import reasons

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The values of models.Kind.
PAY, MARK, UNDO = "pay", "mark", "undo"

_NOTHING_DONE: dict[str, StrOrPromise] = {
    PAY: _("Nothing was paid."),
    MARK: _("Nothing was marked as paid."),
    UNDO: _("Nothing was undone."),
}


@dataclass(frozen=True)
class Reason:
    """The messages of one reason."""

    # For a person who has not pressed the button; says nothing about money. Empty if the reason is
    # known only after trying.
    before: StrOrPromise = ""
    # Whole messages after trying, by kind of attempt, or under "" for all kinds. Without one, the
    # message after trying is "Nothing was paid." (marked, undone) and `before`.
    after: Mapping[str, StrOrPromise] = field(default_factory=dict)

    def after_trying(self, kind: str) -> StrOrPromise:
        whole = self.after.get(kind) or self.after.get("")
        return whole or format_lazy("{} {}", _NOTHING_DONE[kind], self.before)


BEFORE_SENDING: dict[str, Reason] = {
    reasons.ALREADY_PAID: Reason(
        _("This payment is paid already."),
        {"": _("This payment is paid already. Nothing was paid a second time.")},
    ),
    reasons.ORDER_CANCELED: Reason(
        _(
            "The order is cancelled, so its payments cannot be paid. "
            "If it is to be paid all the same, restore the order in Bitrix24 first."
        ),
        {UNDO: _("The order is cancelled, so its payments are not changed any more.")},
    ),
    reasons.SUM_ZERO: Reason(
        _(
            "The sum of this payment is not more than zero, so there is nothing to pay. "
            "Enter its sum in Bitrix24, then reload the page."
        )
    ),
    reasons.SUM_CHANGED: Reason(
        _("The sum was changed in Bitrix24 meanwhile. Reload the page to see the new sum.")
    ),
    reasons.CURRENCY_CHANGED: Reason(
        _("The currency was changed in Bitrix24 meanwhile. Reload the page to see the new one.")
    ),
    reasons.PAY_SYSTEM_CHANGED: Reason(
        _(
            "The payment system was changed in Bitrix24 meanwhile. "
            "Reload the page to see the new one."
        )
    ),
    reasons.PAID_BACK: Reason(
        _(
            "Since this page was opened, the payment was paid and then set back to unpaid. "
            "Reload the page to see the current state, and find out why it was set back "
            "before you pay it again."
        )
    ),
    reasons.CLOCK_SKEW: Reason(
        _(
            "The clocks of Bitrix24 and of this app are more than five minutes apart, so the "
            "app cannot know what happened to the payment since this page was opened. Tell "
            "the portal's administrator: the people who run the app have to set the clock of "
            "its server."
        )
    ),
    reasons.PAY_SYSTEM_INACTIVE: Reason(
        _(
            "This payment system is switched off in Bitrix24. "
            "Choose another one, or ask the portal's administrator to switch it on."
        )
    ),
    reasons.PAY_SYSTEM_OF_INVOICES: Reason(
        _(
            "This payment system is for invoices of the old kind only, and cannot pay for orders. "
            "Choose another one."
        )
    ),
    reasons.PAY_SYSTEM_BUILT_IN: Reason(
        _(
            "This payment system is built into Bitrix24 and does not take payments from an app. "
            "Choose another one; or, if the money has come in already, "
            "mark the payment as paid by hand."
        )
    ),
    reasons.PAY_SYSTEM_GONE: Reason(
        _("This payment system was deleted in Bitrix24. Choose another one.")
    ),
    reasons.PAY_SYSTEM_OF_OTHER_BUYERS: Reason(
        _(
            "This payment system is not for buyers of this kind: some are for companies only, "
            "others for people. Choose another one."
        )
    ),
    reasons.PAY_SYSTEMS_UNREAD: Reason(
        _(
            "The payment systems of this portal could not be read, so only the one that the "
            "payment has can be used. "
            "Choose that one, or ask the portal's administrator to open this app once."
        )
    ),
    reasons.PAY_SYSTEM_UNFIT: Reason(
        _(
            "This payment system cannot be used here: it is switched off, or does not take "
            "payments from an app. Choose another one."
        ),
        {
            MARK: _(
                "Payments of this payment system are not marked by hand: it is switched off, or "
                "takes payments from the app. Nothing was marked. Reload the page."
            )
        },
    ),
    reasons.NO_ORDER_RIGHT: Reason(
        _(
            "You do not have permission to pay orders. "
            "Ask the portal's administrator for the right to create and edit orders."
        ),
        {
            UNDO: _(
                "You do not have permission to change orders. Nothing was undone. "
                "Ask the portal's administrator for the right to create and edit orders."
            )
        },
    ),
    reasons.NO_ORDER_UPDATE: Reason(
        _(
            "Bitrix24 does not let you change this order. To mark its payments as paid, to undo "
            "them or to change their payment system, you need the right to read and edit it: "
            "ask the portal's administrator."
        ),
        {
            PAY: _(
                "Nothing was paid, and the payment keeps its payment system: Bitrix24 does not let "
                "you change this order. Ask the portal's administrator for the right to edit "
                "orders, or for another person to pay it."
            )
        },
    ),
    reasons.ORDER_NOT_READABLE: Reason(
        _(
            "Bitrix24 does not let you read the order of this payment, so you cannot pay, mark or "
            "undo it here. Ask the portal's administrator for the right to read and edit the order."
        )
    ),
    reasons.NOT_READABLE: Reason(
        _(
            "You do not have permission to read the deal or invoice of this payment. "
            "Ask the portal's administrator."
        )
    ),
    reasons.PAYMENT_GONE: Reason(
        _(
            "The payment was deleted or moved to another deal meanwhile. "
            "Reload the page to see what is there now."
        )
    ),
    reasons.READ_FAILED: Reason(
        _("The payment could not be read in Bitrix24 just now. Try again in a minute.")
    ),
    reasons.PORTAL_MOVED: Reason(
        _(
            "This portal has moved to another address. "
            "Close the app and open it again from Bitrix24."
        )
    ),
    reasons.REBIND_FAILED: Reason(
        _(
            "Bitrix24 did not change the payment system of this payment. "
            "Try again, or pay by the one it has."
        )
    ),
    reasons.REBIND_UNKNOWN: Reason(
        _(
            "Bitrix24 did not say whether it changed the payment system of this payment. "
            "Reload the page to see which one it has."
        )
    ),
    reasons.ABANDONED: Reason(_("An earlier attempt was interrupted before anything was sent.")),
    reasons.APP_REMOVED: Reason(_("The app was removed from this Bitrix24 meanwhile.")),
    reasons.POLICY_SYSTEM: Reason(
        _(
            "Your administrator does not allow this payment system for payments from this app. "
            "Choose another one."
        )
    ),
    reasons.NEEDS_APPROVAL: Reason(
        _("A payment of this sum needs a second person's approval. Ask for approval first.")
    ),
    reasons.APPROVAL_WAITS: Reason(
        _(
            "A payment of this sum needs a second person's approval. You have asked for it; "
            "your colleagues see the request under Approvals."
        )
    ),
    reasons.APPROVED_OTHERWISE: Reason(
        _(
            "The approval is for another sum or payment system. Choose the approved payment "
            "system, or withdraw your request and ask again."
        )
    ),
    reasons.BULK_NOT_ALLOWED: Reason(
        _(
            "Your portal's administrator does not let you pay several payments at once. "
            "You can pay them one by one."
        )
    ),
    reasons.RULES_UNSETTLED: Reason(
        _(
            "The administrator was changing the portal's rules at the same moment. "
            "Try again in a minute."
        )
    ),
    reasons.CAN_BE_PAID: Reason(
        _(
            "This payment can be paid through its payment system, so it is not marked by hand. "
            "Press Pay."
        )
    ),
    reasons.SYSTEMS_UNKNOWN: Reason(
        _(
            "It is not known just now whether this payment can be paid through its payment system, "
            "so it cannot be marked as paid. An administrator can correct that by opening the app."
        )
    ),
    reasons.UNDO_OFF: Reason(
        _("Undoing is switched off in this portal. Ask the portal's administrator.")
    ),
    reasons.UNDO_TOO_LATE: Reason(
        _("The time for undoing this payment is over. Ask the portal's administrator.")
    ),
    reasons.UNDO_NOT_ALLOWED: Reason(
        _("You may not undo payments. Ask the portal's administrator.")
    ),
    reasons.NOT_PAID_HERE: Reason(
        _(
            "This payment was not paid with this app, or is undone already, so there is nothing to "
            "undo here."
        )
    ),
    reasons.NOT_PAID_ANY_MORE: Reason(
        _("This payment is not paid any more, so there is nothing to undo.")
    ),
    reasons.PAID_SINCE: Reason(
        _(
            "This payment was undone in Bitrix24 and paid again since this app paid it. "
            "Undo it in Bitrix24, if that is right."
        )
    ),
    reasons.NOT_REACHED: Reason(_("Bitrix24 could not be reached. Try again in a minute.")),
}
