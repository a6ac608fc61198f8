"""Changes the state of an attempt: claim, mark as sent, close, leave open, hand over.

Each function commits one change, an outcome together with its ledger entry. No transaction is open
during a call to Bitrix24: if the process dies, its claim stays, and `manage.py reconcile` reads the
payment at `due_at`. Conditional UPDATEs decide between concurrent processes; nothing waits.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from copy import copy
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from b24app.errors import B24Error
from b24app.identity.session import Caller
from b24app.monitoring import metrics
from b24app.monitoring.spans import span
from payments import reasons
from payments.ledger import chain
from payments.models import (
    OPEN_STATES,
    Approval,
    Attempt,
    AttemptQuerySet,
    Kind,
    Policy,
    State,
)
from payments.models.reread import reread
from payments.offer import Offer

logger = logging.getLogger(__name__)

# Retries of a claim: the competing attempt may close between the INSERT and the SELECT.
_MOST_TRIES = 3

# The ledger's events by outcome.
_EVENTS = {
    State.PAID: "paid",
    State.REFUSED: "refused",
    State.UNKNOWN: "unknown",
    State.UNDONE: "undone",
    State.CLOSED: "closed",
}


@span("claim")
def claim(
    person: Caller, offer: Offer, *, kind: Kind, pay_system_id: int, note: str = ""
) -> tuple[Attempt, bool]:
    """Returns a new attempt and True; or the open attempt on this payment, of any kind, and
    False."""
    for _ in range(_MOST_TRIES):
        attempt = _new(person, offer, kind, pay_system_id, note)
        try:
            with transaction.atomic():
                attempt.save(force_insert=True)
        except IntegrityError:
            competing = (
                Attempt.objects.on(offer.payment_id, portal_id=offer.portal_id).still_open().first()
            )
            if competing is None:
                continue
            if not competing.is_abandoned(timezone.now()):
                return competing, False
            give_up(competing)
        else:
            return attempt, True
    raise B24Error(f"payment {offer.payment_id} is claimed and closed again and again")


def _new(person: Caller, offer: Offer, kind: Kind, pay_system_id: int, note: str) -> Attempt:
    attempt = Attempt(
        portal=person.portal,
        kind=kind,
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
        note=note,
    )
    attempt.due_at = attempt.abandoned_at
    return attempt


class RulesChanged(Exception):
    """Raised if the portal's rules changed after they allowed the attempt: check them again."""


def mark_sent(attempt: Attempt) -> bool:
    """Stores that the attempt is sent, and uses its approval, in one transaction.

    Returns False if the claim was released or the approval is no longer valid; nothing may be sent
    then. After True, only a read of the payment may close the attempt.

    Raises RulesChanged, and stores nothing, if the portal's rules are no longer `rules_read`. The
    UPDATE itself compares them, because preparing a payment can take minutes.
    """
    attempt.sent_at = timezone.now()
    attempt.due_at = attempt.overdue_at
    claimed = Attempt.objects.filter(pk=attempt.pk, state=State.PAYING, sent_at=None)
    with transaction.atomic():
        is_claimed = claimed.filter(_has_rules(attempt.rules_read)).update(
            sent_at=attempt.sent_at,
            due_at=attempt.due_at,
            approval=attempt.approval_id,
            **_learned_before_sending(attempt),
        )
        approved = attempt.approval_id is None or (
            bool(is_claimed) and Approval.objects.use(attempt.approval_id, now=attempt.sent_at)
        )
        if not approved:
            transaction.set_rollback(True)
    if is_claimed and approved:
        return True
    if is_claimed:
        attempt.approval, attempt.sent_at = None, None
        close(attempt, State.REFUSED, reason=reasons.NEEDS_APPROVAL, evidence={})
        return False
    if claimed.exists():
        attempt.sent_at, attempt.due_at = None, attempt.abandoned_at
        raise RulesChanged
    if not reread(attempt):
        _log_erased(attempt)
        _with(attempt, {"state": State.REFUSED, "reason": reasons.APP_REMOVED})
    return False


def _has_rules(rules: Policy | None) -> Q:
    """Returns the condition that the portal's rules are still these; no row means the defaults."""
    if rules is None:
        return Q()
    stored = Policy.objects.filter(portal_id=OuterRef("portal_id"))
    if rules._state.adding:
        return ~Q(Exists(stored))
    return Q(Exists(stored.filter(pk=rules.pk, version=rules.version)))


def give_up(attempt: Attempt) -> Attempt:
    """Releases a claim that was not sent in time. If its process is alive, it cannot send any
    more."""
    values = {
        "state": State.REFUSED,
        "reason": reasons.ABANDONED,
        "settled_at": timezone.now(),
        "due_at": None,
    }
    claims = Attempt.objects.filter(pk=attempt.pk, state=State.PAYING, sent_at=None)
    if not _write(attempt, claims, values, event=_EVENTS[State.REFUSED], actor_id=None):
        _take_stored(attempt, values)
    return attempt


