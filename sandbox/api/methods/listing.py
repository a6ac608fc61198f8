"""Selects, filters, orders and pages lists as the sale controllers do.

The server ignores unknown names without an error, even in a filter: a misspelt filter returns all
rows. Names are camelCase; `ORDER_ID` is unknown.
See `sale/lib/rest/entity/base.php` and `main/lib/text/stringhelper.php` of the server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sandbox.api.methods.filtering import condition, is_known, split_operator
from sandbox.api.methods.refusals import wrong_argument
from sandbox.api.registry import PAGE, Listed, RestError
from sandbox.wire.loose import mapping, to_int, to_moment, to_text

Row = TypeVar("Row")

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])|(?<=[a-z])(?=[0-9])")
_DATES = ("date", "datetime")

UNCOUNTED = -1  # the start of a list without total and next


@dataclass(frozen=True)
class Field(Generic[Row]):
    """A column: its value in a row, and its description in getFields."""

    type: str
    get: Callable[[Row], Any]
    read_only: bool = False
    required: bool = False
    immutable: bool = False

    def description(self) -> dict[str, Any]:
        return {
            "isImmutable": self.immutable,
            "isReadOnly": self.read_only,
            "isRequired": self.required,
            "type": self.type,
        }


def page_of(
    rows: Iterable[Row],
    params: dict[str, Any],
    *,
    fields: Mapping[str, Field[Row]],
    default_order: str,
    shown: Callable[[Any], Any],
    envelope: str,
) -> Listed:
    """Returns a page of rows as `{envelope: [...]}`; `shown` converts a value for the response."""
    kept = ordered(
        filtered(rows, argument(params, "filter"), fields),
        argument(params, "order") or {default_order: "ASC"},
        fields,
    )
    columns = _select(params, fields) or list(fields)
    page, total, following = paged(kept, params)
    result = [{name: shown(fields[name].get(row)) for name in sorted(columns)} for row in page]
    return Listed({envelope: result}, total, following)


def paged(rows: list[Row], params: dict[str, Any]) -> tuple[list[Row], int | None, int | None]:
    """Returns the page at `start`, total and next; total and next are None for `start=-1` alone."""
    start = to_int(params.get("start", 0))
    if start == UNCOUNTED:
        return rows[:PAGE], None, None
    offset = max(start, 0) // PAGE * PAGE
    following = offset + PAGE if len(rows) > offset + PAGE else None
    return rows[offset : offset + PAGE], len(rows), following


def descriptions(fields: Mapping[str, Field[Any]]) -> dict[str, Any]:
    return {name: fields[name].description() for name in sorted(fields)}


def argument(params: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns an array argument, {} if it is missing. Raises RestError for anything else."""
    value = params.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict | list):
        raise wrong_argument(name, value, "array")
    return mapping(value)


def filtered(
    rows: Iterable[Row],
    conditions: dict[str, Any],
    fields: Mapping[str, Field[Row]],
    *,
    unknown: Callable[[str], RestError] | None = None,
) -> list[Row]:
    """Returns the rows that meet every condition.

    Ignores unparsable dates and unknown names; with `unknown`, raises its error for such a name.
    """
    names = by_column(fields)
    kept = list(rows)
    for raw, value in conditions.items():
        symbol, spelled = split_operator(raw)
        name = names.get(column_of(spelled))
        if name is None and unknown is not None:
            raise unknown(column_of(spelled))
        if name is None or (fields[name].type in _DATES and to_moment(value) is None):
            continue
        if not is_known(symbol):
            raise RestError(0, f"Unknown field definition `{symbol}{column_of(spelled)}`")
        get = fields[name].get
        passes = condition(symbol, value)
        kept = [row for row in kept if passes(get(row))]
    return kept


def ordered(rows: list[Row], order: dict[str, Any], fields: Mapping[str, Field[Row]]) -> list[Row]:
    """Sorts by the columns of `order`, the first one first; nulls come first."""
    names = by_column(fields)
    for spelled, direction in reversed(order.items()):
        name = names.get(column_of(spelled))
        if name is not None:
            descending = to_text(direction).upper() == "DESC"
            rows = _sorted(rows, fields[name].get, descending=descending)
    return rows


def by_column(fields: Mapping[str, Field[Any]]) -> dict[str, str]:
    return {column_of(name): name for name in fields}


def column_of(name: str) -> str:
    """Returns ORDER_ID for `orderId`; for ORDER_ID, a name that no column has."""
    return _CAPITAL.sub("_", name).upper()


def _select(params: dict[str, Any], fields: Mapping[str, Field[Any]]) -> list[str]:
    names = by_column(fields)
    spelled = [to_text(name) for name in argument(params, "select").values()]
    if "*" in spelled:
        return []
    return [names[column_of(name)] for name in spelled if column_of(name) in names]


def _sorted(rows: list[Row], get: Callable[[Row], Any], *, descending: bool) -> list[Row]:
    def key(row: Row) -> tuple[bool, Any]:
        value = get(row)
        return value is not None, value

    return sorted(rows, key=key, reverse=descending)
