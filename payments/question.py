"""What a person is asked before a payment is made, marked by hand or undone."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from b24app.client import run_together
from b24app.errors import Missing
from b24app.session import Person
from payments.gateway import PaySystem
from payments.offer import Offer, open_offer
from payments.systems import SystemsReading


class NoSuchSystem(Missing):
    """The pay system was not among those to choose from, or is not any more."""

    sentence_by_default = _(
        "This payment system cannot be chosen any more. Nothing was done. "
        "Reload the page to see which ones can."
    )


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
    """Asks Bitrix24 nothing but, once in a while, for the portal's pay systems.

    Raises Missing for an offer that is not this person's or a pay system that cannot be chosen.
    """
    offer = open_offer(sealed, person)
    if pay_system_id == offer.pay_system_id:
        name = offer.pay_system_name
    else:
        name = _chosen(person, pay_system_id).name
    return Question(offer, sealed, pay_system_id, name)


def _chosen(person: Person, pay_system_id: int) -> PaySystem:
    reading = SystemsReading(person.portal)
    run_together(*reading.own_batches())
    systems = reading.result()
    found = systems.find(pay_system_id) if systems else None
    if systems is None or found is None or not systems.can_be_paid(found):
        raise NoSuchSystem(f"pay system {pay_system_id}")
    return found