def close(attempt: Attempt, state: State, *, reason: str = "", evidence: dict[str, Any]) -> Attempt:
    """Records the outcome. If another process has recorded one, returns that one."""
    return _record(attempt, state, reason, evidence, settled_at=timezone.now(), due_at=None)


def leave_open(attempt: Attempt, *, reason: str, evidence: dict[str, Any]) -> Attempt:
    """Records that the outcome is unknown; `due_at` stays."""
    return _record(attempt, State.UNKNOWN, reason, evidence)


def leave_unanswered(attempt: Attempt) -> Attempt:
    """Records that the outcome is unknown, for a sent attempt whose process recorded nothing."""
    return _record(attempt, State.UNKNOWN, reasons.NO_ANSWER, {}, while_in=(State.PAYING,))


def hand_over(attempt: Attempt, *, at: datetime, facts: dict[str, Any]) -> bool:
    """Hands the attempt over to a person, after reads brought no answer for too long. Returns False
    if it was handed over or closed already."""
    waiting = Attempt.objects.filter(pk=attempt.pk, handed_over_at=None).still_open()
    values = {"handed_over_at": at, "evidence": {**attempt.evidence, "looking": facts}}
    return _write(attempt, waiting, values, event="handed_over", actor_id=None, facts=facts)


def close_undecided(attempt: Attempt, *, by: int, note: str) -> bool:
    """Closes an attempt that was handed over, by a person's decision; its outcome stays unknown.
    Returns False if it was not handed over or is closed already."""
    evidence = {**attempt.evidence, "closedBy": by}
    if attempt.note:
        evidence["noteBefore"] = attempt.note
    values = {
        "state": State.CLOSED,
        "reason": reasons.CLOSED_BY_HAND,
        "evidence": evidence,
        "note": note,
        "settled_at": timezone.now(),
        "due_at": None,
    }
    handed_over = Attempt.objects.filter(pk=attempt.pk, handed_over_at__isnull=False).still_open()
    return _write(attempt, handed_over, values, event=_EVENTS[State.CLOSED], actor_id=by)


def _learned_before_sending(attempt: Attempt) -> dict[str, Any]:
    """Returns the values that became known after the claim."""
    return {
        "order_id": attempt.order_id,
        "pay_system_name": attempt.pay_system_name,
        "undoes": attempt.undoes_id,
        "evidence": attempt.evidence,
    }


def _record(
    attempt: Attempt,
    state: State,
    reason: str,
    evidence: dict[str, Any],
    *,
    while_in: Collection[State] = OPEN_STATES,
    **more: Any,
) -> Attempt:
    values = {
        **_learned_before_sending(attempt),
        "state": state,
        "reason": reason,
        "evidence": {**attempt.evidence, **evidence},
        **more,
    }
    still_open = Attempt.objects.filter(pk=attempt.pk, state__in=while_in)
    if attempt.sent_at is None:
        attempt.approval = None  # It was not used, so the ledger does not name it either.
    with transaction.atomic():
        written = _write(
            attempt, still_open, values, event=_EVENTS[state], actor_id=attempt.user_id
        )
        if written and reason == reasons.NOT_REACHED and attempt.approval_id is not None:
            Approval.objects.give_back(attempt.approval_id)
    if not written:
        _take_stored(attempt, values)
    return attempt


def _take_stored(attempt: Attempt, values: dict[str, Any]) -> None:
    """Loads what another process stored. If the row was erased, writes the outcome to the log and
    sets it on `attempt`, so that the waiting person sees it."""
    if not reread(attempt):
        _with(attempt, values)
        _log_erased(attempt)


def _log_erased(attempt: Attempt) -> None:
    logger.error(
        "attempt %s was erased while it was running: %s, %s, %s %s for payment %s of order %s by "
        "user %s through pay system %s (portal %s)",
        attempt.pk,
        attempt.kind,
        attempt.state,
        attempt.sum,
        attempt.currency,
        attempt.payment_id,
        attempt.order_id,
        attempt.user_id,
        attempt.pay_system_id,
        attempt.portal.member_id,
    )


def _write(
    attempt: Attempt,
    rows: AttemptQuerySet,
    values: dict[str, Any],
    *,
    event: str,
    actor_id: int | None,
    facts: dict[str, Any] | None = None,
) -> bool:
    """Updates the row and appends its ledger entry, both or neither. Returns False, and writes
    nothing, if the row is no longer in `rows`."""
    with transaction.atomic():
        if not rows.update(**values):
            return False
        # A copy: `attempt` itself gets the values only after the commit.
        written = _with(copy(attempt), values)
        chain.record(attempt.portal, event, actor_id=actor_id, attempt=written, facts=facts)
    _with(attempt, values)
    if "state" in values:
        metrics.attempt_ended(values["state"])
    return True


def _with(attempt: Attempt, values: dict[str, Any]) -> Attempt:
    for name, value in values.items():
        setattr(attempt, "undoes_id" if name == "undoes" else name, value)
    return attempt
