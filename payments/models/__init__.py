"""What we keep of payments: the working rows here, what is proved of them in the ledger."""

from __future__ import annotations

from payments.models.attempt import (
    OPEN_STATES,
    SETTLE_AFTER,
    STALE_CLAIM,
    Attempt,
    AttemptQuerySet,
    Kind,
    State,
)

__all__ = [
    "OPEN_STATES",
    "SETTLE_AFTER",
    "STALE_CLAIM",
    "Attempt",
    "AttemptQuerySet",
    "Kind",
    "State",
]
