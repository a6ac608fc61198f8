"""Converts values as PHP does: emptiness, integers, text, dates, flags."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

# PHP's default time zone: a server writes and reads all times of one request in it.
EAST = timezone(timedelta(hours=3))  # not UTC: a program that drops the offset fails its tests
_server_zone: ContextVar[tzinfo] = ContextVar("server_zone", default=EAST)

_LEADING_INTEGER = re.compile(r"\s*([+-]?[0-9]+)", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}")
_INTEGER_DIGITS = 19  # those of 2 ** 63, PHP's first number that is no integer
_BEYOND_INTEGERS = 2**63


def server_zone() -> tzinfo:
    return _server_zone.get()


@contextmanager
def in_zone(zone: tzinfo) -> Iterator[None]:
    """Writes and reads times in this zone, as a server with that PHP setting does."""
    before = _server_zone.set(zone)
    try:
        yield
    finally:
        _server_zone.reset(before)


def is_empty(value: Any) -> bool:
    """`empty()`: null, "", "0", 0, 0.0, false and an array without elements."""
    return value in (None, "", "0", 0, False) or value in ([], {})


def is_given(params: dict[str, Any], name: str) -> bool:
    """`isset()`: there, and not null."""
    return params.get(name) is not None


def to_int(value: Any) -> int:
    """`(int)`: the digits a string begins with, else 0; an array is 1 unless empty.

    A number of more than 64 bits wraps around, digits stop at the largest integer.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return 0
    if isinstance(value, bool | int | float | Decimal):
        return (int(value) + _BEYOND_INTEGERS) % (2 * _BEYOND_INTEGERS) - _BEYOND_INTEGERS
    if isinstance(value, str):
        found = _LEADING_INTEGER.match(value)
        return _saturated(found[1]) if found else 0
    return 1 if value else 0


def _saturated(digits: str) -> int:
    # One digit more than 64 bits have is enough; Python refuses to convert thousands.
    magnitude = int(digits.lstrip("+-").lstrip("0")[: _INTEGER_DIGITS + 1] or "0")
    number = -magnitude if digits.startswith("-") else magnitude
    return max(-_BEYOND_INTEGERS, min(number, _BEYOND_INTEGERS - 1))


def number_in(text: str) -> int | None:
    """Returns the number that a text writes in ASCII digits alone, up to nine of them."""
    return int(text) if _NUMBER.fullmatch(text) else None


def to_decimal(value: Any) -> Decimal:
    """Returns a sum exactly as written; 0 for text that is no number."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
    return amount if amount.is_finite() else Decimal(0)


def to_text(value: Any) -> str:
    if value is True:
        return "1"
    if value is None or value is False:
        return ""
    return "Array" if isinstance(value, dict | list) else str(value)


def to_moment(value: Any) -> datetime | None:
    """Parses a client's date and time; without an offset it is in the portal's time zone.

    Returns None for other text, and for a time that is in no year from 1 to 9999 there.
    """
    try:
        moment = datetime.fromisoformat(to_text(value))
        if not moment.tzinfo:
            moment = moment.replace(tzinfo=server_zone())
        moment.astimezone(server_zone()).astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return moment


def flag(value: bool) -> str:
    return "Y" if value else "N"


def mapping(value: Any) -> dict[str, Any]:
    """Returns an array parameter by its keys: to PHP a list is a map too."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return {str(place): item for place, item in enumerate(value)}
    return {}


def upper_keys(value: Any, *, deep: bool = True) -> Any:
    """Returns the value with keys in upper case, on every level if `deep`; the last of two wins."""
    if isinstance(value, dict):
        return {
            str(name).upper(): upper_keys(item) if deep else item for name, item in value.items()
        }
    if isinstance(value, list) and deep:
        return [upper_keys(item) for item in value]
    return value


def moment_text(moment: datetime | None) -> str | None:
    """ISO 8601 with the portal's offset, to the second."""
    return None if moment is None else moment.astimezone(server_zone()).isoformat("T", "seconds")


def now_at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)
