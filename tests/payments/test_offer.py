"""An offer is void for another person, when changed, and when too old."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core import signing
from django.utils import timezone

from b24app.errors import Missing
from b24app.identity.session import Person
from b24app.models import Portal
from payments import offer as offers
from payments.gateway import Owner
from payments.offer import Offer, open_offer, seal

OFFER = Offer(
    portal_id=1,
    user_id=3,
    payment_id=271,
    account_number="163/1",
    order_id=163,
    owner=Owner(2, 8061, "Office chairs — “new” floor"),
    sum=Decimal("12500.0000"),
    currency="EUR",
    pay_system_id=11,
    pay_system_name="Acme Pay",
    made_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
)


def person(*, portal_id: int = 1, user_id: int = 3) -> Person:
    return Person(Portal(pk=portal_id), user_id, proved_at=timezone.now())


@pytest.mark.parametrize(
    "offer", [OFFER, replace(OFFER, owner=None, order_id=None)], ids=["on a deal", "loose"]
)
def test_an_offer_comes_back_as_it_was(offer: Offer) -> None:
    assert open_offer(seal(offer), person()) == offer


def test_an_offer_keeps_the_moment_of_its_reading() -> None:
    before = timezone.now()
    sealed = seal(replace(OFFER, made_at=before))
    assert open_offer(sealed, person()).made_at == before


@pytest.mark.parametrize("who", [{"user_id": 4}, {"portal_id": 2}], ids=str)
def test_another_persons_offer_does_not_exist(who: dict[str, int]) -> None:
    with pytest.raises(Missing):
        open_offer(seal(OFFER), person(**who))


@pytest.mark.parametrize("sealed", ["", "x", "a:b:c", "." * 300])
def test_nonsense_does_not_exist(sealed: str) -> None:
    with pytest.raises(Missing):
        open_offer(sealed, person())


def test_a_changed_offer_does_not_exist() -> None:
    content = seal(replace(OFFER, payment_id=272)).split(":", 1)[0]
    signature = seal(OFFER).split(":", 1)[1]
    with pytest.raises(Missing):
        open_offer(f"{content}:{signature}", person())


def test_a_signature_made_for_something_else_does_not_exist() -> None:
    with pytest.raises(Missing):
        open_offer(signing.dumps({"portal": 1, "user": 3}), person())


def test_an_offer_lasts_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = seal(OFFER)
    monkeypatch.setattr(offers, "MAX_AGE_SECONDS", -1)
    with pytest.raises(Missing):
        open_offer(sealed, person())
