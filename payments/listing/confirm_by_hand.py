"""Checks a payment and builds the question before it is marked as paid by hand, or undone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from b24app.errors import FrameError, Missing
from b24app.identity.session import Person
from payments import gateway, reasons
from payments.attempts import undo_rules
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
    """This payment cannot be undone, or can no longer be."""

    status = 409

    def __init__(self, reason: str = reasons.NOT_PAID_HERE) -> None:
        super().__init__(reason)
        self.reason = reason  # A code of payments/reasons.py.

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
    offer: Offer
    sealed: str
    pay_system_name: str  # The one that it was paid by.
    until: datetime  # Afterwards it can no longer be undone.


def ask_mark(person: Person, *, sealed: str) -> MarkQuestion:
    """Returns the question to confirm.

    Reads the order with this person's token and, where they are not cached, the portal's pay
    systems. Raises Missing if the offer belongs to another person, NotMarkedByHand if the payment's
    pay system does not need it, MayNotChange if this person may not change the order.
    """
    offer = open_offer(sealed, person)
    systems = read_systems(person, offer)
    bound = systems.find(offer.pay_system_id) if systems else None
    if systems is None or bound is None or not systems.needs_mark(bound):
        raise NotMarkedByHand(f"pay system {offer.pay_system_id}")
    return MarkQuestion(offer, sealed)


def ask_undo(person: Person, *, sealed: str) -> UndoQuestion:
    """Returns what `find_undo` returns, and reads the order with this person's token.

    Raises what `find_undo` raises, and MayNotChange if this person may not change the order.
    """
    question = find_undo(person, sealed=sealed)
    batch = person.client.batch()
    may_read = batch.add(gateway.may_read_order_of(question.offer.payment_id))
    batch.run()
    refuse_unreadable(person, question.offer, may_read)
    return question


def find_undo(person: Person, *, sealed: str) -> UndoQuestion:
    """Returns what would be undone.

    Asks Bitrix24 whether this person is an administrator only if the portal's rules depend on it.
    Raises Missing if the offer belongs to another person, NothingToUndo if the app did not pay it
    or paid it too long ago, UndoForbidden if the rules do not let this person undo.
    """
    offer = open_offer(sealed, person)
    rules = policy_of(person.portal)
    paid = undo_rules.undoable(offer.portal_id, [offer.payment_id]).get(offer.payment_id)
    reason = undo_rules.why_not(paid, rules=rules, now=timezone.now())
    if paid is None or paid.settled_at is None or reason:
        raise NothingToUndo(reason or reasons.NOT_PAID_HERE)
    if not allows(person, lambda is_admin: rules.may_undo(person.user_id, is_admin=is_admin)):
        raise UndoForbidden(reasons.UNDO_NOT_ALLOWED)
    until = paid.settled_at + timedelta(hours=rules.undo_hours)
    return UndoQuestion(offer, sealed, paid.pay_system_name or offer.pay_system_name, until)
