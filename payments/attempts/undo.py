"""Take back what this app has paid or marked as paid, for a time, with a reason."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from b24app.identity.session import Caller
from payments import reasons
from payments.attempts.execute import run_attempt
from payments.attempts.kinds import is_dated_otherwise, remember
from payments.attempts.snapshot import read_snapshot
from payments.gateway import Payment
from payments.models import Attempt, Kind, Policy, State
from payments.note import clean_note
from payments.offer import Offer
from payments.policy import rules as policy
from payments.reasons import Stopped

# What says whether a payment is paid by us: refusals and what is open changed nothing.
_TELLING = (State.PAID, State.UNDONE)


def undo(person: Caller, offer: Offer, *, note: str) -> Attempt:
    """Make the payment unpaid again; no money moves by it. Waits for the portal.

    Always answers an attempt, as `pay` does: undone, refused (it stays paid; its `sentences` say
    why) or open. The one that it takes back stays in the ledger, and has it among its `undoings`.
    Raises NoteNeeded without a reason to write down, Missing for an offer that is not this
    person's.
    """
    return run_attempt(
        person,
        offer,
        kind=Kind.UNDO,
        pay_system_id=offer.pay_system_id,
        prepare=_prepare,
        allow=_allow,
        note=clean_note(note),
    )


def undoable(portal_id: int, payment_ids: Iterable[int]) -> dict[int, Attempt]:
    """Of these payments those that the app paid and has not undone since, with the attempt that
    did. One statement; whether it may be undone now and by whom, `why_not` says."""
    rows = Attempt.objects.filter(
        portal_id=portal_id, payment_id__in=list(payment_ids), state__in=_TELLING
    )
    latest = {attempt.payment_id: attempt for attempt in rows.order_by("pk")}
    return {key: attempt for key, attempt in latest.items() if _is_by_us(attempt)}


def may_undo(
    person_id: int, attempt: Attempt, *, rules: Policy, is_admin: bool, now: datetime | None = None
) -> bool:
    """Whether a page may offer it; asks nobody. Bitrix24's own rights are found out by trying."""
    now = now or timezone.now()
    return not why_not(attempt, rules=rules, now=now) and rules.may_undo(
        person_id, is_admin=is_admin
    )


def why_not(attempt: Attempt | None, *, rules: Policy, now: datetime) -> str:
    """The code of reasons.py why nobody may undo this any more; empty where somebody may."""
    if rules.undo_hours <= 0:
        return reasons.UNDO_OFF
    if attempt is None or not _is_by_us(attempt) or attempt.settled_at is None:
        return reasons.NOT_PAID_HERE
    if attempt.settled_at < now - timedelta(hours=rules.undo_hours):
        return reasons.UNDO_TOO_LATE
    return ""


def _is_by_us(attempt: Attempt) -> bool:
    """Its reason says so where somebody else has paid."""
    return attempt.state == State.PAID and not attempt.reason


def _prepare(person: Caller, offer: Offer, attempt: Attempt) -> None:
    """Find what is to be taken back, and whether it still stands as it was paid."""
    paid = _allow(person, offer, attempt)
    snapshot = read_snapshot(person, offer)
    remember(attempt, snapshot.seen, snapshot.kept)
    _check_payment(snapshot.seen, offer, paid)
    if snapshot.kept is not None:
        _check_payment(snapshot.kept, offer, paid)


def _allow(person: Caller, offer: Offer, attempt: Attempt) -> Attempt:
    """The attempt to be taken back, kept on this one beside the rules that allow it."""
    paid = undoable(offer.portal_id, [offer.payment_id]).get(offer.payment_id)
    rules = attempt.rules_read = policy.policy_of(person.portal)
    reason = why_not(paid, rules=rules, now=attempt.created_at)
    if paid is None or reason:
        raise Stopped(reason)
    attempt.undoes = paid
    attempt.pay_system_name = paid.pay_system_name
    _check_person(person, rules)
    return paid


def _check_person(person: Caller, rules: Policy) -> None:
    if not policy.allows(
        person, lambda is_admin: rules.may_undo(person.user_id, is_admin=is_admin)
    ):
        raise Stopped(reasons.UNDO_NOT_ALLOWED)


def _check_payment(payment: Payment, offer: Offer, paid: Attempt) -> None:
    """Still paid, still what the person was shown, and still by the payment that we made. Raises
    Stopped where it is not, or where its date cannot be read: it may have been paid again since."""
    if not payment.paid:
        raise Stopped(reasons.NOT_PAID_ANY_MORE)
    if payment.sum != offer.sum:
        raise Stopped(reasons.SUM_CHANGED)
    if payment.currency != offer.currency:
        raise Stopped(reasons.CURRENCY_CHANGED)
    if "date_paid" in payment.unread:
        raise Stopped(reasons.READ_FAILED)
    if payment.emp_paid_id not in (None, paid.user_id):
        raise Stopped(reasons.PAID_ANEW)
    if is_dated_otherwise(payment, {paid.evidence.get("readIn"): paid.evidence.get("datePaid")}):
        raise Stopped(reasons.PAID_ANEW)
