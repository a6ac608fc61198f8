"""A line of a screen: one payment, what may be done with it, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payments import reasons
from payments.gateway import Order, Owner, Payment, PaySystem
from payments.models import Attempt
from payments.offer import Offer
from payments.payer import Payer
from payments.policy import Policy, policy_of
from payments.systems import Systems
from payments.visible.attempts import is_marked, is_undoable, latest_attempts

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True)
class Row:
    """`systems` are those to choose from, the bound one first; where `bound_fits` is false, that
    one cannot be paid from here and another has to be chosen. `attempt` is the open one, if any.
    `why_not` is a sentence where nobody could pay this now; `payable` also takes the person's
    right into account. `markable`: the bound one moves no money through the app, so that the
    payment may also be marked as paid by hand. `marked`: it was; `undoable`: this person may take
    back, now, what made it paid."""

    payment: Payment
    owner: Owner | None
    offer: Offer
    attempt: Attempt | None
    systems: list[PaySystem]
    bound_fits: bool
    payable: bool
    why_not: StrOrPromise
    markable: bool = False
    marked: bool = False
    undoable: bool = False


@dataclass(frozen=True)
class Choice:
    """What an unpaid payment can be paid by: these fields are a row's."""

    offer: Offer
    systems: list[PaySystem]
    bound_fits: bool
    markable: bool

    @property
    def payable(self) -> bool:
        return self.bound_fits or len(self.systems) > 1


@dataclass(frozen=True)
class Listing:
    """`may_pay` is the person's order right; without it no row is payable. `next_before` goes into
    the next reading for Show more. `systems_known` is false where the portal's own token does not
    work, so that only the bound pay system can be offered."""

    rows: list[Row]
    may_pay: bool
    next_before: int | None
    systems_known: bool


@dataclass(frozen=True)
class Seen:
    """A payment this person may see, and under what; the order is None where it was not read."""

    payment: Payment
    owner: Owner | None
    order: Order | None = None


def listing(
    person: Payer,
    seen: Sequence[Seen],
    *,
    may_pay: bool,
    systems: Systems | None,
    next_before: int | None = None,
    is_admin: bool = False,
) -> Listing:
    attempts = latest_attempts(person, [one.payment.id for one in seen])
    rules = policy_of(person.portal)
    rows = [
        _row(
            person,
            one,
            attempts.get(one.payment.id),
            rules=rules,
            systems=systems,
            may_pay=may_pay,
            is_admin=is_admin,
        )
        for one in seen
    ]
    return Listing(rows, may_pay, next_before, systems_known=systems is not None)


def _row(
    person: Payer,
    seen: Seen,
    latest: Attempt | None,
    *,
    rules: Policy,
    systems: Systems | None,
    may_pay: bool,
    is_admin: bool,
) -> Row:
    payment = seen.payment
    attempt = latest if latest is not None and latest.is_open else None
    offer = _offer(person, payment, seen.owner)
    choice = choice_of(offer, systems, order=seen.order, paid=payment.paid)
    why_not = _why_not(payment, seen.order, attempt, choice)
    return Row(
        payment=payment,
        owner=seen.owner,
        offer=offer,
        attempt=attempt,
        systems=choice.systems,
        bound_fits=choice.bound_fits,
        payable=may_pay and not why_not,
        why_not=why_not,
        markable=choice.markable and may_pay and why_not in ("", reasons.NO_FITTING_SYSTEM),
        marked=is_marked(payment, latest),
        undoable=may_pay
        and is_undoable(payment, latest, person_id=person.user_id, rules=rules, is_admin=is_admin),
    )


def choice_of(
    offer: Offer, systems: Systems | None, *, order: Order | None = None, paid: bool = False
) -> Choice:
    """What to choose from, the bound one first, and what can be done with that from here."""
    bound_by_name = _bound_by_name(offer)
    if systems is None:
        return Choice(offer, [bound_by_name], bool(offer.pay_system_id), markable=False)
    bound = systems.find(offer.pay_system_id)
    if paid:
        return Choice(offer, [bound or bound_by_name], bound_fits=False, markable=False)
    person_type_id = _person_type(order, bound)
    others = [
        system for system in systems.fitting(person_type_id) if system.id != offer.pay_system_id
    ]
    return Choice(
        offer,
        [bound or bound_by_name, *others],
        bound_fits=bound is not None and systems.can_be_paid(bound),
        markable=bound is not None and systems.needs_mark(bound),
    )


def _person_type(order: Order | None, bound: PaySystem | None) -> int | None:
    """Whom the order is for. A deal's list of payments does not name the order; then what it was
    bound to shows it."""
    if order is not None:
        return order.person_type_id
    return bound.person_type_id if bound is not None else None


def _bound_by_name(offer: Offer) -> PaySystem:
    """All that is known of a pay system where the portal's list cannot be had."""
    return PaySystem(
        id=offer.pay_system_id,
        name=offer.pay_system_name,
        active=True,
        registry="ORDER",
        person_type_id=None,
        action_file="",
        is_cash=False,
        sort=0,
    )


def _why_not(
    payment: Payment, order: Order | None, attempt: Attempt | None, choice: Choice
) -> StrOrPromise:
    if payment.paid:
        return reasons.SENTENCES[reasons.ALREADY_PAID]
    if attempt is not None:
        return reasons.OPEN_ATTEMPT
    if order is not None and order.canceled:
        return reasons.SENTENCES[reasons.ORDER_CANCELED]
    if payment.sum <= 0:
        return reasons.SENTENCES[reasons.SUM_ZERO]
    return "" if choice.payable else reasons.NO_FITTING_SYSTEM


def _offer(person: Payer, payment: Payment, owner: Owner | None) -> Offer:
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
    )
