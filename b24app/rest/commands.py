"""Commands of a `batch` as Bitrix24 reads them: a method and its parameters in one line; and which
methods a portal does not take there.

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

# For how long a method that is refused inside a batch goes alone; an update may allow it again.
ALONE_SECONDS = 24 * 3600

# Inside a batch, a value of this form is replaced with another command's answer.
_REFERENCE = re.compile(r"\$(result|next|total|error|time)\[")


@dataclass(frozen=True)
class ResultOf:
    """A value out of the answer to an earlier command of the same batch: `[orders][0][id]`.

    For reads alone. Where the path leads nowhere, a portal puts in a wrong value and says nothing.
    """

    path: str


def referring(params: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The parameters with each `ResultOf` written as a reference to the command under `key`."""
    return {
        name: f"$result[{key}]{value.path}" if isinstance(value, ResultOf) else value
        for name, value in params.items()
    }


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


def refused_in_batch(endpoint: str) -> frozenset[str]:
    """The methods that this portal is known to refuse inside a batch."""
    found: frozenset[str] = cache.get(_alone_key(endpoint), frozenset())
    return found


def remember_refused(endpoint: str, method: str) -> None:
    cache.set(_alone_key(endpoint), refused_in_batch(endpoint) | {method}, ALONE_SECONDS)


def _alone_key(endpoint: str) -> str:
    return f"b24app.commands.alone.{sha256(endpoint.encode()).hexdigest()}"
