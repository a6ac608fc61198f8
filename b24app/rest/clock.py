"""Reads the portal's clock: every answer of its REST says when it was begun."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from decimal import Decimal

from b24app.localization import zones

# With a larger difference the doctor warns. Nothing fails, because token expiry is counted by our
# own clock; but our logs do not match the portal's, and a payment seems to precede its request.
CLOCKS_DIFFER = timedelta(seconds=60)
# With a larger difference nothing is paid, because the app cannot tell whether something happened
# before a page was opened or after. NTP keeps clocks within a second, and a slow network adds less
# than a minute.
CLOCKS_TOO_FAR_APART = timedelta(minutes=5)


def moment_of(time: object) -> datetime | None:
    """Returns when the portal began an answer, from the answer's `time`; None if it does not say.

    https://apidocs.bitrix24.com/api-reference/data-types.html
    """
    if not isinstance(time, Mapping):
        return None
    # `date_start` has it too, as text.
    return _moment_in_seconds(time.get("start")) or parsed_moment(time.get("date_start"))


def skew_of(time: object, *, asked_at: datetime, received_at: datetime) -> timedelta | None:
    """Returns how far the portal's clock is ahead of this server's, from an answer's `time`; None
    if the answer does not say. `asked_at`: the middle of the request, by our clock.

    The newest servers cut `start` to whole seconds, but not `finish`. The end of an answer is
    earlier than its arrival by the way back alone, however long the server worked.
    """
    finish = time.get("finish") if isinstance(time, Mapping) else None
    finished = _moment_in_seconds(finish)
    if finished is not None:
        return finished - received_at
    began = moment_of(time)
    return None if began is None else began - asked_at


def _moment_in_seconds(seconds: object) -> datetime | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | Decimal):
        return None
    found: datetime | None = None
    with suppress(ValueError, OverflowError, OSError):
        found = datetime.fromtimestamp(float(seconds), UTC)
    return found if found is not None and MINYEAR < found.year < MAXYEAR else None


def offset_of(time: object) -> timedelta | None:
    """Returns the offset from UTC of the portal's server, from an answer's `time`.

    None if the answer does not say, or if no place has that offset.
    """
    found = parsed_moment(time.get("date_start")) if isinstance(time, Mapping) else None
    offset = None if found is None else found.utcoffset()
    return offset if offset is not None and zones.is_possible(offset) else None


def parsed_moment(value: object) -> datetime | None:
    """Returns the moment in an ISO 8601 text with an offset; None for everything else.

    The moment can be converted to any time zone.
    """
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    # In the first and the last year, converting to another zone could overflow.
    if found.tzinfo is None or not MINYEAR < found.year < MAXYEAR:
        return None
    return found
