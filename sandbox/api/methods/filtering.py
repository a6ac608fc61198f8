"""Builds filter conditions as the ORM does: operator before the name, typed comparison."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.wire.loose import to_decimal, to_int, to_moment, to_text

_OPERATOR = re.compile(r"(!?(?:\+|>=|>|<=|<|@|=%|%=|%|\?|\*=|\*%|\*|=)?)(.*)", re.DOTALL)

_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
_equals: Callable[[Any, Any], bool] = operator.eq
_EQUAL = frozenset({"", "=", "@"})
_LIKE = frozenset({"=%", "%="})
_CONTAINS = "%"
_LIKE_PARTS = re.compile(r"\\.|.", re.DOTALL)
_WILDCARDS = {"%": ".*", "_": "."}
KNOWN = _EQUAL | _LIKE | set(_ORDERINGS) | {_CONTAINS}


def split_operator(name: str) -> tuple[str, str]:
    """Returns (">=", "id") for `>=id`."""
    found = _OPERATOR.fullmatch(name)
    return (found[1], found[2]) if found else ("", name)


def is_known(symbol: str) -> bool:
    """Whether the ORM has this operator; the old database layer had a few more."""
    return symbol.removeprefix("!") in KNOWN


def condition(symbol: str, wanted: Any) -> Callable[[Any], bool]:
    """Returns a test for a column's value; an array matches any of its elements."""
    if symbol.startswith("!"):
        passes = condition(symbol[1:], wanted)
        return lambda actual: not passes(actual)
    if isinstance(wanted, dict):
        wanted = list(wanted.values())
    if isinstance(wanted, list):
        return _any_of(wanted)
    if symbol in ("=", "@"):
        return _any_of([wanted])
    return lambda actual: _compare(actual, symbol, wanted)


def _any_of(wanted: list[Any]) -> Callable[[Any], bool]:
    by_type: dict[type, set[Any]] = {}

    def passes(actual: Any) -> bool:
        if actual is None:
            return any(item in (None, "") for item in wanted)
        kind = type(actual)
        if kind not in by_type:
            by_type[kind] = {_comparable(_as_type_of(actual, item)) for item in wanted}
        return _comparable(actual) in by_type[kind]

    return passes


def _compare(actual: Any, symbol: str, wanted: Any) -> bool:
    if actual is None or wanted is None:
        return symbol in _EQUAL and actual in (None, "") and wanted in (None, "")
    if symbol == _CONTAINS:
        return to_text(wanted).casefold() in to_text(actual).casefold()
    if symbol in _LIKE or (symbol == "" and isinstance(actual, str)):
        return _is_like(to_text(actual), to_text(wanted))
    typed = _as_type_of(actual, wanted)
    if typed is None:
        return False
    return _ORDERINGS.get(symbol, _equals)(_comparable(actual), _comparable(typed))


def _comparable(value: Any) -> Any:
    """Folds case: the database compares text case-insensitively."""
    return value.casefold() if isinstance(value, str) else value


def _as_type_of(actual: Any, wanted: Any) -> Any:
    if isinstance(actual, bool | int):
        return to_int(wanted)
    if isinstance(actual, Decimal):
        return to_decimal(wanted)
    if isinstance(actual, datetime):
        return to_moment(wanted)
    return to_text(wanted)


def _is_like(text: str, pattern: str) -> bool:
    """MySQL's LIKE: the ORM passes % and _ on; a backslash makes one literal."""
    expression = "".join(
        re.escape(part[-1]) if len(part) > 1 else _WILDCARDS.get(part, re.escape(part))
        for part in _LIKE_PARTS.findall(pattern)
    )
    return re.fullmatch(expression, text, re.IGNORECASE | re.DOTALL) is not None
