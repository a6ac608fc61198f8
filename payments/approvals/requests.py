"""Asks for, approves, declines and withdraws the approval of a payment above the limit.

None of these pays. The person who asked still has to press Pay, and everything is checked then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils import timezone

from b24app.errors import B24Error, FrameError, Missing
from b24app.identity.session import Caller
from b24app.rest.client import Batch
from payments import gateway, reasons
from payments.attempts import checks
from payments.attempts.messages import why_not
from payments.attempts.rights import AccessProof
from payments.gateway import Owner
from payments.ledger import chain
from payments.models import APPROVAL_LASTS, Approval, ApprovalState, Attempt, Kind
from payments.offer import Offer
from payments.policy.rules import policy_of
from payments.reasons import Stopped

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class NotPossible(FrameError):
    """It cannot be asked for, approved, declined or withdrawn; `sentence` says why."""

    status = 409

    def __init__(self, sentence: StrOrPromise = reasons.NOT_POSSIBLE) -> None:
        super().__init__(str(sentence))
        self._sentence = sentence

    @property
    def sentence(self) -> StrOrPromise:
        return self._sentence


def ask(
    person: Caller,
    offer: Offer,
    *,
    pay_system_id: int,
    pay_system_name: str,
    kind: Kind = Kind.PAY,
) -> Approval:
    """Asks for approval of the offered payment; waits for the portal. Returns the live request.

    A second request for the same returns the first. Raises NotPossible if this person may not pay
    it, it has changed since the offer, or it needs no approval; Missing if the offer belongs to
    another person.
    """
    if (offer.portal_id, offer.user_id) != (person.portal.pk, person.user_id):
        raise Missing("the offer was made to another person")
    policy = policy_of(person.portal)
    if not policy.allows_system(pay_system_id):
        raise NotPossible(why_not(reasons.POLICY_SYSTEM))
    if not policy.needs_approval(offer.sum, offer.currency):
        raise NotPossible(reasons.NO_APPROVAL_NEEDED)
    if Attempt.objects.on(offer.payment_id, portal_id=offer.portal_id).still_open().exists():
        raise NotPossible(reasons.OPEN_ATTEMPT)
    _check(person, offer)
    wanted = _new(person, offer, pay_system_id, pay_system_name, kind)
    try:
        with transaction.atomic():
            return _live_or(wanted)
    except IntegrityError:
        # The same person asked in another window at the same time: that request is the live one.
        live = _live(wanted)
        if live is None:
            raise NotPossible(reasons.DECIDED_MEANWHILE) from None
        return live


def approve(person: Caller, approval_id: int) -> Approval:
    """Reads the payment again and approves the request; waits for the portal.

    Raises NotPossible if it is the person's own request, no longer waits, its payment has changed,
    or the person may not pay it themselves; Missing if the portal has no such request.
    """
    approval = approvable(person, approval_id)
    return _decide(approval, person, ApprovalState.APPROVED, event="approved")


def decline(person: Caller, approval_id: int, *, note: str) -> Approval:
    """Declines the request, with a reason for the person who asked.

    Raises what `approve` raises, except that a changed payment can be declined.
    """
    approval = declinable(person, approval_id)
    return _decide(approval, person, ApprovalState.DECLINED, event="declined", note=note)


def approvable(person: Caller, approval_id: int) -> Approval:
    """Returns a request that this person may approve; raises what `approve` raises."""
    approval = _waiting(person, approval_id)
    approval.owner_title = _check(person, offer_of(approval, person))
    return approval


def declinable(person: Caller, approval_id: int) -> Approval:
    """Returns a request that this person may decline; raises what `decline` raises."""
    approval = _waiting(person, approval_id)
    approval.owner_title = _check(person, offer_of(approval, person), may_have_changed=True)
    return approval


def withdrawable(person: Caller, approval_id: int) -> Approval:
    """Returns a request of this person that they can still withdraw.

    Raises NotPossible if it is no longer live, Missing if it is not theirs.
    """
    approval = Approval.objects.filter(
        pk=approval_id, portal=person.portal, requested_by=person.user_id
    ).first()
    if approval is None:
        raise Missing(f"approval {approval_id} is not this person's")
    if not approval.is_live(timezone.now()):
        raise NotPossible(reasons.DECIDED_MEANWHILE)
    return approval


def withdraw(person: Caller, approval_id: int) -> Approval:
    """Withdraws the person's own request, approved or not; raises what `withdrawable` raises."""
    approval = withdrawable(person, approval_id)
    with transaction.atomic():
        _withdraw(approval)
    return approval


def offer_of(approval: Approval, person: Caller) -> Offer:
    """Returns the requested payment as an offer to the person who decides."""
    return Offer(
        portal_id=approval.portal_id,
        user_id=person.user_id,
        payment_id=approval.payment_id,
        account_number=approval.account_number,
        order_id=approval.order_id,
        owner=Owner.of(approval.owner_type, approval.owner_id),
        sum=approval.sum,
        currency=approval.currency,
        pay_system_id=approval.bound_pay_system_id,
        pay_system_name="",
        made_at=timezone.now(),
    )


