"""The screens over HTTP: what is shown to whom, what Pay and Check return, what is never shown."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from django.test import Client

from b24app import models
from payments.models import Attempt
from payments.offer import open_offer, seal
from sandbox.api.faults import AFTER, Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from tests.b24app.portal_posts import opening_fields, post, stored
from tests.payments import stage
from tests.payments.frames import (
    DEAL_TAB,
    INVOICE_TAB,
    Frame,
    FrameOf,
    offer_in,
    row_in,
    rows_in,
    text_of,
)
from tests.payments.unconfirmed import silence

pytestmark = pytest.mark.django_db

FRAGMENTS = ("/payments/question/", "/payments/pay/", "/payments/check/")


@pytest.fixture
def reader(frame_of: FrameOf) -> Frame:
    return frame_of(seed.READER)


def pay(frame: Frame, offer: str, system: int = seed.ACME_PAY) -> str:
    return frame.send("/payments/pay/", offer=offer, pay_system_id=system)


# ---- opening


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_plain_browser_is_told_where_to_open_the_app(
    client: Client, sandbox: Sandbox, method: str
) -> None:
    answer = getattr(client, method)("/")
    assert answer.status_code == 200
    assert "b24app/identity/plain.html" in [template.name for template in answer.templates]
    assert sandbox.log == []


@pytest.mark.parametrize(
    ("placement", "item_id", "shown"),
    [
        (DEAL_TAB, seed.SEVERAL_DEAL, [*reversed(seed.SEVERAL_PAYMENTS)]),
        (INVOICE_TAB, seed.INVOICE, [seed.INVOICE_PAYMENT]),
    ],
)
def test_a_tab_shows_the_payments_of_its_deal_or_invoice(
    frame: Frame, placement: str, item_id: int, shown: list[int]
) -> None:
    answer = frame.opened(placement, str(item_id))
    html = text_of(answer)
    assert "payments/listing/tab.html" in [template.name for template in answer.templates]
    assert rows_in(html, "payment") == shown
    # For screen readers; the card around it has its own.
    assert '<h1 class="hidden-words">' in html


@pytest.mark.parametrize("placement", ["DEFAULT", "LEFT_MENU", "CRM_LEAD_LIST_MENU"])
def test_every_other_placement_shows_the_main_page_with_links_to_deals(
    frame: Frame, placement: str
) -> None:
    answer = frame.opened(placement, "8061")
    html = text_of(answer)
    assert "payments/listing/main.html" in [template.name for template in answer.templates]
    deal, invoice = f"/crm/deal/details/{seed.DEAL}/", f"/crm/type/31/details/{seed.INVOICE}/"
    assert f'data-open-path="{deal}"' in html
    assert f'href="https://alpha.example.com{deal}"' in html
    assert f'data-open-path="{invoice}"' in html


@pytest.mark.parametrize("item_id", ["0", "-1", "1.5", "", "8061 OR 1=1", None, ["8061"], True])
@pytest.mark.parametrize("placement", [DEAL_TAB, INVOICE_TAB])
def test_a_tab_of_no_item_is_turned_away_before_anything_is_asked(
    frame: Frame, placement: str, item_id: object
) -> None:
    options = json.dumps({} if item_id is None else {"ID": item_id})
    fields = opening_fields(
        frame.sandbox,
        frame.portal,
        seed.MANAGER,
        PLACEMENT=placement,
        PLACEMENT_OPTIONS=options,
    )
    before = stored()
    with stage.no_request(frame.sandbox):
        assert post(frame.client, "/", fields).status_code == 400
    assert stored() == before


def test_a_deal_that_the_person_may_not_read_is_not_shown(frame_of: FrameOf) -> None:
    html = text_of(frame_of(seed.OWN_MANAGER).opened(DEAL_TAB, str(seed.HIDDEN_DEAL)), 403)
    assert "7 700" not in html.replace("\xa0", " ")


def test_no_token_and_no_cookie_comes_to_the_browser(frame: Frame) -> None:
    answers = [frame.opened(), frame.opened(DEAL_TAB, str(seed.DEAL))]
    offer = offer_in(text_of(answers[1]))
    answers.append(frame.post("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY))
    installation = frame.portal.installations[seed.OUR_CLIENT_ID]
    secrets = {installation.application_token, seed.OUR_SECRET}
    for token in frame.sandbox.world.tokens.values():
        secrets |= {token.access, token.refresh}
    for answer in answers:
        content = text_of(answer)
        assert not [secret for secret in secrets if secret in content]
        assert not answer.cookies


def test_without_the_order_right_nothing_can_be_paid_and_it_says_whom_to_ask(
    reader: Frame,
) -> None:
    html = reader.tab()
    assert "12\xa0500.00" in html
    assert "You do not have permission to pay orders in Bitrix24." in html
    assert "<button" not in row_in(html, "payment", seed.PAYMENT)
    assert 'name="offer"' not in html


def test_a_payment_bound_to_what_cannot_be_paid_needs_another_choice(frame: Frame) -> None:
    html = frame.tab(seed.CASH_DEAL)
    assert '<option value="" selected disabled>Choose a payment system</option>' in html
    assert "cannot be paid from here; mark it as paid instead" in html
    assert f'<option value="{seed.CASH}"' not in html
    assert f'<option value="{seed.ACME_PAY}"' in html
    bound = row_in(frame.tab(seed.SEVERAL_DEAL), "payment", 274)
    assert re.findall(r'<option value="(\d+)"', bound)[0] == str(seed.DEMO_CARD_PAY)


@pytest.mark.parametrize(
    ("deal_id", "sentence"),
    [
        (seed.ZERO_DEAL, "The sum of this payment is not more than zero"),
        (seed.PAID_DEAL, "Paid"),
    ],
)
def test_a_payment_that_cannot_be_paid_has_a_reason_instead_of_a_button(
    frame: Frame, deal_id: int, sentence: str
) -> None:
    html = frame.tab(deal_id)
    assert sentence in html
    assert "/payments/question/" not in html


def test_where_the_portals_token_is_lost_it_says_what_can_still_be_done(
    frame: Frame, portal: models.Portal
) -> None:
    stage.lose_portal_token(portal)
    html = frame.tab()
    assert "The list of payment systems could not be read" in html
    assert re.findall(r'<option value="(\d+)"', html) == [str(seed.ACME_PAY)]


# ---- the list


def test_a_search_shows_what_it_finds_or_what_was_searched_for(frame: Frame) -> None:
    assert rows_in(text_of(frame.get(q="163")), "payment") == [seed.PAYMENT]
    html = text_of(frame.get(q="99999"))
    assert "No unpaid payment that you may see has the order or payment number 99999." in html


def test_show_more_goes_on_where_the_page_above_ended(frame: Frame) -> None:
    added = seed.fill(frame.portal, 60)
    first = text_of(frame.opened())
    before = re.search(r'name="before" value="(\d+)"', first)
    assert before is not None
    above, below = (
        set(rows_in(html, "payment")) for html in (first, text_of(frame.get(before=before[1])))
    )
    assert not above & below
    assert set(added) <= above | below


@pytest.mark.parametrize("query", [{"q": "1\n2"}, {"q": "1" * 101}, {"before": "x"}])
def test_a_bad_search_calls_no_portal(frame: Frame, query: dict[str, str]) -> None:
    frame.headers()  # signs in
    with stage.no_request(frame.sandbox):
        assert 'data-error="400"' in text_of(frame.get(**query), 400)


# ---- asking, paying, checking


@pytest.mark.parametrize(
    ("system", "name", "asked"),
    [
        (seed.ACME_PAY, "Acme Pay", []),
        (seed.DEMO_CARD_PAY, "Demo Card Pay", ["crm.item.payment.get"]),
    ],
)
def test_the_question_asks_bitrix24_only_where_the_system_changes(
    frame: Frame, system: int, name: str, asked: list[str]
) -> None:
    offer = offer_in(frame.tab())
    since = len(frame.sandbox.log)
    html = frame.send("/payments/question/", offer=offer, pay_system_id=system)
    assert f"Pay 12\xa0500.00\xa0EUR by {name} for payment 163/1?" in html
    assert [call.method for call in frame.sandbox.log[since:]] == asked
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("system", [999, seed.CASH, seed.INACTIVE_PAY, seed.INVOICE_PAY])
def test_only_what_can_be_paid_by_can_be_asked_for(frame: Frame, system: int) -> None:
    fields = {"offer": offer_in(frame.tab()), "pay_system_id": system}
    assert "cannot be chosen any more" in frame.send("/payments/question/", 404, **fields)


def test_paid_is_what_the_portal_says_and_a_second_press_pays_nothing_more(frame: Frame) -> None:
    offer = offer_in(frame.tab())
    assert 'data-state="paid"' in pay(frame, offer)
    payment = frame.portal.payments[seed.PAYMENT]
    assert (payment.emp_paid_id, payment.times_paid) == (seed.MANAGER, 1)
    html = pay(frame, offer)
    assert "This payment is paid already." in html
    assert "<button" not in html
    assert payment.times_paid == 1


def test_a_changed_pay_system_without_payment_says_both_and_offers_the_present_one(
    frame: Frame,
) -> None:
    frame.sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))
    html = pay(frame, offer_in(frame.tab()), seed.OTHER_PAY)
    assert 'data-state="refused"' in html
    assert "The payment system of this payment was changed as you chose" in html
    again = re.search(r'name="offer" value="([^"]+)"', html)
    assert again is not None
    html = pay(frame, again[1], seed.OTHER_PAY)
    assert 'data-state="paid"' in html
    assert "Other Wallet" in html
    assert frame.portal.payments[seed.PAYMENT].pay_system_id == seed.OTHER_PAY


def test_no_answer_is_not_confirmed_and_check_now_settles_it(frame: Frame) -> None:
    faults = frame.sandbox.faults
    offer = offer_in(frame.tab())
    stage.during(frame.sandbox, stage.PAY, lambda: silence(frame.sandbox))
    faults.add(Fault("drop", method=stage.PAY, when=AFTER))
    html = pay(frame, offer)
    assert 'data-state="unknown"' in html
    assert "Check now" in html
    faults.clear()
    assert 'data-state="paid"' in frame.send("/payments/check/", offer=offer)
    assert frame.portal.payments[seed.PAYMENT].times_paid == 1


@pytest.mark.parametrize("path", FRAGMENTS)
@pytest.mark.parametrize("change", ["forged", "sum", "person"])
def test_an_offer_that_was_not_made_to_this_person_does_not_exist(
    frame: Frame, reader: Frame, portal: models.Portal, path: str, change: str
) -> None:
    offer = offer_in(frame.tab())
    sender = reader if change == "person" else frame
    sender.headers()  # signs in
    if change == "forged":
        offer = f"{offer[:-1]}{'A' if offer[-1] != 'A' else 'B'}"
    elif change == "sum":
        opened = open_offer(offer, stage.person(frame.sandbox, portal, seed.MANAGER))
        content, _, _ = seal(replace(opened, sum=Decimal(1))).partition(":")
        offer = f"{content}:{offer.partition(':')[2]}"
    with stage.no_request(frame.sandbox):
        html = sender.send(path, 404, offer=offer, pay_system_id=seed.ACME_PAY)
    assert 'data-error="404"' in html
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("path", FRAGMENTS)
def test_without_a_session_the_tab_asks_to_reopen(frame: Frame, path: str) -> None:
    offer = offer_in(frame.tab())
    frame.session = "over"
    html = frame.send(path, 401, offer=offer, pay_system_id=seed.ACME_PAY)
    assert "data-reopen" in html
    assert not Attempt.objects.exists()
