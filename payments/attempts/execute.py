"""Runs an attempt: claims it, prepares it, sends it once, reads the payment back, records it."""

from __future__ import annotations

from b24app.errors import B24Error, Missing, NeverSent, PortalMoved, Refused
from b24app.identity.session import Caller
from b24app.rest import shares
from payments import reasons
from payments.attempts import refused_changes
from payments.attempts.kinds import action_of
from payments.attempts.prepare import ExtraRule
from payments.attempts.settle import Reply, settle
from payments.attempts.transitions import RulesChanged, claim, close, mark_sent
from payments.models import Attempt, Kind, State
from payments.offer import Offer
from payments.reasons import Stopped

# Rules rarely change several times within one attempt; then the person is not kept waiting.
_MOST_RULE_CHECKS = 3


def run_attempt(
    person: Caller,
    offer: Offer,
    *,
    kind: Kind,
    pay_system_id: int,
    note: str = "",
    extra_rule: ExtraRule | None = None,
) -> Attempt:
    """Runs one attempt on the offered payment and returns it done, refused or open.

    Refused: nothing was changed; `messages_of` says why. Open: the outcome is not confirmed, or the
    returned attempt is another one on this payment, of any kind, that was open already.

    Raises Missing for another person's offer, and PortalBusy if too many requests wait for the
    portal. Nothing is claimed then.
    """
    if (offer.portal_id, offer.user_id) != (person.portal.pk, person.user_id):
        raise Missing("the offer was made for another person")
    # Takes the place of all calls of this request, so that none is refused after the claim.
    shares.admit(person.portal.client_endpoint)
    attempt, is_new = claim(person, offer, kind=kind, pay_system_id=pay_system_id, note=note)
    if is_new:
        attempt = _carry_out(person, offer, attempt, extra_rule)
    if attempt.reason in refused_changes.REFUSALS:
        refused_changes.remember(person, offer.payment_id, attempt.reason)
    if attempt.reason == reasons.ABANDONED:
        # This process took so long that its claim was released: a later attempt has the outcome.
        return Attempt.objects.latest_on(offer.payment_id, portal_id=offer.portal_id) or attempt
    return attempt


def _carry_out(
    person: Caller, offer: Offer, attempt: Attempt, extra_rule: ExtraRule | None
) -> Attempt:
    try:
        action_of(attempt).prepare(person, offer, attempt, extra_rule)
        may_send = _mark_sent(person, offer, attempt, extra_rule)
    except Stopped as stop:
        return close(attempt, State.REFUSED, reason=stop.reason, evidence=stop.evidence)
    except B24Error as error:
        reason = _reason_before_sending(error)
        evidence = reasons.evidence_of(error)
        return close(attempt, State.REFUSED, reason=reason, evidence=evidence)
    if not may_send:
        return attempt
    return settle(person, offer, attempt, reply=_send(person, attempt))


def _mark_sent(
    person: Caller, offer: Offer, attempt: Attempt, extra_rule: ExtraRule | None
) -> bool:
    for _ in range(_MOST_RULE_CHECKS):
        try:
            return mark_sent(attempt)
        except RulesChanged:
            action_of(attempt).allow(person, offer, attempt, extra_rule)
    raise Stopped(reasons.RULES_UNSETTLED)


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


def _send(person: Caller, attempt: Attempt) -> Reply:
    """Makes the one call that changes whether the payment is paid: only here, once an attempt."""
    try:
        action_of(attempt).send(person.client, attempt)
    except Refused as error:
        # For a payment Bitrix24 checks the right to all orders; for a mark or an undo, the right to
        # change this order.
        lacks_order = reasons.is_denied(error) and attempt.kind != Kind.PAY
        return Reply("denied" if lacks_order else "refused", reasons.evidence_of(error))
    except NeverSent as error:
        return Reply("never sent", reasons.evidence_of(error))
    except B24Error as error:
        return Reply("none", reasons.evidence_of(error))
    return Reply("true")
