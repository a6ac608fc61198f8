"""Pay one payment through a pay system that takes payments from an app."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from b24app.errors import NeverSent, OutcomeUnknown, Refused
from b24app.identity.session import Caller
from payments import gateway, reasons
from payments.attempts import checks
from payments.attempts.execute import Prepare, run_attempt
from payments.attempts.kinds import remember
from payments.attempts.settle import check
from payments.attempts.snapshot import Snapshot, read_snapshot
from payments.models import Attempt, Kind, Policy
from payments.offer import Offer
from payments.policy import rules
from payments.reasons import Stopped

__all__ = ["check", "pay"]


def pay(
    person: Caller,
    offer: Offer,
    *,
    pay_system_id: int,
    also: Callable[[Policy], None] | None = None,
) -> Attempt:
    """Pay what was offered, through the pay system chosen; waits for the portal.

    Always answers an attempt: paid, refused (nothing was paid; its `sentences` say why) or open. An
    open one is not confirmed, or is somebody's who got there first. `also` raises Stopped where the
    portal's rules forbid it for a reason of the caller's. Raises Missing for an offer that is not
    this person's.
    """
    allow = partial(rules.apply, also=also)
    return run_attempt(
        person,
        offer,
        kind=Kind.PAY,
        pay_system_id=pay_system_id,
        prepare=partial(_prepare, allow=allow),
        allow=allow,
    )


def read_unpaid(person: Caller, offer: Offer, attempt: Attempt) -> Snapshot:
    """How the payment stands right now, checked: still unpaid and what was shown, of an order that
    can be paid. Raises Stopped where it is not, a B24Error where it could not be read."""
    snapshot = read_snapshot(person, offer)
    remember(attempt, snapshot.seen, snapshot.kept)
    checks.check_payment(snapshot.seen, offer)
    if snapshot.kept is not None:
        checks.check_payment(snapshot.kept, offer)
    checks.check_order(snapshot.order)
    checks.check_since_shown(
        [payment for payment in (snapshot.seen, snapshot.kept) if payment is not None],
        snapshot.skew,
        offer=offer,
        attempt=attempt,
    )
    return snapshot


def _prepare(person: Caller, offer: Offer, attempt: Attempt, *, allow: Prepare) -> None:
    """Bind the payment to the chosen pay system if need be, once all else is in order."""
    snapshot = read_unpaid(person, offer, attempt)
    checks.check_pay_system(
        attempt.pay_system_id, offer=offer, systems=snapshot.systems, order=snapshot.order
    )
    allow(person, offer, attempt)
    chosen = snapshot.systems.find(attempt.pay_system_id) if snapshot.systems else None
    if chosen is not None:
        attempt.pay_system_name = chosen.name
    if attempt.pay_system_id != offer.pay_system_id:
        _bind_anew(person, attempt)


def _bind_anew(person: Caller, attempt: Attempt) -> None:
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
