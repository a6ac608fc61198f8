"""Applies the portal's rules to one payment: which pay systems are allowed, who must approve."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.utils import timezone

from b24app.identity.session import Caller
from payments import reasons
from payments.gateway import Payment, PaySystem
from payments.lookups import users
from payments.models import Approval, Kind, Policy
from payments.offer import Offer
from payments.policy.rules import policy_of

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def approvals_of(
    person: Caller, payments: Collection[Payment], policy: Policy
) -> dict[int, Approval]:
    """Returns this person's requests and approvals by payment id.

    Sends no statement if no payment is above a limit.
    """
    above = [
        payment.id
        for payment in payments
        if not payment.paid and policy.needs_approval(payment.sum, payment.currency)
    ]
    if not above:
        return {}
    found = Approval.objects.of_requester(
        person.user_id, portal_id=person.portal.pk, payment_ids=above, now=timezone.now()
    )
    return {approval.payment_id: approval for approval in found}


def rule_of(person: Caller, offer: Offer) -> Rule:
    """Reads the rules for one offer: one statement, or two if the payment is above a limit."""
    policy = policy_of(person.portal)
    if not policy.needs_approval(offer.sum, offer.currency):
        return Rule(policy, offer, None)
    approvals = Approval.objects.of_requester(
        person.user_id,
        portal_id=offer.portal_id,
        payment_ids=[offer.payment_id],
        now=timezone.now(),
    )
    return Rule(policy, offer, approvals.first())


def names_of_approvers(person: Caller, approvals: Collection[Approval]) -> dict[int, str]:
    ids = {approval.decided_by for approval in approvals if approval.decided_by is not None}
    return users.names(person, ids) if ids else {}


class Rule:
    """The portal's rules for one payment, and this person's approval of it."""

    def __init__(self, policy: Policy, payment: Payment | Offer, approval: Approval | None) -> None:
        """Ignores an approval of another sum or currency than the payment has now."""
        self.policy = policy
        self._bound_id = payment.pay_system_id
        self._is_above = policy.needs_approval(payment.sum, payment.currency)
        if approval is not None and (approval.sum, approval.currency) != (
            payment.sum,
            payment.currency,
        ):
            approval = None
        self.approval = approval if self._is_above else None
        self._is_narrowed = False

    @property
    def wants_approval(self) -> bool:
        return self._is_above and self.approval is None

    @property
    def _good(self) -> Approval | None:
        """The approval, if it was granted and allows to pay, not only to mark as paid."""
        approval = self.approval
        is_good = approval is not None and approval.is_approved and approval.kind == Kind.PAY
        return approval if is_good else None

    @property
    def why_not(self) -> StrOrPromise:
        if not self._is_above or self._good is not None:
            return ""
        if self.approval is None:
            return reasons.ABOVE_LIMIT
        return reasons.APPROVED_TO_MARK if self.approval.is_approved else reasons.WAITS_FOR_APPROVAL

    @property
    def against_bound(self) -> str:
        """The code of the reason why the payment's own pay system may not be used."""
        if self.policy.allows_system(self._bound_id):
            return reasons.APPROVED_OTHERWISE
        return reasons.POLICY_SYSTEM

    @property
    def may_mark(self) -> bool:
        """Whether the person may mark the payment as paid by its own pay system."""
        if not self.policy.allows_system(self._bound_id):
            return False
        approval = self.approval
        return not self._is_above or (
            approval is not None
            and approval.is_approved
            and (approval.kind, approval.pay_system_id) == (Kind.MARK, self._bound_id)
        )

    @property
    def may_ask_to_mark(self) -> bool:
        return self.wants_approval and self.policy.allows_system(self._bound_id)

    @property
    def no_choice(self) -> StrOrPromise:
        return reasons.SYSTEM_NOT_ALLOWED if self._is_narrowed else reasons.NO_FITTING_SYSTEM

    def choice(self, systems: list[PaySystem], bound_fits: bool) -> tuple[list[PaySystem], bool]:
        """Returns the allowed ones of these pay systems, and whether the first one is allowed.

        The first one is the payment's own; it stays in the list even if it is not allowed.
        """
        allowed = [systems[0], *(one for one in systems[1:] if self._may_use(one.id))]
        fits = bound_fits and self._may_use(self._bound_id)
        self._is_narrowed = len(allowed) < len(systems) or fits != bound_fits
        return allowed, fits

    def _may_use(self, pay_system_id: int) -> bool:
        good = self._good
        if good is not None and pay_system_id != good.pay_system_id:
            return False
        return self.policy.allows_system(pay_system_id)
