"""What a page offered one person to pay, signed, so that Pay speaks of nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.core import signing

from b24app.errors import Missing
from b24app.identity.session import Person
from payments.gateway import Owner

SALT = "payments.offer"
# A tab stays open over a working day; what changed meanwhile is found by reading before paying.
MAX_AGE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Offer:
    """One payment as one person saw it; `pay_system_id` is the one it is bound to. `made_at` is
    when it was read for the page, by our clock."""

    portal_id: int
    user_id: int
    payment_id: int
    account_number: str
    order_id: int | None
    owner: Owner | None
    sum: Decimal
    currency: str
    pay_system_id: int
    pay_system_name: str
    made_at: datetime


def seal(offer: Offer) -> str:
    owner = offer.owner
    return signing.dumps(
        {
            "portal": offer.portal_id,
            "user": offer.user_id,
            "payment": offer.payment_id,
            "number": offer.account_number,
            "order": offer.order_id,
            "owner": None if owner is None else [owner.type_id, owner.id, owner.title],
            "sum": str(offer.sum),
            "currency": offer.currency,
            "system": offer.pay_system_id,
            "name": offer.pay_system_name,
            "made": offer.made_at.isoformat(),
        },
        salt=SALT,
        compress=True,
    )


def open_offer(sealed: str, person: Person) -> Offer:
    """The offer that `seal` closed; raises Missing where it is not ours, too old, or made for
    another person or portal: to this person such a payment does not exist."""
    try:
        content = signing.loads(sealed, salt=SALT, max_age=MAX_AGE_SECONDS)
    except signing.BadSignature as error:
        raise Missing("the offer is forged or too old") from error
    if (content["portal"], content["user"]) != (person.portal.pk, person.user_id):
        raise Missing("the offer was made to somebody else")
    return Offer(
        portal_id=content["portal"],
        user_id=content["user"],
        payment_id=content["payment"],
        account_number=content["number"],
        order_id=content["order"],
        owner=None if content["owner"] is None else Owner(*content["owner"]),
        sum=Decimal(content["sum"]),
        currency=content["currency"],
        pay_system_id=content["system"],
        pay_system_name=content["name"],
        made_at=datetime.fromisoformat(content["made"]),
    )
