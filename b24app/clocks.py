"""The portal's clock beside ours: every answer of its REST says when it was begun."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from b24app import zones

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
        try:
            return datetime.fromtimestamp(float(start), UTC)
        except (ValueError, OverflowError, OSError):
            pass  # Nonsense there; the same moment is sent once more as text.
    return _date_start(time)


def offset_of(time: object) -> timedelta | None:
    """The offset from UTC by which the portal's server writes dates, out of an answer's `time`;
    None where it is not to be found or is that of no place."""
    found = _date_start(time) if isinstance(time, Mapping) else None
    offset = None if found is None else found.utcoffset()
    return offset if offset is not None and zones.is_possible(offset) else None


def _date_start(time: Mapping[object, object]) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(time.get("date_start")))
    except ValueError:
        return None
    return None if found.tzinfo is None else found
