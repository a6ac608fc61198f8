"""A line of a screen: one payment, what may be done with it, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from payments import guards, reasons
from payments.gateway import Order, Owner, Payment, PaySystem
from payments.models import Attempt
from payments.offer import Offer
from payments.payer import Payer
from payments.systems import Systems
from payments.visible.past import attempts_on, paid_back_words

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True)
class Row:
    """`systems` are those to choose from, the bound one first; where `bound_fits` is false, that
    one cannot be paid from here and another has to be chosen, and `bound_against` is the code of
    the reason. `attempt` is the open one, if any. `why_not` is a sentence where nobody could pay
    this now; `payable` also takes the person's right into account. `paid_back` is a sentence where
    it has been paid before."""

    payment: Payment
    owner: Owner | None
    offer: Offer
    attempt: Attempt | None
    systems: list[PaySystem]
    bound_fits: bool
    payable: bool
    why_not: StrOrPromise
    bound_against: str = ""
    paid_back: StrOrPromise = ""

    @property
    def bound_words(self) -> StrOrPromise:
        """Why the bound pay system cannot be paid through, in the words of the choice."""
        return reasons.IN_CHOICE.get(self.bound_against, "")


@dataclass(frozen=True)
class Listing:
    """`may_pay` is the person's order right; without it no row is payable. `next_before` goes into
    the next reading for Show more. `systems_known` is false where the portal's own token does not
    work, so that only the bound pay system can be offered; `can_pay_at_all` is false where the
    portal has no pay system that Pay works with."""

    rows: list[Row]
    may_pay: bool
    next_before: int | None
    systems_known: bool
    can_pay_at_all: bool = True


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
    made_at: datetime,
    next_before: int | None = None,
) -> Listing:
    """`made_at` is when reading began, by our clock: what is paid and paid back from then on, the
    page does not show."""
    still_open, ended = attempts_on([one.payment.id for one in seen], portal=person.portal)
    rows = [
        _row(
            person,
            one,
            still_open.get(one.payment.id),
            paid_back=paid_back_words(
                one.payment, ended.get(one.payment.id), reader_id=person.user_id
            ),
            systems=systems,
            may_pay=may_pay,
            made_at=made_at,
        )
        for one in seen
    ]
    return Listing(
        rows,
        may_pay,
        next_before,
        systems_known=systems is not None,
        can_pay_at_all=systems is None or bool(systems.fitting(None)),
    )


def _row(
    person: Payer,
    seen: Seen,
    attempt: Attempt | None,
    *,
    paid_back: StrOrPromise,
    systems: Systems | None,
    may_pay: bool,
    made_at: datetime,
) -> Row:
    payment = seen.payment
    choice, bound_fits = _choice(payment, seen.order, systems)
    bound_against = ""
    if systems is not None and not payment.paid:
        bound_against = guards.reason_against(systems.find(payment.pay_system_id), systems)
    why_not = _why_not(payment, seen.order, attempt, has_choice=bound_fits or len(choice) > 1)
    return Row(
        payment=payment,
        owner=seen.owner,
        offer=_offer(person, payment, seen.owner, made_at),
        attempt=attempt,
        systems=choice,
        bound_fits=bound_fits,
        payable=may_pay and not why_not,
        why_not=why_not,
        bound_against=bound_against,
        paid_back=paid_back,
    )


def _choice(
    payment: Payment, order: Order | None, systems: Systems | None
) -> tuple[list[PaySystem], bool]:
    """What to choose from, the bound one first, and whether that one can be paid from here."""
    if systems is None:
        return [_bound_by_name(payment)], bool(payment.pay_system_id)
    bound = systems.find(payment.pay_system_id)
    if payment.paid:
        return [bound or _bound_by_name(payment)], False
    person_type_id = _person_type(order, bound)
    others = [
        system for system in systems.fitting(person_type_id) if system.id != payment.pay_system_id
    ]
    bound_fits = bound is not None and systems.can_be_paid(bound)
    return [bound or _bound_by_name(payment), *others], bound_fits


def _person_type(order: Order | None, bound: PaySystem | None) -> int | None:
    """Whom the order is for. A deal's list of payments does not name the order; then what it was
    bound to shows it."""
    if order is not None:
        return order.person_type_id
    return bound.person_type_id if bound is not None else None


def _bound_by_name(payment: Payment) -> PaySystem:
    """All that is known of a pay system where the portal's list cannot be had."""
    return PaySystem(
        id=payment.pay_system_id,
        name=payment.pay_system_name,
        active=True,
        registry="ORDER",
        person_type_id=None,
        action_file="",
        is_cash=False,
        sort=0,
    )


def _why_not(
    payment: Payment, order: Order | None, attempt: Attempt | None, *, has_choice: bool
) -> StrOrPromise:
    if payment.paid:
        return reasons.SENTENCES[reasons.ALREADY_PAID]
    if attempt is not None:
        return reasons.OPEN_ATTEMPT
    if order is not None and order.canceled:
        return reasons.SENTENCES[reasons.ORDER_CANCELED]
    if payment.sum <= 0:
        return reasons.SENTENCES[reasons.SUM_ZERO]
    return "" if has_choice else reasons.NO_FITTING_SYSTEM


def _offer(person: Payer, payment: Payment, owner: Owner | None, made_at: datetime) -> Offer:
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
