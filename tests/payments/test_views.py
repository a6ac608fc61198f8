"""The screens over HTTP: what is shown to whom, and what is never shown."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from b24app import models
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import opening_fields, post, stored
from tests.payments import stage
from tests.payments.frames import DEAL_TAB, INVOICE_TAB, Frame, offer_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.MANAGER)


@pytest.fixture
def reader(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.READER)


# ---- the address itself


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_plain_browser_is_told_where_to_open_the_app(
    client: Client, sandbox: Sandbox, method: str
) -> None:
    answer = getattr(client, method)("/")
    assert answer.status_code == 200
    assert "b24app/identity/plain.html" in [template.name for template in answer.templates]
    assert sandbox.log == []


def test_nothing_else_is_done_with_the_address(client: Client) -> None:
    assert client.put("/").status_code == 405


# ---- opening


def test_a_deal_tab_shows_the_payments_of_that_deal(manager: Frame) -> None:
    answer = manager.opened(DEAL_TAB, str(seed.SEVERAL_DEAL))
    html = text_of(answer)
    assert "payments/listing/tab.html" in [template.name for template in answer.templates]
    shown = {int(found) for found in re.findall(r'<tr data-payment="(\d+)">', html)}
    assert shown == set(seed.SEVERAL_PAYMENTS)
    assert "400.00&nbsp;" in html
    # For screen readers; the card around it has its own.
    assert '<h1 class="hidden-words">' in html


def test_an_invoice_tab_shows_the_payments_of_that_invoice(manager: Frame) -> None:
    html = text_of(manager.opened(INVOICE_TAB, str(seed.INVOICE)))
    assert re.findall(r'<tr data-payment="(\d+)">', html) == [str(seed.INVOICE_PAYMENT)]


@pytest.mark.parametrize("placement", ["DEFAULT", "LEFT_MENU", "CRM_LEAD_LIST_MENU"])
def test_every_other_placement_shows_the_main_page(manager: Frame, placement: str) -> None:
    answer = manager.opened(placement, "8061")
    text_of(answer)
    assert "payments/listing/main.html" in [template.name for template in answer.templates]


def test_the_main_page_links_each_payment_to_its_deal_or_invoice(manager: Frame) -> None:
    html = text_of(manager.opened())
    deal, invoice = f"/crm/deal/details/{seed.DEAL}/", f"/crm/type/31/details/{seed.INVOICE}/"
    assert f'data-open-path="{deal}"' in html
    assert f'href="https://alpha.example.com{deal}"' in html
    assert f'data-open-path="{invoice}"' in html


@pytest.mark.parametrize("item_id", ["0", "-1", "1.5", "", "8061 OR 1=1", None, ["8061"], True])
@pytest.mark.parametrize("placement", [DEAL_TAB, INVOICE_TAB])
def test_a_tab_of_no_item_is_turned_away_before_anything_is_asked(
    manager: Frame, placement: str, item_id: object
) -> None:
    options = json.dumps({} if item_id is None else {"ID": item_id})
    fields = opening_fields(
        manager.sandbox,
        manager.portal,
        seed.MANAGER,
        PLACEMENT=placement,
        PLACEMENT_OPTIONS=options,
    )
    calls, kept = len(manager.sandbox.log), stored()
    answer = post(manager.client, "/", fields)
    assert answer.status_code == 400
    assert (len(manager.sandbox.log), stored()) == (calls, kept)


def test_a_deal_that_the_person_may_not_read_is_not_shown(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    frame = Frame(client, sandbox, alpha, seed.OWN_MANAGER)
    html = text_of(frame.opened(DEAL_TAB, str(seed.HIDDEN_DEAL)), 403)
    assert "7 700" not in html.replace("\xa0", " ")


def test_no_token_and_no_cookie_comes_to_the_browser(manager: Frame) -> None:
    answers = [manager.opened(), manager.opened(DEAL_TAB, str(seed.DEAL))]
    html = text_of(answers[1])
    answers.append(manager.post("/payments/pay/", offer=offer_in(html), pay_system_id=11))
    installation = manager.portal.installations[seed.OUR_CLIENT_ID]
    secrets = {installation.application_token, seed.OUR_SECRET}
    for token in manager.sandbox.world.tokens.values():
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
    assert "<button" not in html.split('<tr data-payment="271">')[1].split("</tr>")[0]
    assert 'name="offer"' not in html


def test_a_payment_bound_to_what_cannot_be_paid_needs_another_choice(manager: Frame) -> None:
    html = manager.tab(seed.CASH_DEAL)
    assert '<option value="" selected disabled>Choose a payment system</option>' in html
    assert "cannot be paid from here; mark it as paid instead" in html
    assert f'<option value="{seed.CASH}"' not in html
    assert f'<option value="{seed.ACME_PAY}"' in html


def test_the_bound_pay_system_is_the_first_choice(manager: Frame) -> None:
    html = manager.tab(seed.SEVERAL_DEAL)
    row = html.split('<tr data-payment="274">')[1].split("</tr>")[0]
    assert re.findall(r'<option value="(\d+)"', row)[0] == str(seed.DEMO_CARD_PAY)


@pytest.mark.parametrize(
    ("deal_id", "sentence"),
    [
        (seed.ZERO_DEAL, "The sum of this payment is not more than zero"),
        (seed.PAID_DEAL, "Paid"),
    ],
)
def test_a_payment_that_cannot_be_paid_has_a_reason_instead_of_a_button(
    manager: Frame, deal_id: int, sentence: str
) -> None:
    html = manager.tab(deal_id)
    assert sentence in html
    assert "/payments/question/" not in html


def test_where_the_portals_token_is_lost_it_says_what_can_still_be_done(
    manager: Frame, portal: models.Portal
) -> None:
    stage.lose_portal_token(portal)
    html = manager.tab()
    assert "The list of payment systems could not be read" in html
    assert re.findall(r'<option value="(\d+)"', html) == [str(seed.ACME_PAY)]


# ---- the list


def test_a_search_shows_what_it_finds(manager: Frame) -> None:
    html = text_of(manager.get(q="163"))
    assert re.findall(r'<tr data-payment="(\d+)">', html) == [str(seed.PAYMENT)]


def test_a_search_that_finds_nothing_names_what_was_searched_for(manager: Frame) -> None:
    html = text_of(manager.get(q="99999"))
    assert "No unpaid payment that you may see has the order or payment number 99999." in html


def test_show_more_goes_on_where_the_page_above_ended(manager: Frame) -> None:
    added = seed.fill(manager.portal, 60)
    first = text_of(manager.opened())
    before = re.search(r'name="before" value="(\d+)"', first)
    assert before is not None
    second = text_of(manager.get(before=before[1]))
    pages = [re.findall(r'<tr data-payment="(\d+)">', html) for html in (first, second)]
    assert not set(pages[0]) & set(pages[1])
    assert {str(number) for number in added} <= set(pages[0]) | set(pages[1])


@pytest.mark.parametrize("query", [{"q": "1\n2"}, {"q": "1" * 101}, {"before": "x"}])
def test_a_bad_search_calls_no_portal(manager: Frame, query: dict[str, str]) -> None:
    calls = len(manager.sandbox.log)
    html = text_of(manager.get(**query), 400)
    assert 'data-error="400"' in html
    assert len(manager.sandbox.log) == calls
