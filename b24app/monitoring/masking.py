"""What may be kept of a call and its answer: ids, sums, flags and codes; all else is masked.

A list of what is allowed, because nobody knows all that a portal may send: a person's name, their
phone or a token in a field that is not on it is masked without anybody having thought of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

MASK = "***"
# Values kept of one call or answer: a screen's worth, some ten kilobytes at the most.
VALUES_KEPT = 300
# Names of fields are short, or never get as far as being looked up.
NAMES_REMEMBERED = 1_000
# A list's first rows say what it was like.
ROWS_KEPT = 10
MAX_DEPTH = 12

# Names are compared in lower case, without their signs: "=orderId", "ORDER_ID" and "orderId".
_SIGNS = re.compile(r"[^a-z0-9]")
# What holds a secret or leads to a person, whatever else the name looks like.
_PRIVATE = re.compile(
    r"auth|token|secret|refresh|pass|pwd|key|salt|hash|cert|private|credential|login|sess|sign|"
    r"phone|mail|birth|personal|^uf|^code$"
)
_SUMS = frozenset(
    {"sum", "price", "opportunity", "psstatussum", "pssum", "total", "next", "start", "limit"}
    | {"status", "expiresin", "duration", "operating", "sort", "halt", "count"}
)
_CODES = frozenset(
    {
        "error",
        "status",
        "placement",
        "event",
        "currency",
        "currencyid",
        "actionfile",
        "psmode",
        "scope",
    }
    | {"entityregistrytype", "ownertype", "select", "granttype", "iscash", "stageid"}
)
_ORDERED = frozenset({"asc", "desc"})
_FLAGS = frozenset({"Y", "N"})

_KEY = re.compile(r"[!<>=@%?*~]{0,2}[A-Za-z][A-Za-z_.]{0,39}[0-9]{0,4}|[0-9]{1,12}")
_ID = re.compile(r"-?[0-9]{1,15}")
_SUM = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,8})?")
_ACCOUNT_NUMBER = re.compile(r"[0-9]{1,10}(/[0-9]{1,4})?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?([+-]\d\d:\d\d|Z)?)?")
# Words and short numbers of an interface, parted by signs; a token mixes them without.
_WORD = r"(?:[A-Za-z]+|[0-9]{1,3})"
_CODE = re.compile(rf"{_WORD}(?:[_.:,*-]{_WORD})*")
_CODE_LENGTH = 60
_METHOD = re.compile(r"[a-z]{2,20}(?:\.[a-z]{1,30}){0,6}", re.IGNORECASE)


def masked(value: object) -> Any:
    """A copy for the log, of bounded size, in which only what is on the list can be read."""
    return _Copy().of(value, key="", depth=0)


def method_name(text: str) -> str:
    """A REST method as it may be kept; anything else could be a part of somebody's address."""
    return text.lower() if _METHOD.fullmatch(text) else MASK


def code_word(text: str) -> str:
    """An error's code as it may be kept: a server that is none of Bitrix24's may say anything."""
    return text if _is_code(text) or re.fullmatch(r"HTTP \d{3}|", text) else MASK


class _Copy:
    """One copy, with what is left of its size."""

    def __init__(self) -> None:
        self._left = VALUES_KEPT

    def of(self, value: object, *, key: str, depth: int) -> Any:
        if self._left <= 0 or depth > MAX_DEPTH:
            return MASK
        match value:
            case Mapping():
                return self._mapping(value, depth)
            case list() | tuple():
                rows = [self.of(item, key=key, depth=depth + 1) for item in value[:ROWS_KEPT]]
                return (
                    rows if len(value) <= ROWS_KEPT else [*rows, {"more": len(value) - len(rows)}]
                )
        self._left -= 1
        match value:
            case None | bool():
                return value
            case int() | Decimal():
                return _number(key, value)
            case str():
                return value if _is_kept(key, value) else MASK
        return MASK

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, item in value.items():
            if self._left <= 0:
                kept[MASK] = MASK
                break
            shown = str(name) if _KEY.fullmatch(str(name)) else MASK
            if name == "cmd" and isinstance(item, Mapping):
                kept[shown] = {str(k)[:4]: self._command(str(line)) for k, line in item.items()}
            elif name not in ("time", "result_time"):
                key = str(name) if shown != MASK else ""
                kept[shown] = self.of(item, key=key, depth=depth + 1)
        return kept

    def _command(self, line: str) -> dict[str, Any]:
        """One line of a batch: `method?filter[=id][0]=7`."""
        method, _, query = line.partition("?")
        params: dict[str, Any] = {}
        for path, text in parse_qsl(query, keep_blank_values=True):
            names = [part for part in re.split(r"[\[\]]+", path) if part]
            key = next((name for name in reversed(names) if not name.isdigit()), "")
            shown = ".".join(name if _KEY.fullmatch(name) else MASK for name in names)
            params[shown] = self.of(text, key=key if _KEY.fullmatch(key) else "", depth=0)
        return {"method": method_name(method), **params}


def _number(key: str, value: int | Decimal) -> int | str:
    if not _is_kept(key, str(value)):
        return MASK
    return value if isinstance(value, int) else str(value)


@lru_cache(NAMES_REMEMBERED)
def _compared(key: str) -> str | None:
    """A field's name without its signs, None if it is private; the same few come all the time."""
    name = _SIGNS.sub("", key.lower())
    return None if _PRIVATE.search(name) else name


def _is_kept(key: str, text: str) -> bool:
    name = _compared(key)
    if name is None:
        return False
    if text in _FLAGS:
        return True
    if name.endswith(("id", "ids")) and _ID.fullmatch(text):
        return True
    if name in _SUMS and _SUM.fullmatch(text):
        return True
    if name == "accountnumber":
        return _ACCOUNT_NUMBER.fullmatch(text) is not None
    if name.startswith("date"):
        return _DATE.fullmatch(text) is not None
    if text.lower() in _ORDERED:
        return True
    return name in _CODES and _is_code(text)


def _is_code(text: str) -> bool:
    return len(text) <= _CODE_LENGTH and _CODE.fullmatch(text) is not None
