"""Reads a portal's answers: of a single call, and of one command in a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from b24app.errors import B24Error, OutcomeUnknown
from b24app.rest import transport
from b24app.rest.clock import moment_of, offset_of, skew_of
from b24app.untrusted import numbers


@dataclass(frozen=True)
class Answer:
    """A successful answer. A field that the answer does not have is None."""

    result: Any
    # Of a list: the number of rows in all, and the start of the next page.
    total: int | None = None
    next: int | None = None
    # Whether there is a next page, even if `next` could not be read.
    has_more: bool = False
    # When the portal began to answer, by its own clock.
    at: datetime | None = None
    # How far the portal's clock is ahead of this server's.
    skew: timedelta | None = None
    # The offset of the portal's server from UTC.
    offset: timedelta | None = None


def answer_of(envelope: Mapping[str, Any], *, asked_at: datetime, received_at: datetime) -> Answer:
    """Returns the answer in a parsed body. `asked_at`: the middle of the request, by our clock.

    Raises OutcomeUnknown if there is no result.
    """
    if "result" not in envelope:
        raise OutcomeUnknown("an answer without a result")
    time = envelope.get("time")
    return Answer(
        envelope["result"],
        numbers.whole(envelope.get("total")),
        numbers.whole(envelope.get("next")),
        envelope.get("next") is not None,
        moment_of(time),
        skew_of(time, asked_at=asked_at, received_at=received_at),
        offset_of(time),
    )


def part_of(whole: Answer | B24Error, key: str, method: str) -> Answer | B24Error:
    """Returns the outcome of the command `key` in the answer to its batch.

    https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
    """
    if isinstance(whole, B24Error):
        return whole
    errors, results = _by_key(whole.result, "result_error"), _by_key(whole.result, "result")
    failure = errors.get(key)
    if isinstance(failure, dict):
        # The batch has status 200; the status of the failed command is not sent.
        found = transport.error_in(failure, 200)
        if found is not None:
            return found
    if key not in results or failure is not None:
        return OutcomeUnknown(f"{method}: the batch says nothing of it")
    total, next_ = _by_key(whole.result, "result_total"), _by_key(whole.result, "result_next")
    return Answer(
        results[key],
        numbers.whole(total.get(key)),
        numbers.whole(next_.get(key)),
        next_.get(key) is not None,
        moment_of(time_of(whole, key)) or whole.at,
        whole.skew,
        whole.offset,
    )


def time_of(whole: Answer | B24Error, key: str) -> object:
    """Returns the `time` of the command `key` in the answer to its batch, or None."""
    return _by_key(whole.result, "result_time").get(key) if isinstance(whole, Answer) else None


def _by_key(result: object, name: str) -> Mapping[str, Any]:
    """Returns a map in the batch's answer; PHP sends an empty one as a list."""
    found = result.get(name) if isinstance(result, dict) else None
    return found if isinstance(found, dict) else {}
