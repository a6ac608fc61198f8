"""Settles an attempt by reading the payment back. Only the payment itself shows the outcome."""

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
from payments.attempts.evidence import as_evidence
from payments.attempts.kinds import action_of
from payments.attempts.snapshot import read_back
from payments.attempts.transitions import close, give_up, leave_open
from payments.gateway import Payment
from payments.models import Attempt, State
from payments.offer import Offer
from payments.reasons import Stopped


@dataclass(frozen=True)
class Reply:
    """The portal's answer to the call of an attempt. It does not prove that anything was done."""

    # Any answer but "none" means that the portal has finished the call: a payment that is unchanged
    # then stays unchanged.
    answer: Literal["true", "refused", "denied", "never sent", "none"]
    error: dict[str, Any] = field(default_factory=dict)  # as in the evidence

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
    """Reads the payment back after the call, and records the outcome."""
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
    """Reads the payment again and settles its open attempt if the outcome is known now.

    Returns the payment's latest attempt, None if it has none. Raises Refused if this person may no
    longer see the payment, another B24Error if it could not be read.
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
    """Settles the open attempt of a payment that the portal saved, read by the portal's token.

    Calls nothing if no attempt is open, as for nearly every saved payment. Raises Later if it is
    too early to tell, a B24Error if the payment could not be read.
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
        # Not sent yet: this app changed its pay system, or another person saved it.
        return
    if attempt.state == State.PAYING and not attempt.is_overdue(asked_at):
        # The paying process reads it back in a moment; read it here only if that process died.
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
    """Settles a sent attempt by its payment; None means that the payment is deleted.

    A deleted or unchanged payment is final only if it was read (`asked_at`) after the time that a
    call can take. Before that the attempt stays open.
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
    """Closes the attempt as done or refused. `unchanged` is the reason of a refusal for which the
    payment itself shows no reason."""
    evidence = {**evidence, **as_evidence(payment)}
    action = action_of(attempt)
    is_done, reason = action.outcome(attempt, payment)
    state = action.done if is_done else State.REFUSED
    reason = reason if is_done else reason or unchanged
    return close(attempt, state, reason=reason, evidence=evidence)
