"""The tables: attempts, approvals, ledger entries, comments, bulk runs, policies and erasures."""

from __future__ import annotations

from payments.models.approval import (
    APPROVAL_LASTS,
    LIVE_STATES,
    NOTE_LENGTH,
    Approval,
    ApprovalState,
)
from payments.models.attempt import (
    OPEN_STATES,
    SETTLE_AFTER,
    STALE_CLAIM,
    Attempt,
    AttemptQuerySet,
    Kind,
    State,
    folded,
)
from payments.models.comment import Comment
from payments.models.entry import AppendOnly, Entry
from payments.models.erasure import Erasure
from payments.models.policy import MAX_UNDO_HOURS, Limit, Policy, Who
from payments.models.run import (
    ACTIVE_STATES,
    MOST_PAYMENTS,
    OVER_STATES,
    RowState,
    Run,
    RunRow,
    RunState,
)

__all__ = [
    "ACTIVE_STATES",
    "APPROVAL_LASTS",
    "LIVE_STATES",
    "MAX_UNDO_HOURS",
    "MOST_PAYMENTS",
    "NOTE_LENGTH",
    "OPEN_STATES",
    "OVER_STATES",
    "SETTLE_AFTER",
    "STALE_CLAIM",
    "AppendOnly",
    "Approval",
    "ApprovalState",
    "Attempt",
    "AttemptQuerySet",
    "Comment",
    "Entry",
    "Erasure",
    "Kind",
    "Limit",
    "Policy",
    "RowState",
    "Run",
    "RunRow",
    "RunState",
    "State",
    "Who",
    "folded",
]
