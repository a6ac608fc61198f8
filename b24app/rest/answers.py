"""What comes back from a portal: an answer of its own, or one among the many of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from b24app.errors import B24Error, OutcomeUnknown
from b24app.rest import transport
from b24app.rest.clock import moment_of, offset_of
from b24app.untrusted import numbers


@dataclass(frozen=True)
class Answer:
    """A success. `total` and `next` come beside the result of a list; `has_more` says that the
    answer names a next page, also where `next` could not be read.

    `at` is when the portal began it, by the portal's own clock, `skew` how far that clock is ahead
    of ours, and `offset` the offset of its server from UTC; None where the answer does not tell.
    """

    result: Any
    total: int | None = None
    next: int | None = None
    has_more: bool = False
    at: datetime | None = None
    skew: timedelta | None = None
    offset: timedelta | None = None


def answer_of(envelope: Mapping[str, Any], *, asked_at: datetime) -> Answer:
    """`asked_at` is the middle of the request by our clock. Raises OutcomeUnknown without a
    result."""
    if "result" not in envelope:
        raise OutcomeUnknown("an answer without a result")
    at = moment_of(envelope.get("time"))
    return Answer(
        envelope["result"],
        numbers.whole(envelope.get("total")),
        numbers.whole(envelope.get("next")),
        envelope.get("next") is not None,
        at,
        None if at is None else at - asked_at,
        offset_of(envelope.get("time")),
    )


def part_of(whole: Answer | B24Error, key: str, method: str) -> Answer | B24Error:
    """One command's own outcome in the answer of its batch."""
    if isinstance(whole, B24Error):
        return whole
    errors, results = _by_key(whole.result, "result_error"), _by_key(whole.result, "result")
    failure = errors.get(key)
    if isinstance(failure, dict):
        # The status is the batch's: that of a failed command is not sent.
        found = transport.error_in(failure, 200)
        if found is not None:
            return found
    if key not in results or failure is not None:
        return OutcomeUnknown(f"{method}: the batch says nothing of it")
    total, next_ = _by_key(whole.result, "result_total"), _by_key(whole.result, "result_next")
    time = _by_key(whole.result, "result_time").get(key)
    return Answer(
        results[key],
        numbers.whole(total.get(key)),
        numbers.whole(next_.get(key)),
        next_.get(key) is not None,
        moment_of(time) or whole.at,
        whole.skew,
        whole.offset,
    )


def _by_key(result: object, name: str) -> Mapping[str, Any]:
    """A map of the batch's answer. An empty one is sent as a list, for PHP has no difference."""
    found = result.get(name) if isinstance(result, dict) else None
    return found if isinstance(found, dict) else {}
