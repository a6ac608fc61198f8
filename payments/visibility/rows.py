"""Builds the rows of a list: each payment, what this person may do with it, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from b24app.identity.session import Caller
from payments import reasons
from payments.attempts import messages, refused_changes
from payments.gateway import Order, Owner, Payment, PaySystem, UnreadableRow
from payments.lookups.pay_systems import Systems
from payments.models import Approval, Attempt, Policy
from payments.offer import Offer
from payments.policy.rules import policy_of
from payments.visibility.choices import choice_of, other_systems
from payments.visibility.past_attempts import attempts_on, paid_back_words
from payments.visibility.restrictions import Rule, approvals_of, names_of_approvers
from payments.visibility.undoable import is_marked, is_undoable
from payments.visibility.usual_system import Habit

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True)
class Row:
    """One payment of a list. What may be done with it takes the order right into account."""

    payment: Payment
    owner: Owner | None
    offer: Offer
    attempt: Attempt | None  # the open one
    systems: list[PaySystem]  # to choose from; the payment's own comes first
    bound_fits: bool  # the payment's own pay system can be paid through
    payable: bool
    why_not: StrOrPromise  # a sentence if it cannot be paid now
    bound_against: str = ""  # the code of the reason if it cannot
    paid_back: StrOrPromise = ""  # a sentence if it was paid before
    # Above the limit of the portal's rules: this person still has to ask, or has asked.
    can_ask: bool = False
    approval: Approval | None = None
    # Its own pay system takes nothing from an app, so it may be marked as paid by hand.
    markable: bool = False
    can_ask_to_mark: bool = False
    marked: bool = False
    # This person may take back, now, what made it paid; or Bitrix24 did not let them lately.
    undoable: bool = False
    undo_refused: StrOrPromise = ""
    usual_id: int = 0  # what is chosen already; 0 where the payment has a pay system of its own

    @property
    def bound_words(self) -> StrOrPromise:
        """Why the payment's own pay system cannot be paid through, or ""."""
        return reasons.IN_CHOICE.get(self.bound_against, "")

    @property
    def other_systems(self) -> list[PaySystem]:
        """The pay systems to offer in place of the payment's own one."""
        return other_systems(self.offer, self.systems, bound_fits=self.bound_fits)


@dataclass(frozen=True)
class Listing:
    """The rows of one screen, and what holds for all of them."""

    rows: list[Row]
    may_pay: bool  # the person's order right; without it no row is payable
    next_before: int | None  # goes into the next reading for Show more
    # False if the portal's token does not work: then only a payment's own pay system is offered.
    systems_known: bool
    can_pay_at_all: bool  # the portal has a pay system that Pay works with
    rules: Policy
    names: dict[int, str] = field(default_factory=dict)  # of approvers, by user id
    unreadable: Sequence[SeenUnreadable] = ()  # payments that cannot be read, and so not paid


@dataclass(frozen=True)
class Seen:
    """A payment that this person may see, and the deal or invoice that allows it."""

    payment: Payment
    owner: Owner | None
    order: Order | None = None  # None if it was not read


@dataclass(frozen=True)
class SeenUnreadable:
    """A payment that cannot be read, and the deal or invoice under which it is seen."""

    row: UnreadableRow
    owner: Owner | None


def listing(
    person: Caller,
    seen: Sequence[Seen],
    *,
    may_pay: bool,
    systems: Systems | None,
    made_at: datetime,
    next_before: int | None = None,
    is_admin: bool = False,
    unreadable: Sequence[SeenUnreadable] = (),
) -> Listing:
    """Builds the rows. `made_at` is when reading began, by the app's clock: the page does not show
    what is paid and paid back after it."""
    payment_ids = [one.payment.id for one in seen]
    policy = policy_of(person.portal)
    still_open, ended = attempts_on(payment_ids, portal=person.portal)
    approvals = approvals_of(person, [one.payment for one in seen], policy)
    habit = Habit(person)
    refused = refused_changes.remembered(person, payment_ids)
    rows = [
        _row(
            person,
            one,
            still_open.get(one.payment.id),
            ended.get(one.payment.id),
            rule=Rule(policy, one.payment, approvals.get(one.payment.id)),
            systems=systems,
            may_pay=may_pay,
            is_admin=is_admin,
            made_at=made_at,
            habit=habit,
            refused=refused.get(one.payment.id, ""),
        )
        for one in seen
    ]
    return Listing(
        rows,
        may_pay,
        next_before,
        systems_known=systems is not None,
        can_pay_at_all=systems is None or bool(systems.fitting(None)),
        rules=policy,
        names=names_of_approvers(person, approvals.values()),
        unreadable=unreadable,
    )


def _row(
    person: Caller,
    seen: Seen,
    attempt: Attempt | None,
    ended: Attempt | None,
    *,
    rule: Rule,
    systems: Systems | None,
    may_pay: bool,
    is_admin: bool,
    made_at: datetime,
    habit: Habit,
    refused: str,
) -> Row:
    payment = seen.payment
    offer = _offer(person, payment, seen.owner, made_at)
    why_not = _why_not(payment, seen.order, attempt)
    is_possible = may_pay and not why_not
    choice = choice_of(offer, systems, rule, order=seen.order, paid=payment.paid, refused=refused)
    if is_possible:
        choice = habit.applied_to(choice)
    undoable = may_pay and is_undoable(
        payment, ended, person_id=person.user_id, rules=rule.policy, is_admin=is_admin
    )
    return Row(
        payment=payment,
        owner=seen.owner,
        offer=offer,
        attempt=attempt,
        systems=choice.systems,
        bound_fits=choice.bound_fits,
        payable=is_possible and not choice.why_not,
        why_not=why_not or choice.why_not,
        bound_against=choice.bound_against,
        paid_back=paid_back_words(payment, ended, reader_id=person.user_id),
        can_ask=is_possible and choice.can_ask,
        approval=rule.approval,
        markable=is_possible and choice.markable,
        can_ask_to_mark=is_possible and choice.can_ask_to_mark,
        usual_id=choice.usual_id,
        marked=is_marked(payment, ended),
        undoable=undoable and not refused,
        undo_refused=messages.why_not(refused) if refused and undoable else "",
    )


def _why_not(payment: Payment, order: Order | None, attempt: Attempt | None) -> StrOrPromise:
    if payment.paid:
        return messages.why_not(reasons.ALREADY_PAID)
    if attempt is not None:
        return reasons.OPEN_ATTEMPT
    if order is not None and order.canceled:
        return messages.why_not(reasons.ORDER_CANCELED)
    if payment.sum <= 0:
        return messages.why_not(reasons.SUM_ZERO)
    return ""


def _offer(person: Caller, payment: Payment, owner: Owner | None, made_at: datetime) -> Offer:
    return Offer(
        portal_id=person.portal.pk,
        user_id=person.user_id,
        payment_id=payment.id,
        account_number=payment.account_number,
        order_id=payment.order_id,
        owner=owner,
        sum=payment.sum,
        currency=payment.currency,
        pay_system_id=payment.pay_system_id,
        pay_system_name=payment.pay_system_name,
        made_at=made_at,
    )
