"""Bitrix24's loose JSON into strict values; a shape nobody has seen is an unknown outcome.

Ids are numbers here and strings there, flags are "Y" and "N", sums are numbers or text, and an
empty object arrives as `[]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from b24app.client import Answer
from b24app.errors import OutcomeUnknown

# As many places as the portal's own columns have; compared and kept in this form.
MONEY_STEP = Decimal("0.0001")
# And as many digits in all as our own column has; no portal can hold a longer sum.
_MONEY = Context(prec=20)

Row = Mapping[str, Any]


def expect_true(answer: Answer) -> None:
    """What every write answers that was understood, and that proves nothing else."""
    if answer.result is not True:
        raise OutcomeUnknown("true was expected")


def mapping(value: object) -> Row:
    if isinstance(value, Mapping):
        return value
    raise OutcomeUnknown(f"an object was expected, not {type(value).__name__}")


def inside(result: object, key: str) -> Row:
    """The object that `get` methods wrap in one key."""
    return mapping(mapping(result).get(key))


def listed(result: object, key: str | None = None) -> list[Row]:
    """The rows of a list answer: under one key, or bare."""
    if key is not None and result != []:
        result = mapping(result).get(key)
    if not isinstance(result, list):
        raise OutcomeUnknown(f"a list was expected, not {type(result).__name__}")
    return [mapping(row) for row in result]


def integer(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isdecimal() and value.isascii():
        return int(value)
    raise OutcomeUnknown(f"a whole number was expected, not {type(value).__name__}")


def identifier(value: object) -> int | None:
    """An id that may be missing; the server says null, 0 or an empty string then."""
    return None if value in (None, "", 0, "0") else integer(value)


def flag(value: object) -> bool:
    if value == "Y":
        return True
    if value == "N":
        return False
    raise OutcomeUnknown("Y or N was expected")


def money(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str | float):
        raise OutcomeUnknown(f"a sum was expected, not {type(value).__name__}")
    try:
        sum_ = Decimal(str(value)).quantize(MONEY_STEP, context=_MONEY)
    except InvalidOperation as error:
        raise OutcomeUnknown("a sum was expected") from error
    if not sum_.is_finite():
        raise OutcomeUnknown("a finite sum was expected")
    return sum_ or abs(sum_)  # JSON has a zero with a minus, and nobody owes that.


def moment(value: object) -> datetime | None:
    """ISO 8601 with its offset, or nothing."""
    if value in (None, ""):
        return None
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise OutcomeUnknown("a date was expected") from error
    if found.tzinfo is None:
        raise OutcomeUnknown("a date with an offset was expected")
    return found


def moment_if_known(value: object) -> datetime | None:
    """As `moment`; None also where it is not understood, for what a payment can do without."""
    try:
        return moment(value)
    except OutcomeUnknown:
        return None


def text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # An order's number that looks like one.
    raise OutcomeUnknown(f"text was expected, not {type(value).__name__}")
