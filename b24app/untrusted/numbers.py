"""Bounds numbers that come from outside, so that every one of them fits its column."""

from __future__ import annotations

import re

# Bitrix24's ids have 32 bits; our columns have 63. 18 digits always fit.
LARGEST_ID = 10**18 - 1
_DIGITS = re.compile(r"[0-9]{1,18}")


def whole(value: object, *, least: int = 0, most: int = LARGEST_ID) -> int | None:
    """Returns a whole number between `least` and `most`, sent as a number or as decimal digits.

    Returns None for everything else: True and False, fractions, signs, other digits than 0-9.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if least <= value <= most else None
