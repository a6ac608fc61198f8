"""How an attempt ends: by what the payment itself says, read back, and by nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from django.utils import timezone

from b24app.client import portal_client
from b24app.errors import B24Error, NotFound
from b24app.models import Portal
from b24app.signals import Later
from payments import gateway, reasons
from payments.claim import close, give_up, leave_open
from payments.gateway import Payment
from payments.guards import Stopped
from payments.models import SETTLE_AFTER, Attempt, State
from payments.offer import Offer
from payments.payer import Payer
from payments.standing import read_back


@dataclass(frozen=True)
class Reply:
    """What came back when the payment was sent. No `answer` proves that it is paid; all but "none"
    mean that the portal is done with it, so that unpaid is final."""

    answer: Literal["true", "refused", "never sent", "none"]
    error: dict[str, Any] = field(default_factory=dict)

    @property
    def evidence(self) -> dict[str, Any]:
        return {"answer": self.answer, **self.error}


_REASON_OF_UNPAID = {
    "true": reasons.TRUE_WITHOUT_PAYMENT,
    "refused": reasons.REFUSED_BY_BITRIX24,
    "never sent": reasons.NOT_REACHED,
}


def settle(person: Payer, offer: Offer, attempt: Attempt, *, reply: Reply) -> Attempt:
    """Read the payment back after it was sent, and write down what has become of it."""
    try:
        payment = read_back(person, offer, of_own_attempt=True)
    except (B24Error, Stopped):
        if reply.answer == "never sent":
            return close(
                attempt, State.REFUSED, reason=reasons.NOT_REACHED, evidence=reply.evidence
            )
        reason = reasons.NO_ANSWER if reply.answer == "none" else reasons.READ_BACK_FAILED
        return leave_open(attempt, reason=reason, evidence=reply.evidence)
    evidence = {**reply.evidence, **_as_evidence(payment)}
    if payment.paid:
        return _paid(attempt, payment, evidence)
    reason_of_unpaid = _REASON_OF_UNPAID.get(reply.answer)
    if reason_of_unpaid is None:
        return leave_open(attempt, reason=reasons.NO_ANSWER, evidence=evidence)
    return close(attempt, State.REFUSED, reason=reason_of_unpaid, evidence=evidence)


def check(person: Payer, offer: Offer) -> Attempt | None:
    """Look at the payment again and settle its open attempt if that can be done; waits for the
    portal.

    Answers the latest attempt, None where there never was one. Raises Refused where this person
    may no longer see the payment, another B24Error where nobody could read it.
    """
    attempt = Attempt.objects.latest_on(offer.payment_id, portal_id=offer.portal_id)
    if attempt is None or not attempt.is_open:
        return attempt
    asked_at = timezone.now()
    if attempt.is_abandoned(asked_at):
        return give_up(attempt)
    if attempt.sent_at is None:
        return attempt
    try:
        payment = read_back(person, offer, of_own_attempt=attempt.user_id == person.user_id)
    except Stopped as stop:
        if not attempt.is_overdue(asked_at):
            return attempt
        # A paid payment cannot be deleted, so this one never was.
        return close(attempt, State.REFUSED, reason=stop.reason, evidence={})
    return _settled_by(attempt, payment, asked_at)


def settle_saved(portal: Portal, payment_id: int) -> None:
    """The portal has saved this payment: settle its open attempt by what the portal's token reads.

    Asks nothing where no attempt is open, which is so for nearly all that a portal saves. Raises
    Later where it is too early to tell, a B24Error where nobody could read the payment.
    """
    attempt = Attempt.objects.on(payment_id, portal_id=portal.pk).still_open().first()
    if attempt is None:
        return
    asked_at = timezone.now()
    if attempt.is_abandoned(asked_at):
        give_up(attempt)
        return
    if attempt.sent_at is None:
        # Saved by our own re-binding, or by somebody else, before it is paid.
        return
    # A strict comparison decides what is overdue.
    overdue_at = attempt.sent_at + SETTLE_AFTER + timedelta(seconds=1)
    if attempt.state == State.PAYING and not attempt.is_overdue(asked_at):
        # Whoever is paying reads it back in a moment; we look only if they died meanwhile.
        raise Later(overdue_at)
    try:
        payment = portal_client(portal).read(gateway.payment(payment_id))
    except NotFound as error:
        if not attempt.is_overdue(asked_at):
            raise Later(overdue_at) from error
        close(attempt, State.REFUSED, reason=reasons.PAYMENT_GONE, evidence={})
        return
    if _settled_by(attempt, payment, asked_at).is_open:
        raise Later(overdue_at)


def _settled_by(attempt: Attempt, payment: Payment, asked_at: datetime) -> Attempt:
    """Unpaid is final only where the question came after the time that paying can take."""
    evidence = _as_evidence(payment)
    if payment.paid:
        return _paid(attempt, payment, evidence)
    if not attempt.is_overdue(asked_at):
        return attempt
    return close(attempt, State.REFUSED, reason=reasons.NOT_CARRIED_OUT, evidence=evidence)


def _paid(attempt: Attempt, payment: Payment, evidence: dict[str, Any]) -> Attempt:
    by_other = payment.emp_paid_id not in (None, attempt.user_id)
    reason = reasons.PAID_BY_OTHER if by_other else ""
    return close(attempt, State.PAID, reason=reason, evidence=evidence)


def _as_evidence(payment: Payment) -> dict[str, Any]:
    return {
        "paid": "Y" if payment.paid else "N",
        "datePaid": payment.date_paid.isoformat() if payment.date_paid else None,
        "empPaidId": payment.emp_paid_id,
        "paySystemId": payment.pay_system_id,
    }