def _waiting(person: Caller, approval_id: int) -> Approval:
    approval = Approval.objects.filter(pk=approval_id, portal=person.portal).first()
    if approval is None:
        raise Missing(f"no approval {approval_id} in this portal")
    if approval.requested_by == person.user_id:
        raise NotPossible(reasons.OWN_REQUEST)
    if not approval.is_waiting or approval.is_over(timezone.now()):
        raise NotPossible(reasons.DECIDED_MEANWHILE)
    return approval


def _check(person: Caller, offer: Offer, *, may_have_changed: bool = False) -> str:
    """Reads the payment and the right to pay orders, with this person's own token.

    Raises NotPossible. Returns the title of the payment's deal or invoice, empty if not known.
    """
    batch = person.client.batch()
    proof = AccessProof(batch, offer)
    title = _Title(batch, offer.owner)
    batch.run()
    try:
        payment = proof.payment()
        if not may_have_changed:
            checks.check_payment(payment, offer)
    except Stopped as stop:
        raise NotPossible(why_not(stop.reason)) from stop
    return title.get()


class _Title:
    """Reads the title of a deal or an invoice; a failure leaves it empty."""

    def __init__(self, batch: Batch, owner: Owner | None) -> None:
        self._owners = None
        if owner is not None:
            self._owners = batch.add(gateway.readable_items(owner.type_id, [owner.id]))

    def get(self) -> str:
        if self._owners is None:
            return ""
        try:
            return next((owner.title for owner in self._owners.get()), "")
        except B24Error:
            return ""


def _decide(
    approval: Approval, person: Caller, state: ApprovalState, *, event: str, note: str = ""
) -> Approval:
    now = timezone.now()
    values = {
        "state": state,
        "decided_by": person.user_id,
        "decided_at": now,
        "note": note,
        "expires_at": now + APPROVAL_LASTS,
    }
    with transaction.atomic():
        waiting = Approval.objects.filter(
            pk=approval.pk, state=ApprovalState.WAITING, expires_at__gt=now
        )
        if not waiting.update(**values):
            raise NotPossible(reasons.DECIDED_MEANWHILE)
        for name, value in values.items():
            setattr(approval, name, value)
        _record(approval, event, actor_id=person.user_id)
    return approval


def _live_or(wanted: Approval) -> Approval:
    """Returns the live request for the same payment, or stores and returns `wanted`.

    A live request for another sum, pay system or kind is withdrawn first.
    """
    Approval.objects.filter(portal=wanted.portal, payment_id=wanted.payment_id).expire(
        wanted.requested_at
    )
    live = _live(wanted)
    if live is not None:
        if live.matches(
            sum=wanted.sum,
            currency=wanted.currency,
            pay_system_id=wanted.pay_system_id,
            kind=wanted.kind,
        ):
            return live
        _withdraw(live)
    wanted.save(force_insert=True)
    _record(wanted, "approval_asked", actor_id=wanted.requested_by)
    return wanted


def _live(wanted: Approval) -> Approval | None:
    return Approval.objects.of_requester(
        wanted.requested_by,
        portal_id=wanted.portal_id,
        payment_ids=[wanted.payment_id],
        now=wanted.requested_at,
    ).first()


def _withdraw(approval: Approval) -> None:
    if not Approval.objects.filter(pk=approval.pk, state=approval.state).update(
        state=ApprovalState.WITHDRAWN
    ):
        raise NotPossible(reasons.DECIDED_MEANWHILE)
    approval.state = ApprovalState.WITHDRAWN
    _record(approval, "approval_withdrawn", actor_id=approval.requested_by)


def _new(
    person: Caller, offer: Offer, pay_system_id: int, pay_system_name: str, kind: Kind
) -> Approval:
    now = timezone.now()
    return Approval(
        portal=person.portal,
        kind=kind,
        payment_id=offer.payment_id,
        account_number=offer.account_number,
        order_id=offer.order_id,
        owner_type=offer.owner.type_id if offer.owner else None,
        owner_id=offer.owner.id if offer.owner else None,
        sum=offer.sum,
        currency=offer.currency,
        pay_system_id=pay_system_id,
        pay_system_name=pay_system_name,
        bound_pay_system_id=offer.pay_system_id,
        requested_by=person.user_id,
        requested_at=now,
        expires_at=now + APPROVAL_LASTS,
    )


def _record(approval: Approval, event: str, *, actor_id: int) -> None:
    # Without the note: people write names into notes, and the ledger is never changed.
    facts = {
        "approval": approval.pk,
        "kind": approval.kind,
        "payment": approval.payment_id,
        "account_number": approval.account_number,
        "sum": str(approval.sum),
        "currency": approval.currency,
        "pay_system": approval.pay_system_id,
        "requested_by": approval.requested_by,
    }
    chain.record(approval.portal, event, actor_id=actor_id, facts=facts)
