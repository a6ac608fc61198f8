"""Recognizes the settings of a pay system that are secrets."""

from __future__ import annotations

import re

MASK = "••••••••"

# Matches names of providers' settings such as API_KEY, shopPassword, SIGN_SALT, CLIENT_SECRET.
_SECRET_NAME = re.compile(
    r"(?<!PROVIDER_)key|secret|pass|pwd|\bpin\b|(?<=_)pin\b|token|sign|salt|hash|private|cert|credential|auth|login",
    re.IGNORECASE,
)
# Many letters and digits without a space are a key, whatever the setting's name.
_SECRET_VALUE = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9])[A-Za-z0-9+/=_-]{16,}")


def is_secret(name: str, value: str = "") -> bool:
    return bool(_SECRET_NAME.search(name) or _SECRET_VALUE.fullmatch(value))
