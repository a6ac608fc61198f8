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
from payments.models.run import ACTIVE_STATES, OVER_STATES, RowState, Run, RunRow, RunState

__all__ = [
    "ACTIVE_STATES",
    "OPEN_STATES",
    "OVER_STATES",
    "SETTLE_AFTER",
    "STALE_CLAIM",
    "Attempt",
    "AttemptQuerySet",
    "Kind",
    "RowState",
    "Run",
    "RunRow",
    "RunState",
    "State",
]
