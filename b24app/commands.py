"""Commands of a `batch` as Bitrix24 reads them: a method and its parameters in one line.

https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

# Inside a batch, a value of this form is replaced with another command's answer.
_REFERENCE = re.compile(r"\$(result|next|total|error|time)\[")


def command(method: str, params: Mapping[str, Any]) -> str:
    """`method?query`, nested the way PHP's parse_str undoes: `filter[=id][0]=7`."""
    return f"{method}?{urlencode(list(_pairs(params)))}"


def has_reference(params: Mapping[str, Any]) -> bool:
    """Whether a batch would read something in these values that is not meant: call them alone."""
    return any(_REFERENCE.search(value) for _, value in _pairs(params))


def _pairs(params: Mapping[Any, Any], within: str = "") -> Iterator[tuple[str, str]]:
    for key, value in params.items():
        name = f"{within}[{key}]" if within else str(key)
        match value:
            case None:
                continue
            case bool():
                yield name, "1" if value else "0"
            case str() | int() | Decimal():
                yield name, str(value)
            case Mapping():
                yield from _pairs(value, name)
            case list() | tuple():
                yield from _pairs(dict(enumerate(value)), name)
            case _:
                raise TypeError(f"{type(value).__name__} has no place in a call")
