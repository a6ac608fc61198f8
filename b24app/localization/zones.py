"""Finds and names time zones, lists the ones to choose from, and proposes one for a portal.

REST does not tell the zone of a portal. Its answers show the offset of the portal's server, and
`profile` names the zone of one person. The app proposes a zone from both until an administrator
chooses one.

A zone's name is an IANA name such as "Europe/Moscow". If only the offset is known, it is
"UTC+05:30", because "Etc/GMT-5" reverses the sign and has no half hours.
"""

from __future__ import annotations

import re
import zoneinfo
from datetime import datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import TypeGuard

from django.utils import timezone as clock

# The offsets of Baker Island and Kiritimati; no place has a smaller or a larger one.
_LEAST, _MOST = timedelta(hours=-12), timedelta(hours=14)
_MINUTE = timedelta(minutes=1)
_FIXED = re.compile(r"UTC([+-])([01][0-9]):([0-5][0-9])", re.ASCII)
# Names in the time zone database that are not places.
_NO_PLACE = frozenset({"Factory", "localtime", "posixrules"})

# Offered in Rules: at least one zone for each offset in use, and the capitals of the countries with
# most of Bitrix24's portals. `choices` adds the stored zone if it is another.
COMMON = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Johannesburg",
    "Africa/Lagos",
    "Africa/Nairobi",
    "America/Anchorage",
    "America/Argentina/Buenos_Aires",
    "America/Bogota",
    "America/Caracas",
    "America/Chicago",
    "America/Denver",
    "America/Halifax",
    "America/Lima",
    "America/Los_Angeles",
    "America/Manaus",
    "America/Mexico_City",
    "America/New_York",
    "America/Noronha",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/Toronto",
    "Asia/Almaty",
    "Asia/Baku",
    "Asia/Bangkok",
    "Asia/Colombo",
    "Asia/Dhaka",
    "Asia/Dubai",
    "Asia/Ho_Chi_Minh",
    "Asia/Hong_Kong",
    "Asia/Irkutsk",
    "Asia/Jakarta",
    "Asia/Jerusalem",
    "Asia/Kabul",
    "Asia/Kamchatka",
    "Asia/Karachi",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Krasnoyarsk",
    "Asia/Kuala_Lumpur",
    "Asia/Magadan",
    "Asia/Manila",
    "Asia/Novosibirsk",
    "Asia/Omsk",
    "Asia/Riyadh",
    "Asia/Seoul",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Tashkent",
    "Asia/Tbilisi",
    "Asia/Tehran",
    "Asia/Tokyo",
    "Asia/Vladivostok",
    "Asia/Yakutsk",
    "Asia/Yangon",
    "Asia/Yekaterinburg",
    "Asia/Yerevan",
    "Atlantic/Azores",
    "Atlantic/Cape_Verde",
    "Australia/Adelaide",
    "Australia/Brisbane",
    "Australia/Darwin",
    "Australia/Perth",
    "Australia/Sydney",
    "Europe/Amsterdam",
    "Europe/Athens",
    "Europe/Berlin",
    "Europe/Bucharest",
    "Europe/Chisinau",
    "Europe/Istanbul",
    "Europe/Kaliningrad",
    "Europe/Kyiv",
    "Europe/Lisbon",
    "Europe/London",
    "Europe/Madrid",
    "Europe/Minsk",
    "Europe/Moscow",
    "Europe/Paris",
    "Europe/Prague",
    "Europe/Rome",
    "Europe/Samara",
    "Europe/Volgograd",
    "Europe/Warsaw",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Honolulu",
    "Pacific/Kiritimati",
    "Pacific/Noumea",
    "Pacific/Pago_Pago",
    "UTC",
)


@cache
def _known() -> frozenset[str]:
    """Reads the names from the file system once. A name that is not among them opens no file."""
    return frozenset(zoneinfo.available_timezones()) - _NO_PLACE


def find(name: str) -> tzinfo | None:
    """Returns the zone with this name, IANA or "UTC+05:30"; None for any other text."""
    if fixed := _FIXED.fullmatch(name):
        offset = timedelta(hours=int(fixed[2]), minutes=int(fixed[3]))
        offset = -offset if fixed[1] == "-" else offset
        return timezone(offset, name) if is_possible(offset) else None
    return zoneinfo.ZoneInfo(name) if name in _known() else None


def is_possible(offset: timedelta) -> bool:
    return _LEAST <= offset <= _MOST and offset % _MINUTE == timedelta(0)


def fixed_name(offset: timedelta) -> str:
    """Returns "UTC+05:30", or "UTC": the name of a zone of which only the offset is known."""
    return timezone(offset).tzname(None)


def offset_of(zone: tzinfo, at: datetime | None = None) -> timedelta:
    """Returns the zone's offset from UTC at a moment, by default now."""
    return (at or clock.now()).astimezone(zone).utcoffset() or timedelta(0)


def offset_words(offset: timedelta) -> str:
    """Returns "UTC+3", "UTC-3", "UTC+5:30" or "UTC"."""
    hours, minutes = divmod(abs(offset) // _MINUTE, 60)
    if not hours and not minutes:
        return "UTC"
    sign = "-" if offset < timedelta(0) else "+"
    return f"UTC{sign}{hours}:{minutes:02}" if minutes else f"UTC{sign}{hours}"


def words(zone: tzinfo) -> str:
    """Returns "Europe/Moscow (UTC+3)" with the present offset; "UTC+3" if the zone has no place."""
    offset = offset_words(offset_of(zone))
    return f"{zone.key} ({offset})" if _has_place(zone) else offset


def _has_place(zone: tzinfo) -> TypeGuard[zoneinfo.ZoneInfo]:
    return isinstance(zone, zoneinfo.ZoneInfo) and zone.key != "UTC"


def choices(stored: str) -> list[tuple[str, str]]:
    """Returns (name, words) of each zone to choose from, the stored one too, by present offset."""
    names = {*COMMON, stored} - {""}
    zones = {name: zone for name in names if (zone := find(name)) is not None}
    ordered = sorted(zones, key=lambda name: (offset_of(zones[name]), name))
    return [(name, words(zones[name])) for name in ordered]


def proposed(found: str, *, persons_zone: str, offset: timedelta) -> str:
    """Returns the name of the zone to use until an administrator chooses one.

    `found` is the zone proposed before, `persons_zone` the one in an administrator's profile ("" if
    the profile has none), `offset` the one in the portal's answers. A place that was found once
    stays: past days must not move because a person travels, or because the server's summer time
    differs.
    """
    before = find(found)
    if before is not None and _has_place(before):
        return found
    zone = find(persons_zone)
    if zone is not None and offset_of(zone) == offset:
        return persons_zone
    return fixed_name(offset)
