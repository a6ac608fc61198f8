"""Decides after which outcomes a run pauses: those that every further row would have too."""

from __future__ import annotations

from b24app.errors import (
    AccessDenied,
    B24Error,
    ChainBroken,
    QueryLimit,
    Refused,
    ScopeMissing,
    TokenExpired,
    TokenRejected,
    error_from_answer,
)
from payments import reasons
from payments.bulk import messages
from payments.models import Attempt

_CONCERN_EVERY_ROW = frozenset(
    {
        reasons.NO_ORDER_RIGHT,
        reasons.PORTAL_MOVED,
        reasons.NOT_REACHED,
        reasons.READ_FAILED,
        # Only for a mark: it needs to know that the pay system cannot be paid through.
        reasons.SYSTEMS_UNKNOWN,
    }
)
# Bitrix24 refuses a method for some minutes once it has used too much of the server's time.
_OPERATION_LIMIT = "OPERATION_TIME_LIMIT"


def reason_to_pause(attempt: Attempt) -> str:
    """Returns a key of messages.PAUSE_SENTENCES, or "" if the reason concerns this row only."""
    if attempt.reason in _CONCERN_EVERY_ROW:
        return attempt.reason
    if attempt.reason == reasons.BULK_NOT_ALLOWED:
        return messages.POLICY
    stored = attempt.evidence.get("error")
    if attempt.reason != reasons.REFUSED_BY_BITRIX24 or not stored:
        return ""
    return _reason_for(error_from_answer(stored["code"], stored["description"], stored["status"]))


def is_of_every_row(reason: str) -> bool:
    """Returns whether the reason concerns every row, so that this row can wait for another try.

    READ_FAILED may concern one row only: such a row would come first again and pause the run again.
    """
    return reason not in ("", reasons.READ_FAILED)


def _reason_for(error: B24Error) -> str:
    match error:
        case QueryLimit():
            return messages.LIMIT
        case TokenExpired() | TokenRejected() | ScopeMissing():
            return messages.TOKEN
        case ChainBroken():
            return messages.PLAN if error.code.upper() == "PAYMENT_REQUIRED" else messages.TOKEN
        case AccessDenied():
            return messages.PLAN if error.is_about_plan else ""
        case Refused() if error.code.upper() == _OPERATION_LIMIT:
            return messages.LIMIT
        case _:
            return ""
