"""Which values of a pay system's settings are secrets, and how they are shown: not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "••••••••"

# In the names that merchants' interfaces have: API_KEY, shopPassword, SIGN_SALT, CLIENT_SECRET.
_SECRET_NAME = re.compile(
    r"(?<!PROVIDER_)key|secret|pass|pwd|\bpin\b|(?<=_)pin\b|token|sign|salt|hash|private|cert|credential|auth|login",
    re.IGNORECASE,
)
# A long run of letters and digits without a space is a key, whatever its name says.
_SECRET_VALUE = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9])[A-Za-z0-9+/=_-]{16,}")


def is_secret(name: str, value: str = "") -> bool:
    return bool(_SECRET_NAME.search(name) or _SECRET_VALUE.fullmatch(value))


def masked(value: Any, *, name: str = "") -> Any:
    """A copy of a JSON value in which secrets are MASK; an empty one stays empty.

    A setting {TYPE, VALUE} is judged by its code, and so is what a handler begins with, {DEFAULT:
    {PROVIDER_KEY, PROVIDER_VALUE}}. The names of what a handler will ask for are no secrets: only
    values are.
    """
    if isinstance(value, Mapping):
        return {key: masked(inner, name=_judged_by(str(key), name)) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, name=name) for inner in value]
    if value in (None, "") or isinstance(value, bool):
        return value
    return MASK if is_secret(name, str(value)) else value


def _judged_by(key: str, outer: str) -> str:
    """The name that says whether a value is a secret: of some keys, that of the object they are
    in."""
    return outer if key in ("VALUE", "DEFAULT", "PROVIDER_VALUE") and outer else key
