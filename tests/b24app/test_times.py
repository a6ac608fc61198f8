"""Days of a portal as moments, and moments as text, through every change of an offset."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from django.utils import timezone

from b24app.localization import times, zones

HOUR = timedelta(hours=1)


def hours_of(zone: str, day: date) -> timedelta:
    with timezone.override(zones.find(zone)):
        return times.beginning_of(day + timedelta(days=1)) - times.beginning_of(day)


@pytest.mark.parametrize(
    ("zone", "day", "begins", "hours"),
    [
        ("UTC+03:00", date(2026, 12, 1), "2026-11-30T21:00:00+00:00", 24),
        ("UTC+05:30", date(2026, 12, 1), "2026-11-30T18:30:00+00:00", 24),
        ("UTC-03:00", date(2026, 12, 31), "2026-12-31T03:00:00+00:00", 24),
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00:00+00:00", 23),
        ("Europe/Berlin", date(2026, 10, 25), "2026-10-24T22:00:00+00:00", 25),
        # 00:00 does not exist: the day begins at 01:00.
        ("Africa/Cairo", date(2026, 4, 24), "2026-04-23T22:00:00+00:00", 23),
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T03:00:00+00:00", 23),
        ("America/Santiago", date(2026, 9, 6), "2026-09-06T04:00:00+00:00", 23),
        # 23:00 comes twice, then 00:00 comes twice.
        ("America/Sao_Paulo", date(2018, 2, 17), "2018-02-17T02:00:00+00:00", 25),
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00:00+00:00", 25),
        # Half an hour of summer time, and a day that was left out.
        ("Australia/Lord_Howe", date(2026, 10, 4), "2026-10-03T13:30:00+00:00", 23.5),
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00:00+00:00", 0),
    ],
)
def test_a_day_lasts_from_its_first_moment_to_that_of_the_next(
    zone: str, day: date, begins: str, hours: float
) -> None:
    with timezone.override(zones.find(zone)):
        assert times.beginning_of(day).isoformat() == begins
    assert hours_of(zone, day) == hours * HOUR


@pytest.mark.parametrize("year", [2018, 2026])
def test_in_every_zone_a_moment_belongs_to_the_day_that_it_lies_in(year: int) -> None:
    """At each change of an offset, by the zone's own clock."""
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        noons = [datetime(year, 1, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(366)]
        for before, noon in pairwise(noons):
            if _offset(zone, before) == _offset(zone, noon):
                continue
            with timezone.override(zone):
                for day in (noon.date() + timedelta(days=n) for n in (-1, 0, 1)):
                    begins = times.beginning_of(day)
                    if times.beginning_of(day + timedelta(days=1)) > begins:
                        assert begins.astimezone(zone).date() == day, (name, day)
                    just_before = begins - timedelta(seconds=1)
                    assert just_before.astimezone(zone).date() < day, (name, day)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta | None:
    return at.astimezone(zone).utcoffset()


@pytest.mark.parametrize(
    ("zone", "count"),
    [
        ("UTC", 1),
        ("UTC-03:00", 1),
        ("Europe/Berlin", 3),
        ("Africa/Casablanca", 3),
        ("Asia/Kolkata", 1),
    ],
)
def test_parts_of_one_offset_cover_the_days_without_gap_or_overlap(zone: str, count: int) -> None:
    place = zones.find(zone)
    with timezone.override(place):
        parts = list(times.spans(date(2026, 1, 1), date(2026, 12, 31)))
        whole = (times.beginning_of(date(2026, 1, 1)), times.beginning_of(date(2027, 1, 1)))
    assert len(parts) == count
    assert (parts[0][0], parts[-1][1]) == whole
    assert [end for _, end, _ in parts[:-1]] == [begin for begin, _, _ in parts[1:]]
    for begin, end, fixed in parts:
        for at in (begin, begin + (end - begin) / 2, end - timedelta(seconds=1)):
            assert at.astimezone(fixed).utcoffset() == at.astimezone(place).utcoffset()


def test_words_are_of_the_current_zone_wherever_a_moment_was_written() -> None:
    at = datetime(2026, 11, 30, 22, 18, 23, tzinfo=UTC)
    with timezone.override(zones.find("Europe/Moscow")):
        for same in (at, at.astimezone(ZoneInfo("America/New_York"))):
            assert times.moment(same) == "Dec. 1, 2026, 01:18"
            assert times.exact(same) == "Dec. 1, 2026, 01:18:23 UTC+3"
    with timezone.override(zones.find("UTC-03:00")):
        assert times.moment(at) == "Nov. 30, 2026, 19:18"


def test_the_repeated_hour_can_be_told_from_the_one_before_it() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    with timezone.override(zones.find("Europe/Berlin")):
        assert times.exact(first) == "Oct. 25, 2026, 02:30:00 UTC+2"
        assert times.exact(first + HOUR) == "Oct. 25, 2026, 02:30:00 UTC+1"


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2026-12-01T00:00:00+03:00", "Dec. 1, 2026"),
        ("2026-12-01T00:00:00-03:00", "Dec. 1, 2026"),
        ("2026-12-01T00:00:00+12:00", "Dec. 1, 2026"),
        ("2026-12-01T00:30:00+03:00", "Nov. 30, 2026"),
        ("2026-11-30T23:30:00-08:00", "Dec. 1, 2026"),
        # PHP's empty date: nothing to be moved, and no error.
        ("0001-01-01T01:00:00+03:00", "Jan. 1, 0001"),
    ],
)
def test_a_date_without_a_time_stays_the_day_that_was_written(written: str, day: str) -> None:
    with timezone.override(zones.find("America/New_York")):
        assert times.written_day(datetime.fromisoformat(written)) == day


@pytest.mark.parametrize(
    "written", [None, "", "yesterday", 5, {}, "2026-12-01", "2026-12-01T00:00:00"]
)
def test_an_unreadable_moment_is_unknown(written: object) -> None:
    assert times.moment_in(written) is None
