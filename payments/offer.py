"""Signs the payment that a page shows to a person, and reads it back when they press a button."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.core import signing

from b24app.errors import Missing
from b24app.identity.session import Person
from payments.gateway import Owner

SALT = "payments.offer"
# A tab stays open over a working day. Changes since then are found by the reads before paying.
MAX_AGE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Offer:
    """One payment as one person saw it."""

    portal_id: int
    user_id: int
    payment_id: int
    account_number: str
    order_id: int | None
    owner: Owner | None
    sum: Decimal
    currency: str
    pay_system_id: int  # the pay system that the payment has in Bitrix24
    pay_system_name: str
    made_at: datetime  # when it was read for the page, by this app's clock


def seal(offer: Offer) -> str:
    """Returns the offer as signed text."""
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
    """Returns the offer that `seal` signed.

    Raises Missing if the signature is wrong, the offer is too old, or it was made for another
    person or portal.
    """
    try:
        content = signing.loads(sealed, salt=SALT, max_age=MAX_AGE_SECONDS)
    except signing.BadSignature as error:
        raise Missing("the offer is forged or too old") from error
    if (content["portal"], content["user"]) != (person.portal.pk, person.user_id):
        raise Missing("the offer was made for another person")
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
