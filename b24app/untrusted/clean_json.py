"""Parses JSON that a portal or the OAuth server sent: cleans its texts and bounds its numbers.

Every answer is parsed here, so no later code has to clean or bound anything.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from b24app.untrusted.text import cleaned

# The largest sum that fits a column has 20 digits, and PHP writes a float with 17.
_DIGITS_KEPT = 40
# A float of 64 bits ends at 10^308.
_LARGEST_EXPONENT = 400

# The characters that `cleaned` replaces, as JSON escapes them and as UTF-8 encodes them. Searching
# the bytes costs a tenth of walking through the parsed answer, so an answer is walked through only
# if the search finds one.
_HIGH, _LOW = rb"[dD][89abAB][0-9a-fA-F]{2}", rb"[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPED = re.compile(
    rb"\\(?:[bf]|u(?:00[01789][0-9a-fA-F]|20(?:2[a-eA-E]|6[6-9])|[fF]{3}[eEfF]"
    rb"|%s(?!\\u%s)|%s(?<!\\u%s\\u%s)))" % (_HIGH, _LOW, _LOW, _HIGH, _LOW)
)
_ENCODED = re.compile(
    rb"\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]|\xef\xbf[\xbe\xbf]"
)


class OversizedNumber:
    """Replaces a number with more digits than any id or sum.

    It is neither an int, a Decimal nor a str, so no parser mistakes it for one.
    """

    def __repr__(self) -> str:
        return "OversizedNumber"


def loads(body: bytes) -> Any:
    """Returns the parsed answer; fractions are Decimal.

    Replaces bytes that are not UTF-8 with U+FFFD. Raises ValueError if the body is not JSON,
    RecursionError if it is nested too deeply.
    """
    value = json.loads(
        body.decode("utf-8-sig", "replace"),
        parse_int=_integer,
        parse_float=_decimal,
        parse_constant=_not_json,
    )
    return _with_clean_texts(value) if _may_be_unsafe(body) else value


def _may_be_unsafe(body: bytes) -> bool:
    # The parser refuses other raw control characters, which are not valid JSON.
    if _ESCAPED.search(body) or b"\x7f" in body:
        return True
    return not body.isascii() and _ENCODED.search(body) is not None


def _with_clean_texts(value: Any) -> Any:
    """Cleans keys and values in place. Does not recurse, because nesting can be deep."""
    if isinstance(value, str):
        return cleaned(value)
    containers: list[Any] = [value] if isinstance(value, dict | list) else []
    while containers:
        container = containers.pop()
        pairs: list[tuple[Any, Any]]
        if isinstance(container, dict):
            pairs = [(cleaned(key), item) for key, item in container.items()]
            container.clear()
        else:
            pairs = list(enumerate(container))
        for key, item in pairs:
            container[key] = cleaned(item) if isinstance(item, str) else item
            if isinstance(item, dict | list):
                containers.append(item)
    return value


def _integer(digits: str) -> int | OversizedNumber:
    return int(digits) if len(digits) <= _DIGITS_KEPT else OversizedNumber()


def _decimal(digits: str) -> Decimal | OversizedNumber:
    if len(digits) > _DIGITS_KEPT:
        return OversizedNumber()
    try:
        number = Decimal(digits)
    except InvalidOperation:  # The exponent is too large even for Decimal.
        return OversizedNumber()
    if not number:
        return Decimal(0)  # Drops the sign of -0, and up to a million decimal places.
    return number if abs(number.adjusted()) <= _LARGEST_EXPONENT else OversizedNumber()


def _not_json(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
