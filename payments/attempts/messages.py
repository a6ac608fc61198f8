"""Returns the messages that people read: why something cannot be done, how an attempt ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from b24app.errors import error_from_answer
from payments import reasons
from payments.attempts.outcome_messages import AFTER_SENDING
from payments.attempts.reason_messages import BEFORE_SENDING

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from payments.models import Attempt

# For an attempt that was handed over: its own reason says to wait two minutes, which is wrong then.
HANDED_OVER = _(
    "Bitrix24 has not said for a long time whether this went through. Your portal's "
    "administrator has to decide; Check now still asks Bitrix24 again."
)
PAID_BY_ANOTHER_PERSON = _("Paid by another person.")
DATE_UNREADABLE = _("Bitrix24's date of this payment cannot be read.")
BY_HAND_ONLY = _(
    "Payments by this payment system are not made through the app. "
    "Once the money is there, mark this one as paid."
)

_REASONS = {**BEFORE_SENDING, **AFTER_SENDING}


def messages_of(attempt: Attempt) -> list[StrOrPromise]:
    """Returns the messages below the result of an attempt; none for a plain Paid."""
    if attempt.is_open and attempt.handed_over_at is not None:
        return [HANDED_OVER]
    found = []
    if attempt.reason == reasons.REFUSED_BY_BITRIX24:
        found.append(_message_of(attempt.evidence["error"]))
    elif attempt.reason:
        found.append(after_trying(attempt.reason, kind=attempt.kind))
    if attempt.evidence.get("rebound") and attempt.is_refused:
        found.append(reasons.REBOUND)
    return found


def why_not(reason: str) -> StrOrPromise:
    """Returns why something cannot be done, for a person who has not tried. Raises KeyError for a
    reason that is known only after trying."""
    message = _REASONS[reason].before
    if not message:
        raise KeyError(reason)
    return message


def after_trying(reason: str, *, kind: str) -> StrOrPromise:
    """Returns the message of an attempt of this kind that ended for this reason."""
    return _REASONS[reason].after_trying(kind)


def _message_of(error: dict[str, Any]) -> StrOrPromise:
    return error_from_answer(error["code"], error["description"], error["status"]).sentence
