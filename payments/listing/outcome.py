"""Builds a row after a button was pressed: the payment's status and what can be done next."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from b24app.errors import B24Error
from b24app.identity.session import Caller
from b24app.rest.client import run_batches
from payments import reasons
from payments.attempts import refused_changes
from payments.attempts.undo_rules import may_undo
from payments.listing.status import Status, can_be_paid_after, offer_after, status_after
from payments.lookups.pay_systems import Systems, SystemsReading
from payments.models import Attempt, Kind, State
from payments.offer import Offer
from payments.policy.rules import allows, policy_of
from payments.visibility import Choice, choice_of
from payments.visibility.restrictions import rule_of
from payments.visibility.usual_system import Habit

# After one of these refusals, the same undo would be refused again.
_UNDO_IS_OVER = frozenset(
    {
        reasons.SUM_CHANGED,
        reasons.CURRENCY_CHANGED,
        reasons.PAYMENT_GONE,
        reasons.NOT_READABLE,
        reasons.NO_ORDER_RIGHT,
        reasons.NO_ORDER_UPDATE,
        reasons.ORDER_NOT_READABLE,
        reasons.NOT_PAID_ANY_MORE,
        reasons.PAID_SINCE,
        reasons.UNDO_NOT_ALLOWED,
    }
)


@dataclass(frozen=True)
class Outcome:
    status: Status
    choice: Choice | None  # What the payment can be paid by, if it is unpaid.


def outcome_of(person: Caller, offer: Offer, attempt: Attempt | None) -> Outcome:
    """Returns what to show after Pay, Mark, Undo or Check now, which returned `attempt`.

    Reads the pay systems if they are not cached, and whether this person is an administrator if the
    rules depend on it. If Bitrix24 does not answer, a button is missing; nothing is raised, because
    what was done has to be shown.
    """
    choice = None
    if attempt is None or can_be_paid_after(attempt):
        next_offer = offer_after(offer, attempt)
        refused = refused_changes.remembered(person, [offer.payment_id]).get(offer.payment_id, "")
        found = choice_of(
            next_offer, _systems(person), rule_of(person, next_offer), refused=refused
        )
        choice = Habit(person).applied_to(found)
    can_undo = _can_undo(person, attempt)
    return Outcome(status_after(offer, attempt, choice=choice, can_undo=can_undo), choice)


def _systems(person: Caller) -> Systems | None:
    reading = SystemsReading(person.portal)
    run_batches(*reading.own_batches())
    return reading.result()


def _can_undo(person: Caller, attempt: Attempt | None) -> bool:
    paid = _attempt_that_paid(attempt)
    if paid is None:
        return False
    # Only shows a button: the rules are checked again when it is pressed.
    rules = (attempt and attempt.rules_read) or policy_of(person.portal)
    may = partial(may_undo, person.user_id, paid, rules=rules)
    try:
        return allows(person, lambda is_admin: may(is_admin=is_admin))
    except B24Error:
        return False


def _attempt_that_paid(attempt: Attempt | None) -> Attempt | None:
    """Returns the attempt that made the payment paid, if it still is and can be undone."""
    if attempt is None:
        return None
    if attempt.kind != Kind.UNDO:
        return attempt if attempt.state == State.PAID else None
    is_over = attempt.reason in _UNDO_IS_OVER
    return attempt.undoes if attempt.state == State.REFUSED and not is_over else None
