"""Moves clocks: tests about days run at the hours at which days differ between zones.

`@at_any_hour` runs a test at several moments in portals of several zones. The environment's
PRETEND_NOW=2026-12-31T23:30:00+00:00 moves the clock of all other tests, to find those that depend
on the hour.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
import time_machine

from sandbox.world import seed
from sandbox.world.world import World

WEST, EAST, FAR_EAST = (timezone(timedelta(hours=hours)) for hours in (-3, 3, 12))
# The server has summer time too.
BERLIN = ZoneInfo("Europe/Berlin")

_LATE = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
_EARLY = datetime(2026, 12, 1, 0, 30, tzinfo=UTC)
_YEARS_END = datetime(2026, 12, 31, 22, 30, tzinfo=UTC)
_SPRING_FORWARD = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # 01:30 in Berlin; at 2 it is 3.
_FALL_BACK = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 in Berlin, for the first time.


@dataclass(frozen=True)
class Clock:
    """`now` is None for the hour that it is; `zone` is the portals' own."""

    now: datetime | None
    zone: tzinfo = EAST

    @property
    def name(self) -> str:
        """Returns the zone's name as an administrator's profile has it; empty for an offset."""
        return self.zone.key if isinstance(self.zone, ZoneInfo) else ""

    def today(self) -> str:
        """Returns the day in the portal, computed without the app."""
        return f"{datetime.now(UTC).astimezone(self.zone):%Y-%m-%d}"

    def set_portals(self, world: World) -> None:
        for portal in world.portals.values():
            portal.zone = self.zone
            portal.users[seed.ADMIN].time_zone = self.name

    def __str__(self) -> str:
        hour = f"{self.now:%m-%dT%H:%M}" if self.now else "now"
        return f"{hour}-{self.name or self.zone}".replace(":", "")


def _clocks(moments: tuple[datetime, ...], zones: tuple[tzinfo, ...]) -> list[Clock]:
    return [Clock(moment, zone) for moment in moments for zone in zones]


HOURS = [
    *_clocks((_LATE, _EARLY, _YEARS_END), (WEST, EAST, FAR_EAST)),
    *_clocks((_YEARS_END, _SPRING_FORWARD, _FALL_BACK), (BERLIN,)),
]
at_any_hour = pytest.mark.parametrize("clock", HOURS, indirect=True, ids=str)


@contextmanager
def running(clock: Clock | None) -> Iterator[Clock]:
    """The clock of a test; without one of its own, that of PRETEND_NOW or of the machine."""
    if clock is None:
        pretended = os.environ.get("PRETEND_NOW")
        clock = Clock(datetime.fromisoformat(pretended) if pretended else None)
    if clock.now is None:
        yield clock
        return
    with time_machine.travel(clock.now, tick=True):
        yield clock
