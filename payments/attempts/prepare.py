"""Prepares an attempt: reads the payment, checks it by Bitrix24's data and by the portal's rules.

All functions raise Stopped, or a B24Error, if the attempt must not be sent. The checks by the rules
alone (`allow_undo` here, `policy.rules.apply` for the others) run again if the rules change before
the attempt is sent.
"""

from __future__ import annotations

from collections.abc import Callable

from b24app.errors import NeverSent, OutcomeUnknown, Refused
from b24app.identity.session import Caller
from payments import gateway, reasons
from payments.attempts import checks
from payments.attempts.evidence import store_before
from payments.attempts.snapshot import Snapshot, read_snapshot
from payments.attempts.undo_rules import undoable, why_not
from payments.models import Attempt, Policy
from payments.offer import Offer
from payments.policy import rules as policy
from payments.reasons import Stopped

# One more check by the portal's rules; raises Stopped.
ExtraRule = Callable[[Policy], None]


def prepare_pay(
    person: Caller, offer: Offer, attempt: Attempt, extra_rule: ExtraRule | None
) -> None:
    """Checks that the payment can be paid as it was shown. Then, if the person chose another pay
    system, changes the payment to it."""
    snapshot = _read_unpaid(person, offer, attempt)
    checks.check_pay_system(
        attempt.pay_system_id, offer=offer, systems=snapshot.systems, order=snapshot.order
    )
    policy.apply(person, offer, attempt, extra_rule)
    chosen = snapshot.systems.find(attempt.pay_system_id) if snapshot.systems else None
    if chosen is not None:
        attempt.pay_system_name = chosen.name
    if attempt.pay_system_id != offer.pay_system_id:
        _change_pay_system(person, attempt)


def prepare_mark(
    person: Caller, offer: Offer, attempt: Attempt, extra_rule: ExtraRule | None
) -> None:
    """Checks that the payment is unpaid as it was shown, and that the app cannot pay it."""
    snapshot = _read_unpaid(person, offer, attempt)
    system = checks.check_markable(attempt.pay_system_id, snapshot.systems)
    attempt.pay_system_name = system.name
    policy.apply(person, offer, attempt, extra_rule)


def prepare_undo(
    person: Caller, offer: Offer, attempt: Attempt, extra_rule: ExtraRule | None
) -> None:
    """Finds the attempt that paid, and checks that the payment is still paid by it."""
    paid = allow_undo(person, offer, attempt, extra_rule)
    snapshot = read_snapshot(person, offer)
    store_before(attempt, snapshot.rows)
    for row in snapshot.rows:
        checks.check_still_paid(row, offer, paid)


def allow_undo(
    person: Caller, offer: Offer, attempt: Attempt, extra_rule: ExtraRule | None
) -> Attempt:
    """Stores the paid attempt, and the rules that allow undoing it, in `attempt`; returns the paid
    attempt."""
    paid = undoable(offer.portal_id, [offer.payment_id]).get(offer.payment_id)
    rules = attempt.rules_read = policy.policy_of(person.portal)
    reason = why_not(paid, rules=rules, now=attempt.created_at)
    if paid is None or reason:
        raise Stopped(reason)
    attempt.undoes = paid
    attempt.pay_system_name = paid.pay_system_name
    if extra_rule is not None:
        extra_rule(rules)
    if not policy.allows(
        person, lambda is_admin: rules.may_undo(person.user_id, is_admin=is_admin)
    ):
        raise Stopped(reasons.UNDO_NOT_ALLOWED)
    return paid


def _read_unpaid(person: Caller, offer: Offer, attempt: Attempt) -> Snapshot:
    """Reads the payment, and checks that it is unpaid, as it was shown, and of a valid order."""
    snapshot = read_snapshot(person, offer)
    store_before(attempt, snapshot.rows)
    for row in snapshot.rows:
        checks.check_payment(row, offer)
    checks.check_order(snapshot.order)
    checks.check_since_shown(snapshot.rows, snapshot.skew, offer=offer, attempt=attempt)
    return snapshot


def _change_pay_system(person: Caller, attempt: Attempt) -> None:
    try:
        gateway.change_pay_system(
            person.client, payment_id=attempt.payment_id, pay_system_id=attempt.pay_system_id
        )
    except OutcomeUnknown as error:
        raise Stopped(reasons.REBIND_UNKNOWN, reasons.evidence_of(error)) from error
    except (NeverSent, Refused) as error:
        denied = reasons.is_denied(error)
        reason = reasons.NO_ORDER_UPDATE if denied else reasons.REBIND_FAILED
        raise Stopped(reason, reasons.evidence_of(error)) from error
    attempt.evidence["rebound"] = True
