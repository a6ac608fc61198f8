"""What a person is asked before a payment is made, marked by hand or undone."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from b24app.errors import B24Error, FrameError, Missing
from b24app.identity.session import Person
from b24app.rest.client import Pending, run_batches
from payments import gateway, reasons
from payments.attempts import refused_changes
from payments.attempts.messages import why_not
from payments.gateway import PaySystem
from payments.lookups.pay_systems import Systems, SystemsReading
from payments.offer import Offer, open_offer


class NoSuchSystem(Missing):
    """The pay system was not among those to choose from, or is not any more."""

    sentence_by_default = _(
        "This payment system cannot be chosen any more. Nothing was done. "
        "Reload the page to see which ones can."
    )


class MayNotChange(FrameError):
    """This person may not read the order, which changing it begins with."""

    status = 403
    sentence_by_default = why_not(reasons.NO_ORDER_UPDATE)


@dataclass(frozen=True)
class Question:
    """`changes_system`: another pay system than the bound one was chosen, so that the payment has
    to be bound to it first."""

    offer: Offer
    sealed: str
    pay_system_id: int
    pay_system_name: str

    @property
    def changes_system(self) -> bool:
        return self.pay_system_id != self.offer.pay_system_id


def ask(person: Person, *, sealed: str, pay_system_id: int) -> Question:
    """Asks Bitrix24 nothing where the payment keeps its pay system; else whether the person may
    read the order and, once in a while, for the portal's pay systems.

    Raises Missing for an offer that is not this person's or a pay system that cannot be chosen,
    MayNotChange where the order is not theirs to change.
    """
    offer = open_offer(sealed, person)
    if pay_system_id == offer.pay_system_id:
        name = offer.pay_system_name
    else:
        name = _chosen(read_systems(person, offer), pay_system_id).name
    return Question(offer, sealed, pay_system_id, name)


def read_systems(person: Person, offer: Offer) -> Systems | None:
    """The portal's pay systems, None where they are not known, asked for at the same time as
    whether this person may read the order. Raises MayNotChange where they may not."""
    reading = SystemsReading(person.portal)
    batch = person.client.batch()
    may_read = batch.add(gateway.may_read_order_of(offer.payment_id))
    run_batches(batch, *reading.own_batches())
    refuse_unreadable(person, offer, may_read)
    return reading.result()


def refuse_unreadable(person: Person, offer: Offer, may_read: Pending[bool]) -> None:
    """Raises MayNotChange where Bitrix24 says no. Without an answer the person may go on: what they
    press is asked of Bitrix24 in any case."""
    try:
        if may_read.get():
            return
    except B24Error:
        return
    refused_changes.remember(person, offer.payment_id)
    raise MayNotChange(f"the order of payment {offer.payment_id}")


def _chosen(systems: Systems | None, pay_system_id: int) -> PaySystem:
    found = systems.find(pay_system_id) if systems else None
    if systems is None or found is None or not systems.can_be_paid(found):
        raise NoSuchSystem(f"pay system {pay_system_id}")
    return found
