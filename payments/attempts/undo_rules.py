"""Decides which payments can be undone, for how long, and by whom, by the portal's rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from payments import reasons
from payments.models import Attempt, Policy, State

# The states that show whether this app paid a payment; refused and open attempts changed nothing.
_PAID_OR_UNDONE = (State.PAID, State.UNDONE)


def undoable(portal_id: int, payment_ids: Iterable[int]) -> dict[int, Attempt]:
    """Returns the paying attempt of each of these payments that the app paid and has not undone.

    One SELECT. `why_not` and `may_undo` tell whether the payment may be undone now, and by whom.
    """
    rows = Attempt.objects.filter(
        portal_id=portal_id, payment_id__in=list(payment_ids), state__in=_PAID_OR_UNDONE
    )
    latest = {attempt.payment_id: attempt for attempt in rows.order_by("pk")}
    return {key: attempt for key, attempt in latest.items() if _was_paid_by_app(attempt)}


def may_undo(
    person_id: int, attempt: Attempt, *, rules: Policy, is_admin: bool, now: datetime | None = None
) -> bool:
    """Returns whether a page may offer to undo it. Calls nothing: Bitrix24 checks its own rights
    when the person tries."""
    now = now or timezone.now()
    return not why_not(attempt, rules=rules, now=now) and rules.may_undo(
        person_id, is_admin=is_admin
    )


def why_not(attempt: Attempt | None, *, rules: Policy, now: datetime) -> str:
    """Returns the reason why no person may undo this attempt now; "" if it can be undone."""
    if rules.undo_hours <= 0:
        return reasons.UNDO_OFF
    if attempt is None or not _was_paid_by_app(attempt) or attempt.settled_at is None:
        return reasons.NOT_PAID_HERE
    if attempt.settled_at < now - timedelta(hours=rules.undo_hours):
        return reasons.UNDO_TOO_LATE
    return ""


def _was_paid_by_app(attempt: Attempt) -> bool:
    # An attempt is also PAID if another person paid at the same time; it has another reason then.
    return attempt.state == State.PAID and attempt.reason in ("", reasons.PAID_OTHER_SUM)
