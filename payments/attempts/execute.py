"""What is the same for every kind of attempt: claim it, prepare it, send it once, read it back."""

from __future__ import annotations

from collections.abc import Callable

from b24app.errors import B24Error, Missing, NeverSent, PortalMoved, Refused
from b24app.identity.session import Caller
from b24app.rest import shares
from payments import reasons
from payments.attempts import refused_changes
from payments.attempts.kinds import action_of
from payments.attempts.settle import Reply, settle
from payments.attempts.transitions import RulesChanged, claim, close, mark_sent
from payments.models import Attempt, Kind, State
from payments.offer import Offer
from payments.reasons import Stopped

Prepare = Callable[[Caller, Offer, Attempt], object]

# An administrator saves rules a few times in a row at most; whoever pays is not kept waiting.
_RULES_READ = 3


def run_attempt(
    person: Caller,
    offer: Offer,
    *,
    kind: Kind,
    pay_system_id: int,
    prepare: Prepare,
    allow: Prepare,
    note: str = "",
) -> Attempt:
    """Always answers an attempt: done, refused (nothing was changed; its `sentences` say why) or
    open. An open one is not confirmed, or is somebody's who got there first, whatever its kind.

    `prepare` reads how the payment stands and raises Stopped, or a B24Error, where nothing is to be
    sent. `allow` is what it does about the portal's rules: it is called again where they are
    changed before the attempt is sent. Raises Missing for an offer that is not this person's,
    PortalBusy where too many requests wait for the portal: then nothing is claimed.
    """
    if (offer.portal_id, offer.user_id) != (person.portal.pk, person.user_id):
        raise Missing("the offer was made to somebody else")
    # Every call of this request then has its place, so that none is refused after the claim.
    shares.admit(person.portal.client_endpoint)
    attempt, is_ours = claim(person, offer, kind=kind, pay_system_id=pay_system_id, note=note)
    if is_ours:
        attempt = _carry_out(person, offer, attempt, prepare, allow)
    if attempt.reason == reasons.NO_ORDER_UPDATE:
        refused_changes.remember(person, offer.payment_id)
    if attempt.reason == reasons.ABANDONED:
        # We took so long that our claim was given up: what others made of the payment stands.
        return Attempt.objects.latest_on(offer.payment_id, portal_id=offer.portal_id) or attempt
    return attempt


def _carry_out(
    person: Caller, offer: Offer, attempt: Attempt, prepare: Prepare, allow: Prepare
) -> Attempt:
    try:
        prepare(person, offer, attempt)
        may_send = _mark_sent(person, offer, attempt, allow)
    except Stopped as stop:
        return close(attempt, State.REFUSED, reason=stop.reason, evidence=stop.evidence)
    except B24Error as error:
        reason = _reason_before_sending(error)
        evidence = reasons.evidence_of(error)
        return close(attempt, State.REFUSED, reason=reason, evidence=evidence)
    if not may_send:
        return attempt
    return settle(person, offer, attempt, reply=_send(person, attempt))


def _mark_sent(person: Caller, offer: Offer, attempt: Attempt, allow: Prepare) -> bool:
    for _ in range(_RULES_READ):
        try:
            return mark_sent(attempt)
        except RulesChanged:
            allow(person, offer, attempt)
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
    """The one call that changes whether it is paid: made here only, and once for each attempt."""
    try:
        action_of(attempt).send(person.client, attempt)
    except Refused as error:
        # Paying through a pay system asks for the right to orders as a whole; marking and undoing,
        # for the right to change this one.
        of_order = reasons.is_denied(error) and attempt.kind != Kind.PAY
        return Reply("denied" if of_order else "refused", reasons.evidence_of(error))
    except NeverSent as error:
        return Reply("never sent", reasons.evidence_of(error))
    except B24Error as error:
        return Reply("none", reasons.evidence_of(error))
    return Reply("true")
