"""Computes the hash of a ledger entry over a canonical form of its content.

Uses no database: a copy of the chain can be verified by this module alone.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

# The `previous` of a portal's first entry.
GENESIS = "0" * 64

# As many random bytes as the digest has, so that an erased name cannot be found by trying names.
_SALT_BYTES = 32


def plain(value: Any) -> Any:
    """Returns the value in the form that is stored and hashed.

    Sums and dates become text, so that every database returns exactly what was hashed. So do
    floats, which two programs may write differently.
    """
    match value:
        case bool() | int() | None:
            return value
        case str():
            return _storable(value)
        case datetime():
            return moment(value)
        case date():
            return value.isoformat()
        case Mapping():
            return {_storable(str(key)): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case Decimal():
            return format(value, "f")
        case _:
            return _storable(str(value))


def _storable(text: str) -> str:
    """Replaces characters that PostgreSQL's JSON or UTF-8 cannot store. A portal may send them, and
    an outcome must not be lost because of one character."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def canonical(value: Any) -> bytes:
    """Returns JSON with sorted keys, no spaces and no escapes, in UTF-8."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def salted(texts: Mapping[str, Any]) -> dict[str, Any]:
    return {**plain(texts), "salt": secrets.token_hex(_SALT_BYTES)}


def digest_of(texts: Mapping[str, Any] | None) -> str:
    """Returns the SHA-256 of the texts in hexadecimal; "" if there are no texts."""
    return "" if texts is None else hashlib.sha256(canonical(texts)).hexdigest()


def seal(
    *,
    member_id: str,
    number: int,
    at: datetime,
    event: str,
    attempt_id: int | None,
    actor_id: int | None,
    facts: Mapping[str, Any],
    texts_digest: str,
    previous: str,
) -> str:
    """Returns the SHA-256, in hexadecimal, of an entry with the digest of its texts."""
    sealed = {
        "portal": member_id,
        "number": number,
        "at": moment(at),
        "event": event,
        "attempt": attempt_id,
        "actor": actor_id,
        "facts": facts,
        "texts_digest": texts_digest,
        "previous": previous,
    }
    return hashlib.sha256(canonical(sealed)).hexdigest()
