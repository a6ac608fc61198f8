"""The portal's clock beside ours: every answer of its REST says when it was begun."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from decimal import Decimal

from b24app.localization import zones

# Expiry is counted from our own clock, so nothing breaks at once; but logs can no longer be laid
# beside the portal's, and a payment seems to have been made before it was sent.
CLOCKS_DIFFER = timedelta(seconds=60)
# Further apart than this, nothing is paid. Clocks that are kept by NTP are less than a second
# apart, and what a slow network adds is under a minute: five are a clock that nobody keeps, by
# which it cannot be told whether something happened before a page was opened or after.
CLOCKS_TOO_FAR_APART = timedelta(minutes=5)


def moment_of(time: object) -> datetime | None:
    """When the portal began an answer, out of its `time`; None where that is not to be found.

    https://apidocs.bitrix24.com/api-reference/data-types.html
    """
    if not isinstance(time, Mapping):
        return None
    start = time.get("start")
    if isinstance(start, int | float | Decimal) and not isinstance(start, bool):
        found: datetime | None = None
        with suppress(ValueError, OverflowError, OSError):  # It is sent once more, as text.
            found = datetime.fromtimestamp(float(start), UTC)
        if found is not None and MINYEAR < found.year < MAXYEAR:
            return found
    return parsed_moment(time.get("date_start"))


def offset_of(time: object) -> timedelta | None:
    """The offset from UTC by which the portal's server writes dates, out of an answer's `time`;
    None where it is not to be found or is that of no place."""
    found = parsed_moment(time.get("date_start")) if isinstance(time, Mapping) else None
    offset = None if found is None else found.utcoffset()
    return offset if offset is not None and zones.is_possible(offset) else None


def parsed_moment(value: object) -> datetime | None:
    """Returns ISO 8601 text with its offset as a moment that can be converted to any time zone;
    None for everything else."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    # In the first and the last year another zone could lie beyond what a datetime can hold.
    if found.tzinfo is None or not MINYEAR < found.year < MAXYEAR:
        return None
    return found
