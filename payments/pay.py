"""Pay one payment: claim it, read it, check it, pay it once, read it back."""

from __future__ import annotations

from b24app.errors import B24Error, Missing, NeverSent, OutcomeUnknown, PortalMoved, Refused
from payments import gateway, guards, reasons
from payments.claim import claim, close, mark_sent
from payments.guards import Stopped
from payments.models import Attempt, State
from payments.offer import Offer
from payments.payer import Payer
from payments.settle import Reply, check, settle
from payments.standing import read_standing

__all__ = ["check", "pay"]


def pay(person: Payer, offer: Offer, *, pay_system_id: int) -> Attempt:
    """Pay what was offered, through the pay system chosen; waits for the portal.

    Always answers an attempt: paid, refused (nothing was paid; its `sentences` say why) or open. An
    open one is not confirmed, or is somebody's who got there first. Raises Missing for an offer
    that is not this person's.
    """
    if (offer.portal_id, offer.user_id) != (person.portal.pk, person.user_id):
        raise Missing("the offer was made to somebody else")
    attempt, is_ours = claim(person, offer, pay_system_id=pay_system_id)
    if is_ours:
        attempt = _carry_out(person, offer, attempt)
    if attempt.reason == reasons.ABANDONED:
        # We took so long that our claim was given up: what others made of the payment stands.
        return Attempt.objects.latest_on(offer.payment_id, portal_id=offer.portal_id) or attempt
    return attempt


def _carry_out(person: Payer, offer: Offer, attempt: Attempt) -> Attempt:
    try:
        _prepare(person, offer, attempt)
    except Stopped as stop:
        return close(attempt, State.REFUSED, reason=stop.reason, evidence=stop.evidence)
    except B24Error as error:
        reason = _reason_before_sending(error)
        evidence = reasons.evidence_of(error)
        return close(attempt, State.REFUSED, reason=reason, evidence=evidence)
    if not mark_sent(attempt):
        return attempt
    return settle(person, offer, attempt, reply=_send(person, attempt))


def _prepare(person: Payer, offer: Offer, attempt: Attempt) -> None:
    """Read how the payment stands, check it, and bind it to the chosen pay system if need be."""
    standing = read_standing(person, offer)
    guards.check_payment(standing.seen, offer)
    if standing.kept is not None:
        guards.check_payment(standing.kept, offer)
    guards.check_order(standing.order)
    guards.check_since_shown(standing, offer, attempt)
    guards.check_pay_system(
        attempt.pay_system_id, offer=offer, systems=standing.systems, order=standing.order
    )
    chosen = standing.systems.find(attempt.pay_system_id) if standing.systems else None
    if chosen is not None:
        attempt.pay_system_name = chosen.name
    if attempt.pay_system_id != offer.pay_system_id:
        _bind_anew(person, attempt)


def _bind_anew(person: Payer, attempt: Attempt) -> None:
    try:
        gateway.change_pay_system(
            person.client, payment_id=attempt.payment_id, pay_system_id=attempt.pay_system_id
        )
    except OutcomeUnknown as error:
        raise Stopped(reasons.REBIND_UNKNOWN, reasons.evidence_of(error)) from error
    except (NeverSent, Refused) as error:
        raise Stopped(reasons.REBIND_FAILED, reasons.evidence_of(error)) from error
    attempt.evidence["rebound"] = True


def _reason_before_sending(error: B24Error) -> str:
    match error:
        case NeverSent():
            return reasons.NOT_REACHED
        case Refused():
            return reasons.REFUSED_BY_BITRIX24
        case PortalMoved():
            return reasons.PORTAL_MOVED
        case _:
            return reasons.READ_FAILED


def _send(person: Payer, attempt: Attempt) -> Reply:
    """The one call that moves money: made here only, and once for each attempt."""
    try:
        gateway.pay_payment(
            person.client, payment_id=attempt.payment_id, pay_system_id=attempt.pay_system_id
        )
    except Refused as error:
        return Reply("refused", reasons.evidence_of(error))
    except NeverSent as error:
        return Reply("never sent", reasons.evidence_of(error))
    except B24Error as error:
        return Reply("none", reasons.evidence_of(error))
    return Reply("true")
