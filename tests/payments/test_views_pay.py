"""Asking, paying and checking over HTTP: what is returned, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from django.test import Client

from b24app import models
from payments.models import Attempt
from payments.offer import open_offer, seal
from sandbox.api.faults import AFTER, BEFORE, Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.frames import Frame, offer_in, text_of

pytestmark = pytest.mark.django_db

FRAGMENTS = ("/payments/question/", "/payments/pay/", "/payments/check/")


@pytest.fixture
def manager(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.MANAGER)


@pytest.fixture
def reader(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.READER)


@pytest.mark.parametrize(
    ("pay_system_id", "name", "asked"),
    [
        (seed.ACME_PAY, "Acme Pay", []),
        (seed.DEMO_CARD_PAY, "Demo Card Pay", ["crm.item.payment.get"]),
    ],
)
def test_the_question_asks_bitrix24_only_where_the_system_changes(
    manager: Frame, pay_system_id: int, name: str, asked: list[str]
) -> None:
    offer = offer_in(manager.tab())
    calls = len(manager.sandbox.log)
    html = text_of(manager.post("/payments/question/", offer=offer, pay_system_id=pay_system_id))
    assert f"Pay 12\xa0500.00\xa0EUR by {name} for payment 163/1?" in html
    assert [call.method for call in manager.sandbox.log[calls:]] == asked
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("pay_system_id", [999, seed.CASH, seed.INACTIVE_PAY, seed.INVOICE_PAY])
def test_only_what_can_be_paid_by_can_be_asked_for(manager: Frame, pay_system_id: int) -> None:
    offer = offer_in(manager.tab())
    answer = manager.post("/payments/question/", offer=offer, pay_system_id=pay_system_id)
    assert "cannot be chosen any more" in text_of(answer, 404)


def test_paid_is_what_the_portal_says(manager: Frame) -> None:
    offer = offer_in(manager.tab())
    html = text_of(manager.post("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY))
    assert 'data-state="paid"' in html
    payment = manager.portal.payments[seed.PAYMENT]
    assert (payment.emp_paid_id, payment.times_paid) == (seed.MANAGER, 1)


def test_a_pay_system_can_be_changed_and_the_payment_paid(manager: Frame) -> None:
    offer = offer_in(manager.tab())
    html = text_of(manager.post("/payments/pay/", offer=offer, pay_system_id=seed.OTHER_PAY))
    assert 'data-state="paid"' in html
    assert "Other Wallet" in html
    assert manager.portal.payments[seed.PAYMENT].pay_system_id == seed.OTHER_PAY


def test_a_second_press_pays_nothing_more(manager: Frame) -> None:
    offer = offer_in(manager.tab())
    fields = {"offer": offer, "pay_system_id": seed.ACME_PAY}
    text_of(manager.post("/payments/pay/", **fields))
    html = text_of(manager.post("/payments/pay/", **fields))
    assert "This payment is paid already." in html
    assert "<button" not in html
    assert manager.portal.payments[seed.PAYMENT].times_paid == 1


def test_a_changed_pay_system_without_payment_says_both_and_offers_the_present_one(
    manager: Frame, portal: models.Portal
) -> None:
    manager.sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))
    offer = offer_in(manager.tab())
    html = text_of(manager.post("/payments/pay/", offer=offer, pay_system_id=seed.OTHER_PAY))
    assert 'data-state="refused"' in html
    assert "The payment system of this payment was changed as you chose" in html
    again = re.search(r'name="offer" value="([^"]+)"', html)
    assert again is not None
    html = text_of(manager.post("/payments/pay/", offer=again[1], pay_system_id=seed.OTHER_PAY))
    assert 'data-state="paid"' in html


def test_no_answer_is_not_confirmed_and_check_now_settles_it(manager: Frame) -> None:
    faults = manager.sandbox.faults
    offer = offer_in(manager.tab())

    def lose_reads() -> None:
        for method in (stage.READ_BACK, stage.KEPT):
            faults.add(Fault("drop", method=method, when=BEFORE, times=None))

    faults.add(Fault("drop", method=stage.PAY, when=AFTER, on_hit=lose_reads))
    html = text_of(manager.post("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY))
    assert 'data-state="unknown"' in html
    assert "Check now" in html
    faults.clear()
    html = text_of(manager.post("/payments/check/", offer=offer))
    assert 'data-state="paid"' in html
    assert manager.portal.payments[seed.PAYMENT].times_paid == 1


@pytest.mark.parametrize("path", FRAGMENTS)
@pytest.mark.parametrize("change", ["forged", "sum", "person"])
def test_an_offer_that_was_not_made_to_this_person_does_not_exist(
    manager: Frame, reader: Frame, portal: models.Portal, path: str, change: str
) -> None:
    offer = offer_in(manager.tab())
    if change == "forged":
        offer = f"{offer[:-1]}{'A' if offer[-1] != 'A' else 'B'}"
    elif change == "sum":
        opened = open_offer(offer, stage.person(manager.sandbox, portal, seed.MANAGER))
        content, _, _ = seal(replace(opened, sum=Decimal(1))).partition(":")
        offer = f"{content}:{offer.partition(':')[2]}"
    frame = reader if change == "person" else manager
    calls = len(manager.sandbox.log)
    html = text_of(frame.post(path, offer=offer, pay_system_id=seed.ACME_PAY), 404)
    assert 'data-error="404"' in html
    assert (len(manager.sandbox.log), Attempt.objects.count()) == (calls, 0)


@pytest.mark.parametrize("path", FRAGMENTS)
@pytest.mark.parametrize(
    "fields",
    [{}, {"offer": "<x>"}, {"offer": "a" * 5000}, {"offer": "x:y:z", "pay_system_id": "0"}],
)
def test_bad_input_is_turned_away_before_anything_is_asked(
    manager: Frame, path: str, fields: dict[str, str]
) -> None:
    calls = len(manager.sandbox.log)
    answer = manager.post(path, **fields)
    assert answer.status_code in (400, 404)
    assert 'data-error="' in text_of(answer, answer.status_code)
    assert (len(manager.sandbox.log), Attempt.objects.count()) == (calls, 0)


@pytest.mark.parametrize("path", FRAGMENTS)
def test_without_a_session_the_tab_asks_to_reopen(manager: Frame, path: str) -> None:
    offer = offer_in(manager.tab())
    manager.session = "over"
    html = text_of(manager.post(path, offer=offer, pay_system_id=seed.ACME_PAY), 401)
    assert "data-reopen" in html
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("path", FRAGMENTS)
def test_what_changes_something_is_posted(manager: Frame, path: str) -> None:
    assert manager.client.get(path, headers={"x-frame-session": manager.session}).status_code == 405


def test_the_list_is_not_posted_to(manager: Frame) -> None:
    assert manager.post("/payments/").status_code == 405
