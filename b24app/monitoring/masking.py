"""Masks a call and its answer for the log: keeps ids, sums, flags and codes, masks everything else.

It works by a list of allowed fields, because the fields that a portal may send are not all known:
a name, a phone number or a token in an unknown field is masked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

MASK = "***"
# Values kept of one call or answer: enough for a screen, ten kilobytes at most.
VALUES_KEPT = 300
# Names of fields that `_compared` caches; longer names than `_KEY` allows never reach it.
NAMES_REMEMBERED = 1_000
# The first rows of a list show what it looked like.
ROWS_KEPT = 10
MAX_DEPTH = 12

# Names are compared in lower case and without signs: "=orderId", "ORDER_ID" and "orderId" are the
# same.
_SIGNS = re.compile(r"[^a-z0-9]")
# A name with one of these may hold a secret or personal data; it is masked in any case.
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
# Words and short numbers, separated by signs; a token mixes letters and digits without signs.
_WORD = r"(?:[A-Za-z]+|[0-9]{1,3})"
_CODE = re.compile(rf"{_WORD}(?:[_.:,*-]{_WORD})*")
_CODE_LENGTH = 60
_METHOD = re.compile(r"[a-z]{2,20}(?:\.[a-z]{1,30}){0,6}", re.IGNORECASE)


def masked(value: object) -> Any:
    """Returns a copy for the log, of bounded size, with all but the allowed values masked."""
    return _Copy().of(value, key="", depth=0)


def method_name(text: str) -> str:
    """Returns a REST method in lower case; masks other text, which could be a part of a secret."""
    return text.lower() if _METHOD.fullmatch(text) else MASK


def code_word(text: str) -> str:
    """Returns an error code; masks other text, because any server may have sent it."""
    return text if _is_code(text) or re.fullmatch(r"HTTP \d{3}|", text) else MASK


class _Copy:
    """Makes one masked copy of bounded size."""

    def __init__(self) -> None:
        self._left = VALUES_KEPT  # values that may still be copied

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
        """Masks one command of a batch: `method?filter[=id][0]=7`."""
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
    """Returns a field's name without signs, in lower case; None for a private name."""
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
