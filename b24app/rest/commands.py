"""Writes the commands of a `batch`, and remembers which methods a portal refuses in one.

https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache

# A method that was refused inside a batch is called alone for this long; an update of Bitrix24 may
# allow it again.
ALONE_SECONDS = 24 * 3600

# In a batch Bitrix24 replaces a value of this form with the answer to another command.
_REFERENCE = re.compile(r"\$(result|next|total|error|time)\[")


@dataclass(frozen=True)
class ResultOf:
    """A value in the answer to an earlier command of the same batch.

    Only for reads: if the path does not exist, the portal inserts a wrong value without an error.
    """

    path: str  # such as "[orders][0][id]"


def referring(params: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Returns the parameters with each ResultOf written as a reference to the command `key`."""
    return {
        name: f"$result[{key}]{value.path}" if isinstance(value, ResultOf) else value
        for name, value in params.items()
    }


def command(method: str, params: Mapping[str, Any]) -> str:
    """Returns `method?query`, nested as PHP's parse_str reads it: `filter[=id][0]=7`."""
    return f"{method}?{urlencode(list(_pairs(params)))}"


def has_reference(params: Mapping[str, Any]) -> bool:
    """Whether a value looks like a reference: in a batch it would be replaced, so call it alone."""
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
                raise TypeError(f"{type(value).__name__} cannot be sent in a call")


def refused_in_batch(endpoint: str) -> frozenset[str]:
    """Returns the methods that this portal is known to refuse inside a batch."""
    found: frozenset[str] = cache.get(_alone_key(endpoint), frozenset())
    return found


def remember_refused(endpoint: str, method: str) -> None:
    """Remembers that this portal refuses the method inside a batch."""
    cache.set(_alone_key(endpoint), refused_in_batch(endpoint) | {method}, ALONE_SECONDS)


def _alone_key(endpoint: str) -> str:
    return f"b24app.commands.alone.{sha256(endpoint.encode()).hexdigest()}"
