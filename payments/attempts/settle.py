"""How an attempt ends: by what the payment itself says, read back, and by nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django.utils import timezone

from b24app.errors import B24Error, NotFound
from b24app.identity.session import Caller
from b24app.models import Portal
from b24app.signals import Later
from b24app.tokens.clients import portal_client
from payments import gateway, reasons
from payments.attempts.kinds import action_of, as_evidence
from payments.attempts.snapshot import read_back
from payments.attempts.transitions import close, give_up, leave_open
from payments.gateway import Payment
from payments.models import Attempt, State
from payments.offer import Offer
from payments.reasons import Stopped


@dataclass(frozen=True)
class Reply:
    """What came back when the attempt was sent. No `answer` proves that it is done; all but "none"
    mean that the portal is through with it, so that unchanged is final."""

    answer: Literal["true", "refused", "denied", "never sent", "none"]
    error: dict[str, Any] = field(default_factory=dict)

    @property
    def evidence(self) -> dict[str, Any]:
        return {"answer": self.answer, **self.error}


_REASON_OF_UNCHANGED = {
    "true": reasons.TRUE_WITHOUT_PAYMENT,
    "refused": reasons.REFUSED_BY_BITRIX24,
    "denied": reasons.NO_ORDER_UPDATE,
    "never sent": reasons.NOT_REACHED,
}


def settle(person: Caller, offer: Offer, attempt: Attempt, *, reply: Reply) -> Attempt:
    """Read the payment back after the attempt was sent, and write down what has become of it."""
    try:
        payment = read_back(person, offer, of_own_attempt=True)
    except (B24Error, Stopped):
        if reply.answer == "never sent":
            return close(
                attempt, State.REFUSED, reason=reasons.NOT_REACHED, evidence=reply.evidence
            )
        reason = reasons.NO_ANSWER if reply.answer == "none" else reasons.READ_BACK_FAILED
        return leave_open(attempt, reason=reason, evidence=reply.evidence)
    unchanged = _REASON_OF_UNCHANGED.get(reply.answer)
    if not _is_done(attempt, payment) and unchanged is None:
        evidence = {**reply.evidence, **as_evidence(payment)}
        return leave_open(attempt, reason=reasons.NO_ANSWER, evidence=evidence)
    return _conclude(attempt, payment, unchanged=unchanged or "", evidence=reply.evidence)


def check(person: Caller, offer: Offer) -> Attempt | None:
    """Look at the payment again and settle its open attempt if that can be done; waits for the
    portal.

    Answers the latest attempt, None where there never was one. Raises Refused where this person
    may no longer see the payment, another B24Error where nobody could read it.
    """
    attempt = Attempt.objects.latest_on(offer.payment_id, portal_id=offer.portal_id)
    if attempt is None or not attempt.is_open:
        return attempt
    attempt.portal = person.portal
    asked_at = timezone.now()
    if attempt.is_abandoned(asked_at):
        return give_up(attempt)
    if attempt.sent_at is None:
        return attempt
    payment: Payment | None
    try:
        payment = read_back(person, offer, of_own_attempt=attempt.user_id == person.user_id)
    except Stopped:
        payment = None
    return settle_by(attempt, payment, asked_at=asked_at, evidence={"askedBy": person.user_id})


def settle_saved(portal: Portal, payment_id: int) -> None:
    """The portal has saved this payment: settle its open attempt by what the portal's token reads.

    Asks nothing where no attempt is open, which is so for nearly all that a portal saves. Raises
    Later where it is too early to tell, a B24Error where nobody could read the payment.
    """
    attempt = Attempt.objects.on(payment_id, portal_id=portal.pk).still_open().first()
    if attempt is None:
        return
    attempt.portal = portal
    asked_at = timezone.now()
    if attempt.is_abandoned(asked_at):
        give_up(attempt)
        return
    overdue_at = attempt.overdue_at
    if overdue_at is None:
        # Saved by our own re-binding, or by somebody else, before it is paid.
        return
    if attempt.state == State.PAYING and not attempt.is_overdue(asked_at):
        # Whoever is paying reads it back in a moment; we look only if they died meanwhile.
        raise Later(overdue_at)
    payment: Payment | None
    try:
        payment = portal_client(portal).read(gateway.payment(payment_id))
    except NotFound:
        payment = None
    if settle_by(attempt, payment, asked_at=asked_at, evidence={"askedBy": "event"}).is_open:
        raise Later(overdue_at)


def settle_by(
    attempt: Attempt, payment: Payment | None, *, asked_at: datetime, evidence: dict[str, Any]
) -> Attempt:
    """Close an attempt that was sent by how its payment stands, None where it is gone.

    Unchanged or gone is final only where the question was asked after the time that a call can
    take; before that the attempt stays as it is.
    """
    is_final = attempt.is_overdue(asked_at)
    if payment is None:
        state, reason = action_of(attempt).gone
        return close(attempt, state, reason=reason, evidence=evidence) if is_final else attempt
    if not is_final and not _is_done(attempt, payment):
        return attempt
    return _conclude(attempt, payment, unchanged=reasons.NOT_CARRIED_OUT, evidence=evidence)


def _is_done(attempt: Attempt, payment: Payment) -> bool:
    return action_of(attempt).outcome(attempt, payment)[0]


def _conclude(
    attempt: Attempt, payment: Payment, *, unchanged: str, evidence: dict[str, Any]
) -> Attempt:
    """Done as it wanted; else refused, because of `unchanged` if the payment says nothing more."""
    evidence = {**evidence, **as_evidence(payment)}
    movement = action_of(attempt)
    is_done, reason = movement.outcome(attempt, payment)
    state = movement.done if is_done else State.REFUSED
    reason = reason if is_done else reason or unchanged
    return close(attempt, state, reason=reason, evidence=evidence)
