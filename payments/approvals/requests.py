"""A second person's word on a payment above the limit: ask for it, give it, refuse it, withdraw.

None of these pays anything. Whoever asked still has to pay, and is checked again then.
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
    """What was wanted cannot be asked for, approved or declined; `sentence` says why."""

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
    """Ask for approval of what was offered; waits for the portal. Answers the request that stands:
    a second one for the same is the first.

    Raises NotPossible where this person may not pay it, it is not what was offered any more, or it
    needs no approval; Missing for an offer that is not this person's.
    """
    if (offer.portal_id, offer.user_id) != (person.portal.pk, person.user_id):
        raise Missing("the offer was made to somebody else")
    policy = policy_of(person.portal)
    if not policy.allows_system(pay_system_id):
        raise NotPossible(why_not(reasons.POLICY_SYSTEM))
    if not policy.needs_approval(offer.sum, offer.currency):
        raise NotPossible(reasons.NO_APPROVAL_NEEDED)
    if Attempt.objects.on(offer.payment_id, portal_id=offer.portal_id).still_open().exists():
        raise NotPossible(reasons.OPEN_ATTEMPT)
    _look(person, offer)
    wanted = _new(person, offer, pay_system_id, pay_system_name, kind)
    try:
        with transaction.atomic():
            return _standing_or(wanted)
    except IntegrityError:
        # The same person asked in another window at the same time: that one stands.
        standing = _standing(wanted)
        if standing is None:
            raise NotPossible(reasons.DECIDED_MEANWHILE) from None
        return standing


def approve(person: Caller, approval_id: int) -> Approval:
    """Give the approval, having read the payment anew; waits for the portal.

    Raises NotPossible where it is the person's own request, is not waiting any more, is not what it
    was, or the person may not pay it themselves; Missing where the portal has no such request.
    """
    approval = look_at(person, approval_id)
    return _decide(approval, person, ApprovalState.APPROVED, event="approved")


def decline(person: Caller, approval_id: int, *, note: str) -> Approval:
    """Refuse it, with a reason for whoever asked. Raises as `approve` does, but for a payment that
    has changed: that can be declined."""
    approval = look_at_declinable(person, approval_id)
    return _decide(approval, person, ApprovalState.DECLINED, event="declined", note=note)


def look_at(person: Caller, approval_id: int) -> Approval:
    """A request that this person may decide, and whose payment is still what it says."""
    approval = _waiting(person, approval_id)
    approval.owner_title = _look(person, offer_of(approval, person))
    return approval


def look_at_declinable(person: Caller, approval_id: int) -> Approval:
    """A request that this person may decide, whatever has become of its payment."""
    approval = _waiting(person, approval_id)
    approval.owner_title = _look(person, offer_of(approval, person), is_compared=False)
    return approval


def own(person: Caller, approval_id: int) -> Approval:
    """A request of this person's that can still be withdrawn. Raises NotPossible, Missing."""
    approval = Approval.objects.filter(
        pk=approval_id, portal=person.portal, requested_by=person.user_id
    ).first()
    if approval is None:
        raise Missing(f"approval {approval_id} is not this person's")
    if not approval.is_live(timezone.now()):
        raise NotPossible(reasons.DECIDED_MEANWHILE)
    return approval


def withdraw(person: Caller, approval_id: int) -> Approval:
    """Whoever asked does not want it any more, approved or not. Raises NotPossible, Missing."""
    approval = own(person, approval_id)
    with transaction.atomic():
        _withdraw(approval)
    return approval


def offer_of(approval: Approval, person: Caller) -> Offer:
    """What was asked for, as it would be offered to the person who decides."""
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


def _look(person: Caller, offer: Offer, *, is_compared: bool = True) -> str:
    """Read the payment as this person's own token shows it, beside their order right; returns the
    title of its deal or invoice, empty where that is not known."""
    batch = person.client.batch()
    proof = AccessProof(batch, offer)
    title = _Title(batch, offer.owner)
    batch.run()
    try:
        payment = proof.payment()
        if is_compared:
            checks.check_payment(payment, offer)
    except Stopped as stop:
        raise NotPossible(why_not(stop.reason)) from stop
    return title.get()


class _Title:
    """Good to have in a question, and never a reason not to ask it."""

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


def _standing_or(wanted: Approval) -> Approval:
    """The live request for the same, or `wanted` stored; one for something else makes way."""
    Approval.objects.filter(portal=wanted.portal, payment_id=wanted.payment_id).expire(
        wanted.requested_at
    )
    standing = _standing(wanted)
    if standing is not None:
        if standing.binds(
            sum=wanted.sum,
            currency=wanted.currency,
            pay_system_id=wanted.pay_system_id,
            kind=wanted.kind,
        ):
            return standing
        _withdraw(standing)
    wanted.save(force_insert=True)
    _record(wanted, "approval_asked", actor_id=wanted.requested_by)
    return wanted


def _standing(wanted: Approval) -> Approval | None:
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
    """The note stays out: the ledger is never changed, and people write names into notes."""
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
