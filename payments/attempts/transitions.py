"""The ledger's side of paying: who may go on, decided by the database without anybody waiting.

Each step is committed at once, an outcome together with its entry in the ledger. None is taken
while Bitrix24 is being asked, so a process that dies leaves its claim behind instead of rolling it
back; `due_at` then says when `manage.py reconcile` is to look at it.
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
from b24app.reread import reread
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
from payments.offer import Offer

logger = logging.getLogger(__name__)

# Each round but the last finds that the attempt in the way was closed a moment ago.
_ROUNDS = 3

# What an outcome is called in the ledger.
_EVENTS = {
    State.PAID: "paid",
    State.REFUSED: "refused",
    State.UNKNOWN: "unknown",
    State.UNDONE: "undone",
    State.CLOSED: "closed",
}


def claim(
    person: Caller, offer: Offer, *, kind: Kind, pay_system_id: int, note: str = ""
) -> tuple[Attempt, bool]:
    """A new attempt and True, or False and the open one that got there first, whatever its kind."""
    for _ in range(_ROUNDS):
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
    """Other rules are stored than those that allowed the attempt: they have to be asked again."""


def mark_sent(attempt: Attempt) -> bool:
    """From here on only reading the payment may close the attempt. The approval it goes by is used
    up in the same step. False: another process gave the claim up meanwhile, or the approval is no
    longer good, so nothing may be sent.

    Raises RulesChanged where the portal's rules are not those in `rules_read` any more; nothing is
    written then. The same statement compares them, because preparing a payment can take minutes.
    """
    attempt.sent_at = timezone.now()
    attempt.due_at = attempt.overdue_at
    claimed = Attempt.objects.filter(pk=attempt.pk, state=State.PAYING, sent_at=None)
    with transaction.atomic():
        is_ours = claimed.filter(_rules_hold(attempt.rules_read)).update(
            sent_at=attempt.sent_at,
            due_at=attempt.due_at,
            approval=attempt.approval_id,
            **_found_out(attempt),
        )
        approved = attempt.approval_id is None or (
            bool(is_ours) and Approval.objects.use(attempt.approval_id, now=attempt.sent_at)
        )
        if not approved:
            transaction.set_rollback(True)
    if is_ours and approved:
        return True
    if is_ours:
        attempt.approval, attempt.sent_at = None, None
        close(attempt, State.REFUSED, reason=reasons.NEEDS_APPROVAL, evidence={})
        return False
    if claimed.exists():
        attempt.sent_at, attempt.due_at = None, attempt.abandoned_at
        raise RulesChanged
    if not reread(attempt):
        _note_erased(attempt)
        _with(attempt, {"state": State.REFUSED, "reason": reasons.APP_REMOVED})
    return False


def _rules_hold(rules: Policy | None) -> Q:
    """Are these still the portal's rules? Without a row it has the defaults."""
    if rules is None:
        return Q()
    stored = Policy.objects.filter(portal_id=OuterRef("portal_id"))
    if rules._state.adding:
        return ~Q(Exists(stored))
    return Q(Exists(stored.filter(pk=rules.pk, version=rules.version)))


def give_up(attempt: Attempt) -> Attempt:
    """Close a claim whose process died before it sent anything; a live one then cannot send."""
    values = {
        "state": State.REFUSED,
        "reason": reasons.ABANDONED,
        "settled_at": timezone.now(),
        "due_at": None,
    }
    claims = Attempt.objects.filter(pk=attempt.pk, state=State.PAYING, sent_at=None)
    if not _write(attempt, claims, values, event=_EVENTS[State.REFUSED], actor_id=None):
        _read_again(attempt, values)
    return attempt


def close(attempt: Attempt, state: State, *, reason: str = "", evidence: dict[str, Any]) -> Attempt:
    """Write down how it ended, unless somebody else has done so already: then theirs stands."""
    return _record(attempt, state, reason, evidence, settled_at=timezone.now(), due_at=None)


def leave_open(attempt: Attempt, *, reason: str, evidence: dict[str, Any]) -> Attempt:
    """Write down that it is not known how it ended. When it is due stays as it is."""
    return _record(attempt, State.UNKNOWN, reason, evidence)


def leave_unheard(attempt: Attempt) -> Attempt:
    """The same for one that was sent, whose process has not come back to say so; where it has done
    so meanwhile, what it wrote down stands."""
    return _record(attempt, State.UNKNOWN, reasons.NO_ANSWER, {}, while_in=(State.PAYING,))


def hand_over(attempt: Attempt, *, at: datetime, facts: dict[str, Any]) -> bool:
    """From now on it waits for a person: looking brought no answer for too long. False where it was
    handed over or closed already."""
    waiting = Attempt.objects.filter(pk=attempt.pk, handed_over_at=None).still_open()
    values = {"handed_over_at": at, "evidence": {**attempt.evidence, "looking": facts}}
    return _write(attempt, waiting, values, event="handed_over", actor_id=None, facts=facts)


def close_undecided(attempt: Attempt, *, by: int, note: str) -> bool:
    """A person lets it go, without anybody knowing how it ended. False where it was not theirs to
    decide, or is closed already."""
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


def _found_out(attempt: Attempt) -> dict[str, Any]:
    """What became known between the claim and now."""
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
        **_found_out(attempt),
        "state": state,
        "reason": reason,
        "evidence": {**attempt.evidence, **evidence},
        **more,
    }
    still_open = Attempt.objects.filter(pk=attempt.pk, state__in=while_in)
    if attempt.sent_at is None:
        # Found, and not used: the row does not name it, nor does the ledger.
        attempt.approval = None
    with transaction.atomic():
        written = _write(
            attempt, still_open, values, event=_EVENTS[state], actor_id=attempt.user_id
        )
        if written and reason == reasons.NOT_REACHED and attempt.approval_id is not None:
            Approval.objects.give_back(attempt.approval_id)
    if not written:
        _read_again(attempt, values)
    return attempt


def _read_again(attempt: Attempt, values: dict[str, Any]) -> None:
    """Take what another process wrote down. Where the row was erased, the outcome is in the log
    alone, and the person who waits is told it all the same."""
    if not reread(attempt):
        _with(attempt, values)
        _note_erased(attempt)


def _note_erased(attempt: Attempt) -> None:
    logger.error(
        "attempt %s was erased while it was in work: %s, %s, %s %s for payment %s of order %s by "
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
    """The row and its entry in the ledger, both or neither. False, and nothing is written, where
    the row is none of `rows` any more."""
    with transaction.atomic():
        if not rows.update(**values):
            return False
        # The attempt itself says so only once it is committed.
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
