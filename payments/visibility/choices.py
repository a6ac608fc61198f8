"""Finds the pay systems that a payment can be paid by, and whether it can be marked instead."""

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
    """The pay systems to choose from for one payment."""

    offer: Offer
    systems: list[PaySystem]  # the payment's own comes first
    bound_fits: bool  # the payment's own pay system can be paid through
    bound_against: str  # the code of the reason if it cannot
    # A sentence if no pay system can be chosen, or if a second person must approve first.
    why_not: StrOrPromise
    can_ask: bool  # the person may ask for an approval to pay
    markable: bool  # the payment may be marked as paid
    can_ask_to_mark: bool  # the person may ask for an approval to mark it
    # The pay system that the person used last; 0 if the payment has one of its own.
    usual_id: int = 0

    @property
    def bound_words(self) -> StrOrPromise:
        """Why the payment's own pay system cannot be paid through, or ""."""
        return reasons.IN_CHOICE.get(self.bound_against, "")

    @property
    def other_systems(self) -> list[PaySystem]:
        """The pay systems in place of the payment's own one."""
        return other_systems(self.offer, self.systems, bound_fits=self.bound_fits)


def other_systems(offer: Offer, systems: list[PaySystem], *, bound_fits: bool) -> list[PaySystem]:
    """Returns the pay systems to offer in place of the payment's own one.

    Empty if the own one can be paid through, or if the payment has no pay system yet.
    """
    return systems[1:] if offer.pay_system_id and not bound_fits else []


def choice_of(
    offer: Offer,
    systems: Systems | None,
    rule: Rule,
    *,
    order: Order | None = None,
    paid: bool = False,
    refused: str = "",
) -> Choice:
    """Returns the choice for one offer. The caller checks the right to pay orders.

    `refused` is the reason why Bitrix24 did not let the person change this order lately, so no
    other pay system and no mark is offered; nothing at all if they may not even read it.
    """
    listed, bound_fits = rule.choice(*_listed(offer, systems, order=order, paid=paid))
    no_choice = rule.no_choice
    if refused:
        listed, no_choice = listed[:1], messages.why_not(refused)
    is_readable = refused != reasons.ORDER_NOT_READABLE
    why_not = "" if is_readable and (bound_fits or len(listed) > 1) else no_choice
    bound = systems.find(offer.pay_system_id) if systems else None
    by_hand = (
        not refused
        and not paid
        and systems is not None
        and bound is not None
        and systems.needs_mark(bound)
    )
    markable, can_ask_to_mark = by_hand and rule.may_mark, by_hand and rule.may_ask_to_mark
    against = "" if paid or bound_fits else _against(bound, systems, rule, offer.pay_system_id)
    if against == reasons.PAY_SYSTEM_BUILT_IN and not (markable or can_ask_to_mark):
        # The words of this reason advise to mark the payment, which is not possible here.
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
    """Returns the pay systems that fit, the payment's own first, and whether that one fits."""
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
    """Returns the type of buyer. A deal's list of payments does not name the order; then the
    payment's own pay system tells the type."""
    if order is not None:
        return order.person_type_id
    return bound.person_type_id if bound is not None else None


def _bound_by_name(offer: Offer) -> PaySystem:
    """Returns the payment's own pay system by what the offer says, without the portal's list."""
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
