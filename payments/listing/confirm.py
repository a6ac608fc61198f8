"""Checks a chosen payment and builds the question that a person confirms before it is paid."""

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
    """The pay system is not, or is no longer, one that this payment can be paid by."""

    sentence_by_default = _(
        "This payment system cannot be chosen any more. Nothing was done. "
        "Reload the page to see which ones can."
    )


class MayNotChange(FrameError):
    """This person may not read the order, so they may not change it either."""

    status = 403
    sentence_by_default = why_not(reasons.ORDER_NOT_READABLE)


@dataclass(frozen=True)
class Question:
    offer: Offer
    sealed: str  # The offer, signed: the answer sends it back.
    pay_system_id: int  # The chosen one.
    pay_system_name: str

    @property
    def changes_system(self) -> bool:
        """Returns whether the payment has to be bound to another pay system before it is paid."""
        return self.pay_system_id != self.offer.pay_system_id


def ask(person: Person, *, sealed: str, pay_system_id: int) -> Question:
    """Returns the question to confirm.

    Calls Bitrix24 only if another pay system than the payment's own was chosen: then it reads the
    order with this person's token and, where they are not cached, the portal's pay systems.

    Raises Missing if the offer belongs to another person, NoSuchSystem if the pay system cannot be
    chosen, MayNotChange if this person may not change the order.
    """
    offer = open_offer(sealed, person)
    if pay_system_id == offer.pay_system_id:
        name = offer.pay_system_name
    else:
        name = _chosen(read_systems(person, offer), pay_system_id).name
    return Question(offer, sealed, pay_system_id, name)


def read_systems(person: Person, offer: Offer) -> Systems | None:
    """Returns the portal's pay systems, None if they are not known.

    Reads the order with this person's token at the same time; raises MayNotChange if they may not.
    """
    reading = SystemsReading(person.portal)
    batch = person.client.batch()
    may_read = batch.add(gateway.may_read_order_of(offer.payment_id))
    run_batches(batch, *reading.own_batches())
    refuse_unreadable(person, offer, may_read)
    return reading.result()


def refuse_unreadable(person: Person, offer: Offer, may_read: Pending[bool]) -> None:
    """Raises MayNotChange if Bitrix24 refuses to show the order.

    Any other failure is let through: Bitrix24 checks the right again when the person confirms.
    """
    try:
        if may_read.get():
            return
    except B24Error:
        return
    refused_changes.remember(person, offer.payment_id, reasons.ORDER_NOT_READABLE)
    raise MayNotChange(f"the order of payment {offer.payment_id}")


def _chosen(systems: Systems | None, pay_system_id: int) -> PaySystem:
    found = systems.find(pay_system_id) if systems else None
    if systems is None or found is None or not systems.can_be_paid(found):
        raise NoSuchSystem(f"pay system {pay_system_id}")
    return found
