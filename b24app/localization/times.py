"""Moments and days as people read them: in the portal's time zone, and in no other.

The portal's zone is Django's current one from the moment on that the person of a request is known
(`session.identify`). These functions are the only ones that write a time for people.
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
    """Dec. 1, 2026; of a moment, the day it is then in the portal."""
    return date_format(_local(when), "DATE_FORMAT")


def clock(when: datetime) -> str:
    """01:18"""
    return date_format(_local(when), "H:i")


def moment(when: datetime) -> str:
    """Dec. 1, 2026, 01:18"""
    return f"{day(when)}, {clock(when)}"


def exact(when: datetime) -> str:
    """Dec. 1, 2026, 01:18:23 UTC+3: for evidence, where the hour that summer time repeats has to
    be told from the one before it."""
    local = _localtime(when)
    offset = zones.offset_words(local.utcoffset() or timedelta(0))
    return f"{day(when)}, {local:%H:%M:%S} {offset}"


def written_day(when: datetime) -> str:
    """The day of a value of Bitrix24 that may be a date without a time.

    REST writes such a date as midnight by the server's offset. It is a day and must not move; any
    other value is a moment.
    """
    is_date = when.timetz().replace(tzinfo=None) == time.min
    return day(when.date() if is_date else when)


def zone_words() -> str:
    """Europe/Moscow (UTC+3)"""
    return zones.words(timezone.get_current_timezone())


def moment_in(written: object) -> datetime | None:
    """A moment as Bitrix24 writes it, ISO 8601 with its offset; None for anything else."""
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
    except OverflowError:  # PHP writes an empty date as one of year 1: there is no day before it.
        return when


def beginning_of(day: date) -> datetime:
    """The first moment of a day of the portal, in UTC.

    Where summer time begins at midnight, 00:00 does not exist: with the offset of before, which
    fold=0 asks for, it is the moment of the change, the day's first. Where 00:00 comes twice it is
    the first of both.
    """
    midnight = datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone())
    return midnight.astimezone(UTC)


def spans(first: date, last: date) -> Iterator[tuple[datetime, datetime, tzinfo]]:
    """From the beginning of one day to the end of another, cut where the portal's offset changes:
    each part with its offset as a zone.

    So a database can tell the day of a moment without a time zone database of its own, which may be
    older or newer than ours.
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
    """To the minute: offsets have changed at whole minutes since long before Bitrix24."""
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
