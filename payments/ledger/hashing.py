"""What seals an entry of the ledger: one way to write facts down, and the hash over it.

Nothing here sees the database, so whoever holds a copy of the chain can check it by these rules.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

# Before the first entry of a portal there is none.
GENESIS = "0" * 64

# As many random bytes as the digest has: nobody finds out an erased name by trying names.
_SALT_BYTES = 32


def plain(value: Any) -> Any:
    """The value as it is kept: sums and moments as text, so that what comes back from any database
    is what was sealed. A float is text too, for no two programs need write it alike."""
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
    """Without what PostgreSQL's JSON or UTF-8 has no place for, and a portal may send all the same:
    an outcome must not be lost for a letter."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, no space and no escapes, in UTF-8."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def salted(texts: Mapping[str, Any]) -> dict[str, Any]:
    return {**plain(texts), "salt": secrets.token_hex(_SALT_BYTES)}


def digest_of(texts: Mapping[str, Any] | None) -> str:
    """Empty where there are no texts."""
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
    """SHA-256, in hexadecimal, over all of an entry but its texts, which stand in it by digest."""
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
