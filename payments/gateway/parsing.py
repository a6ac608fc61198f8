"""Parses Bitrix24's loose JSON into strict values; raises OutcomeUnknown for an unknown shape.

Ids arrive as numbers here and as text there, flags as "Y" and "N", sums as numbers or text, and an
empty object as `[]`. A list is read row by row: one row that cannot be read spoils no other.
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

# As many places as the portal's own columns have; compared and kept in this form.
MONEY_STEP = Decimal("0.0001")
# As many digits in all as our columns for sums have; no portal can hold a longer sum.
_MONEY = Context(prec=20)
# As PHP writes a sum into text: no exponent, no separators, no digits of other alphabets.
_WRITTEN_SUM = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
# The server's currencies have three letters; ours has room for ten characters.
_CURRENCY = re.compile(r"[0-9A-Za-z_]{1,10}")

Row = Mapping[str, Any]

logger = logging.getLogger(__name__)


def expect_true(answer: Answer) -> None:
    """Raises OutcomeUnknown unless the answer is `true`, which every understood write returns and
    which proves nothing."""
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
    known: Callable[[Row], UnreadableRow] | None = None,
) -> Rows[T]:
    """Parses the rows of a list answer, under one key or bare, each by itself.

    `known` tells what can be read of a row that `parse` has refused. Raises OutcomeUnknown where
    the answer is no list.
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
            is_known = known is not None and isinstance(row, Mapping)
            unreadable.append(known(row) if known and is_known else UnreadableRow())
    return Rows(tuple(read), tuple(unreadable))


def integer(value: object, *, most: int = LARGEST_ID) -> int:
    """An id: a whole number from 1 on."""
    found = whole(value, least=1, most=most)
    if found is None:
        raise OutcomeUnknown(f"an id was expected, not this {type(value).__name__}")
    return found


def identifier(value: object) -> int | None:
    """An id that may be missing; the server sends null, 0 or an empty string then."""
    if value is None or value in ("", "0") or (type(value) is int and value == 0):
        return None
    return integer(value)


def place(value: object) -> int:
    """A place in an order of sorting: 0 where it is missing or cannot be read."""
    return whole(value) or 0


def flag(value: object) -> bool:
    if value == "Y":
        return True
    if value == "N":
        return False
    raise OutcomeUnknown("Y or N was expected")


def money(value: object) -> Decimal:
    """A sum with four places, in our columns' range, never a negative zero."""
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
    return sum_ or abs(sum_)  # JSON has a zero with a minus, and nobody owes that.


def currency(value: object) -> str:
    """The code of a currency; a sum without one is no sum of money."""
    if isinstance(value, str) and _CURRENCY.fullmatch(value):
        return value
    raise OutcomeUnknown("a currency was expected")


def moment(value: object) -> datetime | None:
    """ISO 8601 with its offset, or nothing."""
    if value is None or value == "":
        return None
    found = parsed_moment(value)
    if found is None:
        raise OutcomeUnknown("a date with its offset was expected")
    return found


def text(value: object, longest: int) -> str:
    """Text for a column of that length; what is longer is cut."""
    if value is None:
        return ""
    if isinstance(value, str):
        return cut(value, longest)
    if isinstance(value, int) and not isinstance(value, bool):
        return cut(str(value), longest)  # An order's number that looks like one.
    raise OutcomeUnknown(f"text was expected, not {type(value).__name__}")


def text_if_known(value: object, longest: int) -> str:
    """As `text`, empty where it cannot be read: for what a row can do without."""
    try:
        return text(value, longest)
    except OutcomeUnknown:
        return ""


def next_page(answer: Answer, *, start: int, page: int) -> int | None:
    """Where the next page begins. An answer that names one, but not readably, goes on a page
    further: what comes there must not be taken for missing."""
    if answer.has_more and answer.next is None:
        return start + page
    return answer.next
