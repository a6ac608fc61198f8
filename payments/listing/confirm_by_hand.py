"""What a person is asked before they mark a payment as paid by hand, or undo one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from b24app.errors import FrameError, Missing
from b24app.identity.session import Person
from payments import gateway, reasons
from payments.attempts import undo
from payments.attempts.messages import why_not
from payments.listing.confirm import read_systems, refuse_unreadable
from payments.offer import Offer, open_offer
from payments.policy.rules import allows, policy_of

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class NotMarkedByHand(Missing):
    """The payment system takes payments from an app, is not in use, or is not known."""

    sentence_by_default = _(
        "This payment is not marked by hand: its payment system takes payments from the app, or is "
        "not in use. Nothing was done. Reload the page to see what can be done."
    )


class NothingToUndo(FrameError):
    """Nobody may undo this payment, or not any more; `reason` is a code of reasons.py."""

    status = 409

    def __init__(self, reason: str = reasons.NOT_PAID_HERE) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def sentence(self) -> StrOrPromise:
        return why_not(self.reason)


class UndoForbidden(NothingToUndo):
    """The portal's rules do not let this person undo."""

    status = 403


@dataclass(frozen=True)
class MarkQuestion:
    offer: Offer
    sealed: str


@dataclass(frozen=True)
class UndoQuestion:
    """`until` is how long it can be undone."""

    offer: Offer
    sealed: str
    pay_system_name: str
    until: datetime


def ask_mark(person: Person, *, sealed: str) -> MarkQuestion:
    """Asks Bitrix24 whether the person may read the order and, once in a while, for the portal's
    pay systems.

    Raises Missing for an offer that is not this person's, NotMarkedByHand where there is no need,
    MayNotChange where the order is not theirs to change.
    """
    offer = open_offer(sealed, person)
    systems = read_systems(person, offer)
    bound = systems.find(offer.pay_system_id) if systems else None
    if systems is None or bound is None or not systems.needs_mark(bound):
        raise NotMarkedByHand(f"pay system {offer.pay_system_id}")
    return MarkQuestion(offer, sealed)


def ask_undo(person: Person, *, sealed: str) -> UndoQuestion:
    """`find_undo`, and asks Bitrix24 whether the person may read the order. Raises the same, and
    MayNotChange where the order is not theirs to change."""
    question = find_undo(person, sealed=sealed)
    batch = person.client.batch()
    may_read = batch.add(gateway.may_read_order_of(question.offer.payment_id))
    batch.run()
    refuse_unreadable(person, question.offer, may_read)
    return question


def find_undo(person: Person, *, sealed: str) -> UndoQuestion:
    """What would be undone. Asks Bitrix24 whether this is an administrator, where the rules need to
    know.

    Raises Missing for an offer that is not this person's, NothingToUndo where the app did not pay
    it or too long ago, UndoForbidden where the rules do not let this person.
    """
    offer = open_offer(sealed, person)
    rules = policy_of(person.portal)
    paid = undo.undoable(offer.portal_id, [offer.payment_id]).get(offer.payment_id)
    reason = undo.why_not(paid, rules=rules, now=timezone.now())
    if paid is None or paid.settled_at is None or reason:
        raise NothingToUndo(reason or reasons.NOT_PAID_HERE)
    if not allows(person, lambda is_admin: rules.may_undo(person.user_id, is_admin=is_admin)):
        raise UndoForbidden(reasons.UNDO_NOT_ALLOWED)
    until = paid.settled_at + timedelta(hours=rules.undo_hours)
    return UndoQuestion(offer, sealed, paid.pay_system_name or offer.pay_system_name, until)
