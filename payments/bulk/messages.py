"""Holds the messages about a run: why it paused, and why it leaves a row out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from payments import reasons
from payments.attempts.messages import why_not
from payments.models import Kind

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# Why a row is left out.
OPEN_ATTEMPT = "open_attempt"
BOUND_UNFIT = "bound_unfit"
SYSTEM_NOT_ALLOWED = "system_not_allowed"
NOT_PAYABLE = "not_payable"
NOT_MARKABLE = "not_markable"
TOO_OLD = "offer_too_old"
PAYING_UNCONFIRMED = "paying_unconfirmed"
MARKING_UNCONFIRMED = "marking_unconfirmed"
# By the kind of rows that the person did not tick when they started the run.
UNCONFIRMED_KINDS = {Kind.PAY: PAYING_UNCONFIRMED, Kind.MARK: MARKING_UNCONFIRMED}

# Why a run paused.
BY_PERSON = "by_person"
UNCONFIRMED = "unconfirmed_in_a_row"
TOKEN = "token"  # noqa: S105 - a code, not a token
PLAN = "plan"
LIMIT = "limit"
POLICY = "policy"

ROW_SENTENCES: dict[str, StrOrPromise] = {
    OPEN_ATTEMPT: reasons.OPEN_ATTEMPT,
    BOUND_UNFIT: _(
        "Its payment system does not take payments from an app. "
        "Choose another one for it in the list of unpaid payments."
    ),
    SYSTEM_NOT_ALLOWED: _(
        "Your portal's administrator does not allow this payment system to be used here."
    ),
    NOT_PAYABLE: _("It cannot be paid from here now. The list of unpaid payments says why."),
    NOT_MARKABLE: _(
        "It cannot be marked as paid from here now. The list of unpaid payments says why."
    ),
    TOO_OLD: _(
        "It was shown to you more than a day ago, so nothing was done with it. "
        "Select it again in the list."
    ),
    PAYING_UNCONFIRMED: _("It was not paid: you started this run without paying."),
    MARKING_UNCONFIRMED: _("It was not marked as paid: you started this run without marking."),
}

PAUSE_SENTENCES: dict[str, StrOrPromise] = {
    BY_PERSON: _("You paused it. Nothing more is done until you press Resume."),
    UNCONFIRMED: _(
        "Three payments in a row were not confirmed by Bitrix24, so the run paused. "
        "Check these payments before you press Resume."
    ),
    TOKEN: _(
        "Bitrix24 no longer takes your sign-in, so the run paused and nothing more was done. "
        "Close the app, open it again from Bitrix24, and press Resume."
    ),
    PLAN: _(
        "Bitrix24 does not serve apps on this portal's plan now, so the run paused. "
        "The portal's administrator can change the plan."
    ),
    LIMIT: _(
        "Bitrix24 is turning requests away because there were too many, so the run paused. "
        "Press Resume in a minute."
    ),
    POLICY: _(
        "You may not pay several payments at once any more, so the run paused. "
        "Ask your portal's administrator."
    ),
    reasons.NO_ORDER_RIGHT: _(
        "You no longer have permission to pay orders in Bitrix24, so the run paused. "
        "Ask your portal's administrator for the right to create and edit orders."
    ),
    reasons.PORTAL_MOVED: _(
        "This portal has moved to another address, so the run paused. "
        "Close the app, open it again from Bitrix24, and press Resume."
    ),
    reasons.NOT_REACHED: _(
        "Bitrix24 could not be reached, so the run paused. Press Resume in a minute."
    ),
    reasons.READ_FAILED: _(
        "Bitrix24 did not answer clearly when it was asked about a payment, so the run paused. "
        "Nothing was done with that payment. Press Resume in a minute."
    ),
    reasons.SYSTEMS_UNKNOWN: _(
        "The portal's payment systems could not be read, so the run paused before it marked a "
        "payment as paid. Ask your portal's administrator to open the app, then press Resume."
    ),
}


def about_row(reason: str) -> StrOrPromise:
    """Returns why a row is left out, for a code from here or from payments/reasons.py."""
    known = ROW_SENTENCES.get(reason)
    return why_not(reason) if known is None else known


def about_pause(reason: str) -> StrOrPromise:
    """Returns why the run paused, for a key of PAUSE_SENTENCES."""
    return PAUSE_SENTENCES[reason]
