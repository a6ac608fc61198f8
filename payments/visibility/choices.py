"""What an unpaid payment can be paid by, and whether it can be marked as paid by hand instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payments import reasons
from payments.attempts import checks, messages
from payments.gateway import Order, PaySystem
from payments.lookups.pay_systems import Systems
from payments.offer import Offer
from payments.visibility.restrictions import Rule

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True)
class Choice:
    """`systems` are those to choose from, the payment's own first. Without `bound_fits`, that one
    cannot be paid from here, for the reason whose code is `bound_against`. `why_not` is a
    sentence where nothing can be chosen, or a second person has to agree first: then `can_ask`, or
    `can_ask_to_mark`, where nobody was asked yet. `usual_id` is what the person is likely to
    choose: set only where the payment has no pay system of its own."""

    offer: Offer
    systems: list[PaySystem]
    bound_fits: bool
    bound_against: str
    why_not: StrOrPromise
    can_ask: bool
    markable: bool
    can_ask_to_mark: bool
    usual_id: int = 0

    @property
    def bound_words(self) -> StrOrPromise:
        """As a row's."""
        return reasons.IN_CHOICE.get(self.bound_against, "")

    @property
    def other_systems(self) -> list[PaySystem]:
        """As a row's."""
        return other_systems(self.offer, self.systems, bound_fits=self.bound_fits)


def other_systems(offer: Offer, systems: list[PaySystem], *, bound_fits: bool) -> list[PaySystem]:
    """What can be paid by in place of the payment's own pay system, which cannot. Empty where the
    own one can, and where there is none: then one is simply chosen."""
    return systems[1:] if offer.pay_system_id and not bound_fits else []


def choice_of(
    offer: Offer,
    systems: Systems | None,
    rule: Rule,
    *,
    order: Order | None = None,
    paid: bool = False,
    may_change: bool = True,
) -> Choice:
    """Whether this person may pay orders at all is not asked here. Without `may_change`, Bitrix24
    does not let them change this order: no other pay system, and no mark."""
    listed, bound_fits = rule.choice(*_listed(offer, systems, order=order, paid=paid))
    no_choice = rule.no_choice
    if not may_change:
        listed, no_choice = listed[:1], messages.why_not(reasons.NO_ORDER_UPDATE)
    why_not = "" if bound_fits or len(listed) > 1 else no_choice
    bound = systems.find(offer.pay_system_id) if systems else None
    by_hand = (
        may_change
        and not paid
        and systems is not None
        and bound is not None
        and systems.needs_mark(bound)
    )
    markable, can_ask_to_mark = by_hand and rule.may_mark, by_hand and rule.may_ask_to_mark
    against = "" if paid or bound_fits else _against(bound, systems, rule, offer.pay_system_id)
    if against == reasons.PAY_SYSTEM_BUILT_IN and not (markable or can_ask_to_mark):
        # Its words are to mark the payment instead.
        against = reasons.PAY_SYSTEM_UNFIT
    return Choice(
        offer,
        listed,
        bound_fits,
        bound_against=against,
        why_not=why_not or rule.why_not,
        can_ask=not why_not and rule.wants_approval,
        markable=markable,
        can_ask_to_mark=can_ask_to_mark,
    )


def _against(bound: PaySystem | None, systems: Systems | None, rule: Rule, own_id: int) -> str:
    if systems is None or systems.may_hide(own_id):
        return rule.against_bound
    against = checks.reason_against(bound, systems)
    if against == reasons.PAY_SYSTEM_BUILT_IN and bound is not None:
        return against if systems.needs_mark(bound) else reasons.PAY_SYSTEM_UNFIT
    return against or rule.against_bound


def _listed(
    offer: Offer, systems: Systems | None, *, order: Order | None, paid: bool
) -> tuple[list[PaySystem], bool]:
    """The bound one first, and whether that one can be paid from here, as far as Bitrix24 goes."""
    bound_by_name = _bound_by_name(offer)
    if systems is None:
        return [bound_by_name], bool(offer.pay_system_id)
    bound = systems.find(offer.pay_system_id)
    if paid:
        return [bound or bound_by_name], False
    person_type_id = _person_type(order, bound)
    others = [
        system for system in systems.fitting(person_type_id) if system.id != offer.pay_system_id
    ]
    if bound is None and systems.may_hide(offer.pay_system_id):
        return [bound_by_name, *others], bool(offer.pay_system_id)
    bound_fits = bound is not None and systems.can_be_paid(bound)
    return [bound or bound_by_name, *others], bound_fits


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
