"""Writes moments and days for people, in the portal's time zone.

`session.identify` makes the portal's zone Django's current one. No other module writes times for
people.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from datetime import timezone as fixed_zone

from django.utils import timezone
from django.utils.formats import date_format

from b24app.localization import zones

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


def day(when: date | datetime) -> str:
    """Returns "Dec. 1, 2026"; for a moment, its day in the portal's time zone."""
    return date_format(_local(when), "DATE_FORMAT")


def clock(when: datetime) -> str:
    """Returns "01:18"."""
    return date_format(_local(when), "H:i")


def moment(when: datetime) -> str:
    """Returns "Dec. 1, 2026, 01:18"."""
    return f"{day(when)}, {clock(when)}"


def exact(when: datetime) -> str:
    """Returns "Dec. 1, 2026, 01:18:23 UTC+3", for evidence.

    The offset tells apart the two equal hours at the end of summer time.
    """
    local = _localtime(when)
    offset = zones.offset_words(local.utcoffset() or timedelta(0))
    return f"{day(when)}, {local:%H:%M:%S} {offset}"


def written_day(when: datetime) -> str:
    """Returns the day of a value from Bitrix24 that may be a date without a time.

    REST writes a date without a time as midnight by the server's offset. Such a value is not
    converted to the portal's zone, because that could change the day; any other value is.
    """
    is_date = when.timetz().replace(tzinfo=None) == time.min
    return day(when.date() if is_date else when)


def zone_words() -> str:
    """Returns the current zone as "Europe/Moscow (UTC+3)"."""
    return zones.words(timezone.get_current_timezone())


def moment_in(written: object) -> datetime | None:
    """Returns the moment in an ISO 8601 text with an offset; None for anything else."""
    try:
        found = datetime.fromisoformat(str(written or ""))
    except ValueError:
        return None
    return None if found.tzinfo is None else found


def _local(when: date | datetime) -> date | datetime:
    return _localtime(when) if isinstance(when, datetime) else when


def _localtime(when: datetime) -> datetime:
    try:
        return timezone.localtime(when)
    except OverflowError:  # PHP writes an empty date as one in year 1, which has no day before it.
        return when


def beginning_of(day: date) -> datetime:
    """Returns the first moment of a day in the portal's time zone, as UTC.

    fold=0 gives the right moment in both odd cases. If summer time begins at midnight, 00:00 does
    not exist; with the offset before the change it is the moment of the change, the first of the
    day. If 00:00 comes twice, fold=0 means the first.
    """
    midnight = datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone())
    return midnight.astimezone(UTC)


def spans(first: date, last: date) -> Iterator[tuple[datetime, datetime, tzinfo]]:
    """Yields (begin, end, fixed zone) for each stretch of the days in which the offset is constant.

    The stretches cover the beginning of `first` to the end of `last`. A database can find the day
    of a moment with a fixed zone; its own time zone database may differ from Python's.
    """
    begin, end = beginning_of(first), beginning_of(last + _DAY)
    while begin < end:
        offset = _offset(begin)
        cut = min(begin + _DAY, end)
        while cut < end and _offset(cut) == offset:
            cut = min(cut + _DAY, end)
        if _offset(cut - _MINUTE) != offset:
            cut = _change_between(max(begin, cut - _DAY), cut)
        yield begin, cut, fixed_zone(offset)
        begin = cut


def _change_between(before: datetime, after: datetime) -> datetime:
    """Returns the moment at which the offset changes, to the minute.

    Offsets have changed at whole minutes since long before Bitrix24.
    """
    offset = _offset(before)
    while after - before > _MINUTE:
        middle = before + (after - before) // _MINUTE // 2 * _MINUTE
        if _offset(middle) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(at: datetime) -> timedelta:
    return zones.offset_of(timezone.get_current_timezone(), at)
