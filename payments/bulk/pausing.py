"""Which outcomes of a row every further row would meet as well, so that the run pauses."""

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

_ALL_MEET = frozenset(
    {
        reasons.NO_ORDER_RIGHT,
        reasons.PORTAL_MOVED,
        reasons.NOT_REACHED,
        reasons.READ_FAILED,
        # Only of a mark: what cannot be paid through is not known.
        reasons.SYSTEMS_UNKNOWN,
    }
)
# A method that took too much of the server's time is turned away for some minutes.
_OPERATION_LIMIT = "OPERATION_TIME_LIMIT"


def reason_to_pause(attempt: Attempt) -> str:
    """A code of words.PAUSE_SENTENCES, or "" where the reason concerns this row only."""
    if attempt.reason in _ALL_MEET:
        return attempt.reason
    if attempt.reason == reasons.BULK_NOT_ALLOWED:
        return messages.POLICY
    kept = attempt.evidence.get("error")
    if attempt.reason != reasons.REFUSED_BY_BITRIX24 or not kept:
        return ""
    return _of(error_from_answer(kept["code"], kept["description"], kept["status"]))


def is_of_every_row(reason: str) -> bool:
    """Whether the reason cannot concern one row only. READ_FAILED can: put back, such a row would
    come first and stop the run each time."""
    return reason not in ("", reasons.READ_FAILED)


def _of(error: B24Error) -> str:
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
