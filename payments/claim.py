"""The ledger's side of paying: who may go on, decided by the database without anybody waiting.

Each step is one statement, committed at once. None is taken while Bitrix24 is being asked, so a
process that dies leaves its claim behind instead of rolling it back.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from b24app import metrics
from b24app.errors import B24Error
from payments import reasons
from payments.models import OPEN_STATES, Approval, Attempt, State
from payments.offer import Offer
from payments.payer import Payer

# Each round but the last finds that the attempt in the way was closed a moment ago.
_ROUNDS = 3


def claim(person: Payer, offer: Offer, *, pay_system_id: int) -> tuple[Attempt, bool]:
    """A new attempt and True, or the open one that got there first and False."""
    for _ in range(_ROUNDS):
        attempt = _new(person, offer, pay_system_id)
        try:
            with transaction.atomic():
                attempt.save(force_insert=True)
        except IntegrityError:
            standing = (
                Attempt.objects.on(offer.payment_id, portal_id=offer.portal_id).still_open().first()
            )
            if standing is None:
                continue
            if not standing.is_abandoned(timezone.now()):
                return standing, False
            give_up(standing)
        else:
            return attempt, True
    raise B24Error(f"payment {offer.payment_id} is claimed and closed again and again")


def _new(person: Payer, offer: Offer, pay_system_id: int) -> Attempt:
    return Attempt(
        portal=person.portal,
        payment_id=offer.payment_id,
        account_number=offer.account_number,
        order_id=offer.order_id,
        owner_type=offer.owner.type_id if offer.owner else None,
        owner_id=offer.owner.id if offer.owner else None,
        pay_system_id=pay_system_id,
        pay_system_name=offer.pay_system_name if pay_system_id == offer.pay_system_id else "",
        bound_pay_system_id=offer.pay_system_id,
        sum=offer.sum,
        currency=offer.currency,
        user_id=person.user_id,
    )


def mark_sent(attempt: Attempt) -> bool:
    """From here on only reading the payment may close the attempt. The approval it goes by is used
    up in the same step. False: somebody gave our claim up meanwhile, or the approval is no longer
    good, so nothing may be sent."""
    now = timezone.now()
    with transaction.atomic():
        is_ours = Attempt.objects.filter(pk=attempt.pk, state=State.PAYING, sent_at=None).update(
            sent_at=now,
            pay_system_name=attempt.pay_system_name,
            evidence=attempt.evidence,
            approval=attempt.approval_id,
        )
        approved = attempt.approval_id is None or (
            bool(is_ours) and Approval.objects.use(attempt.approval_id, now=now)
        )
        if not approved:
            transaction.set_rollback(True)
    if is_ours and approved:
        attempt.sent_at = now
        return True
    if is_ours:
        attempt.approval = None
        close(attempt, State.REFUSED, reason=reasons.NEEDS_APPROVAL, evidence={})
        return False
    attempt.refresh_from_db()
    return False


def give_up(attempt: Attempt) -> Attempt:
    """Close a claim whose process died before it sent anything; a live one then cannot send."""
    if Attempt.objects.filter(pk=attempt.pk, state=State.PAYING, sent_at=None).update(
        state=State.REFUSED, reason=reasons.ABANDONED, settled_at=timezone.now()
    ):
        metrics.attempt_ended(State.REFUSED)
    attempt.refresh_from_db()
    return attempt


def close(attempt: Attempt, state: State, *, reason: str = "", evidence: dict[str, Any]) -> Attempt:
    """Write down how it ended, unless somebody else has done so already: then theirs stands."""
    return _record(attempt, state, reason, evidence, settled_at=timezone.now())


def leave_open(attempt: Attempt, *, reason: str, evidence: dict[str, Any]) -> Attempt:
    """Write down that it is not known how it ended."""
    return _record(attempt, State.UNKNOWN, reason, evidence, settled_at=None)


def _record(
    attempt: Attempt, state: State, reason: str, evidence: dict[str, Any], **more: Any
) -> Attempt:
    values = {
        "state": state,
        "reason": reason,
        "evidence": {**attempt.evidence, **evidence},
        "pay_system_name": attempt.pay_system_name,
        **more,
    }
    if Attempt.objects.filter(pk=attempt.pk, state__in=OPEN_STATES).update(**values):
        for name, value in values.items():
            setattr(attempt, name, value)
        if reason == reasons.NOT_REACHED and attempt.approval_id is not None:
            Approval.objects.give_back(attempt.approval_id)
        metrics.attempt_ended(state)
    else:
        attempt.refresh_from_db()
    return attempt
