"""What the app has tried with the payments of a screen, and what of that can be taken back."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Max
from django.utils import timezone

from payments.gateway import Payment
from payments.models import OPEN_STATES, Attempt, Kind, Policy, State
from payments.movements import is_dated_otherwise
from payments.payer import Payer
from payments.undo import may_undo

# A refused attempt changed nothing, and what one closed by hand did nobody knows.
_TELLING = (*OPEN_STATES, State.PAID, State.UNDONE)


def latest_attempts(person: Payer, payment_ids: Iterable[int]) -> dict[int, Attempt]:
    """Of each payment the attempt that is still open, or made it what it is; in one statement.

    A claim whose process died before it sent anything does not count: paying takes it over.
    """
    now = timezone.now()
    latest = (
        Attempt.objects.filter(
            portal=person.portal, payment_id__in=list(payment_ids), state__in=_TELLING
        )
        .order_by()
        .values("payment_id")
        .annotate(latest=Max("pk"))
        .values("latest")
    )
    attempts = Attempt.objects.filter(pk__in=latest)
    return {attempt.payment_id: attempt for attempt in attempts if not attempt.is_abandoned(now)}


def is_marked(payment: Payment, latest: Attempt | None) -> bool:
    """Paid, by a mark of this app and by no pay system."""
    return latest is not None and latest.kind == Kind.MARK and _made_paid(payment, latest)


def is_undoable(
    payment: Payment, latest: Attempt | None, *, person_id: int, rules: Policy, is_admin: bool
) -> bool:
    """Whether the row of a paid payment offers to undo it; asks nobody."""
    return (
        latest is not None
        and _made_paid(payment, latest)
        and may_undo(person_id, latest, rules=rules, is_admin=is_admin)
    )


def _made_paid(payment: Payment, latest: Attempt) -> bool:
    """Is this attempt why the payment is paid, and nothing that came after it?"""
    if not payment.paid or latest.state != State.PAID or latest.reason:
        return False
    evidence = latest.evidence
    return not is_dated_otherwise(payment, {evidence.get("readIn", ""): evidence.get("datePaid")})
