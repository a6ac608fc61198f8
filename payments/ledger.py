"""The ledger proper: what happened to money, appended, never changed, each entry sealing the last.

`record` is called inside the transaction that changes the working row, so that both are written or
neither is.
"""

from __future__ import annotations

from typing import Any

from b24app.models import Portal
from payments.models import Attempt


def record(
    portal: Portal,
    event: str,
    *,
    actor_id: int | None,
    attempt: Attempt | None = None,
    facts: dict[str, Any] | None = None,
) -> None:
    """Append one entry. `event` is what happened ("sent", "paid", "refused", "unknown", "undone",
    "closed", "handed_over", "approval_asked", "approved", "declined"); `actor_id` the person of the
    portal who caused it, None for the app itself; `facts` what the attempt does not say.

    Takes part in the caller's transaction.
    """
