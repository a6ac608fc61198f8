"""Parses Bitrix24's loose JSON into strict values; raises OutcomeUnknown for an unknown shape.

Ids arrive as numbers or text, flags as "Y" and "N", sums as numbers or text, and an empty object as
`[]`. A list is parsed row by row, so that one unreadable row does not lose the others.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any, TypeVar

from b24app.errors import OutcomeUnknown
from b24app.rest.client import Answer
from b24app.rest.clock import parsed_moment
from b24app.untrusted.numbers import LARGEST_ID, whole
from b24app.untrusted.text import cut
from payments.gateway.types import Rows, UnreadableRow

T = TypeVar("T")

# The rows of a page; the server has no setting for it.
PAGE = 50

# As `start`: the server then neither counts the rows nor returns `next`, which is cheaper.
UNCOUNTED = -1

# Four decimal places, as the portal's columns have; sums are compared and stored in this form.
MONEY_STEP = Decimal("0.0001")
# The digits of this app's columns for sums; no portal can hold a longer sum.
_MONEY = Context(prec=20)
# A sum as PHP writes it: no exponent, no separators, no digits of other alphabets.
_WRITTEN_SUM = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
# The server's currencies have three letters; this app's column has room for ten characters.
_CURRENCY = re.compile(r"[0-9A-Za-z_]{1,10}")

Row = Mapping[str, Any]

logger = logging.getLogger(__name__)


def expect_true(answer: Answer) -> None:
    """Raises OutcomeUnknown unless the answer is `true`. Every accepted write returns that; it does
    not prove that anything was changed."""
    if answer.result is not True:
        raise OutcomeUnknown("true was expected")


def mapping(value: object) -> Row:
    if isinstance(value, Mapping):
        return value
    raise OutcomeUnknown(f"an object was expected, not {type(value).__name__}")


def inside(result: object, key: str) -> Row:
    """Returns the object that `get` methods wrap in one key."""
    return mapping(mapping(result).get(key))


def rows(
    result: object,
    parse: Callable[[Row], T],
    *,
    key: str | None = None,
    parse_unreadable: Callable[[Row], UnreadableRow] | None = None,
) -> Rows[T]:
    """Parses each row of a list, which is the whole result or the value of `key` in it.

    `parse_unreadable` gets a row that `parse` could not read, and returns the part that can be
    read. Raises OutcomeUnknown if the result is not a list.
    """
    if key is not None and result != []:
        result = mapping(result).get(key)
    if not isinstance(result, list):
        raise OutcomeUnknown(f"a list was expected, not {type(result).__name__}")
    read: list[T] = []
    unreadable: list[UnreadableRow] = []
    for row in result:
        try:
            read.append(parse(mapping(row)))
        except OutcomeUnknown as error:
            logger.warning("a row of %d cannot be read: %s", len(result), error)
            is_partial = parse_unreadable is not None and isinstance(row, Mapping)
            unreadable.append(
                parse_unreadable(row) if parse_unreadable and is_partial else UnreadableRow()
            )
    return Rows(tuple(read), tuple(unreadable))


def integer(value: object, *, most: int = LARGEST_ID) -> int:
    """Returns an id: a whole number from 1 to `most`."""
    found = whole(value, least=1, most=most)
    if found is None:
        raise OutcomeUnknown(f"an id was expected, not this {type(value).__name__}")
    return found


def identifier(value: object) -> int | None:
    """Returns an id, or None for null, 0 and "", which the server sends for a missing id."""
    if value is None or value in ("", "0") or (type(value) is int and value == 0):
        return None
    return integer(value)


def sort_order(value: object) -> int:
    """Returns a sort position; 0 if it is missing or cannot be read."""
    return whole(value) or 0


def flag(value: object) -> bool:
    if value == "Y":
        return True
    if value == "N":
        return False
    raise OutcomeUnknown("Y or N was expected")


def money(value: object) -> Decimal:
    """Returns a sum with four decimal places that fits this app's columns."""
    if isinstance(value, str) and _WRITTEN_SUM.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise OutcomeUnknown(f"a sum was expected, not this {type(value).__name__}")
    try:
        sum_ = Decimal(value).quantize(MONEY_STEP, context=_MONEY)
    except InvalidOperation as error:
        raise OutcomeUnknown("a sum that fits was expected") from error
    if not sum_.is_finite():
        raise OutcomeUnknown("a finite sum was expected")
    return sum_ or abs(sum_)  # JSON allows -0, which is shown as a negative sum.


def currency(value: object) -> str:
    """Returns the currency's code. Without it a sum has no meaning, so it must not be missing."""
    if isinstance(value, str) and _CURRENCY.fullmatch(value):
        return value
    raise OutcomeUnknown("a currency was expected")


def moment(value: object) -> datetime | None:
    """Returns an ISO 8601 date with its offset; None for null and ""."""
    if value is None or value == "":
        return None
    found = parsed_moment(value)
    if found is None:
        raise OutcomeUnknown("a date with its offset was expected")
    return found


def text(value: object, longest: int) -> str:
    """Returns the text, cut to the length of its column; "" for null."""
    if value is None:
        return ""
    if isinstance(value, str):
        return cut(value, longest)
    if isinstance(value, int) and not isinstance(value, bool):
        return cut(str(value), longest)  # The server may send an order's number as a number.
    raise OutcomeUnknown(f"text was expected, not {type(value).__name__}")


def text_if_readable(value: object, longest: int) -> str:
    """Like `text`, but returns "" for a value that cannot be read: for optional fields."""
    try:
        return text(value, longest)
    except OutcomeUnknown:
        return ""


def next_page(answer: Answer, *, start: int, page: int) -> int | None:
    """Returns where the next page begins; None after the last page.

    If the answer has a `next` that cannot be read, this is one page after `start`: rows on that
    page must not count as missing.
    """
    if answer.has_more and answer.next is None:
        return start + page
    return answer.next
