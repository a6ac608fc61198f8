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
from payments.models.comment import Comment
from payments.models.entry import AppendOnly, Entry

__all__ = [
    "OPEN_STATES",
    "SETTLE_AFTER",
    "STALE_CLAIM",
    "AppendOnly",
    "Attempt",
    "AttemptQuerySet",
    "Comment",
    "Entry",
    "Kind",
    "State",
]
