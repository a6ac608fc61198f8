"""Bounds numbers from outside, so that each fits its column."""

from __future__ import annotations

import re

# Bitrix24's ids have 32 bits and our columns 63, so 18 digits always fit.
LARGEST_ID = 10**18 - 1
_DIGITS = re.compile(r"[0-9]{1,18}")


def whole(value: object, *, least: int = 0, most: int = LARGEST_ID) -> int | None:
    """Returns `value` as a whole number from `least` to `most`.

    Accepts an int or a text of decimal digits. Returns None for everything else: True and False,
    fractions, signs, digits other than 0-9.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if least <= value <= most else None
