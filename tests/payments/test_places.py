"""An order's tab and the menus of the lists: the same rows, and nothing that Bitrix24 hides."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from b24app import models
from b24app.install import bindings
from payments.models import Attempt
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import DEAL, Portal
from tests.payments import stage
from tests.payments.frames import (
    DEAL_TAB,
    INVOICE_TAB,
    Frame,
    FrameOf,
    offer_in,
    rows_in,
    text_of,
)
from tests.payments.test_cost import SQL_AN_OPENING, statements

pytestmark = pytest.mark.django_db

ORDER_TAB = "CRM_ORDER_DETAIL_TAB"
DEAL_MENU, INVOICE_MENU = "CRM_DEAL_LIST_MENU", "CRM_SMART_INVOICE_LIST_MENU"
HIDDEN_ORDER, OWN_ORDER = 177, 176


@pytest.fixture
def own_manager(frame_of: FrameOf) -> Frame:
    return frame_of(seed.OWN_MANAGER)


def payments_in(html: str) -> set[int]:
    return set(rows_in(html, "payment"))


def test_an_orders_tab_shows_its_payments_and_no_others(frame: Frame) -> None:
    html = text_of(frame.opened(ORDER_TAB, str(seed.SEVERAL_ORDERS[0])))
    # One of the two is paid already: a card shows what was paid as well.
    assert payments_in(html) == set(seed.SEVERAL_PAYMENTS[:2])
    assert 'class="screen-tab"' in html


def test_an_ignored_filter_shows_no_other_orders_payments(
    frame: Frame, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sale.payment.list drops what it does not know, and answers with everything."""
    monkeypatch.setattr("sandbox.api.methods.listing.filtered", lambda rows, *_, **__: rows)
    html = text_of(frame.opened(ORDER_TAB, str(seed.ORDER)))
    assert payments_in(html) == {seed.PAYMENT}


def test_an_orders_payment_is_paid_from_its_tab(
    frame: Frame, sandbox: Sandbox, alpha: Portal
) -> None:
    html = text_of(frame.opened(ORDER_TAB, str(seed.ORDER)))
    answer = frame.post("/payments/pay/", offer=offer_in(html), pay_system_id=seed.ACME_PAY)
    assert 'data-state="paid"' in text_of(answer)
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def test_an_order_of_a_hidden_deal_looks_like_one_that_is_not_there(own_manager: Frame) -> None:
    hidden = text_of(own_manager.opened(ORDER_TAB, str(HIDDEN_ORDER)))
    missing = text_of(own_manager.opened(ORDER_TAB, "99999"))
    for html in (hidden, missing):
        assert not payments_in(html)
        assert "There is nothing to pay here that you may see" in html
    assert payments_in(text_of(own_manager.opened(ORDER_TAB, str(OWN_ORDER)))) == {seed.OWN_PAYMENT}


def test_an_order_without_a_deal_is_for_an_administrator(frame: Frame, admin_frame: Frame) -> None:
    assert not payments_in(text_of(frame.opened(ORDER_TAB, str(seed.LOOSE_ORDER))))
    html = text_of(admin_frame.opened(ORDER_TAB, str(seed.LOOSE_ORDER)))
    assert payments_in(html) == {seed.LOOSE_PAYMENT}


def test_a_cancelled_order_says_so_in_its_tab(frame: Frame) -> None:
    html = text_of(frame.opened(ORDER_TAB, str(seed.CANCELED_ORDER)))
    assert "cancelled" in html
    assert "/payments/question/" not in html


@pytest.mark.django_db(transaction=True)
def test_without_the_portals_token_the_persons_own_reads_the_order(
    frame: Frame, sandbox: Sandbox, portal: models.Portal
) -> None:
    stage.break_portal_token(sandbox, portal)
    html = text_of(frame.opened(ORDER_TAB, str(seed.ORDER)))
    assert payments_in(html) == {seed.PAYMENT}


@pytest.mark.parametrize(
    ("menu", "tab", "item_id"),
    [(DEAL_MENU, DEAL_TAB, seed.SEVERAL_DEAL), (INVOICE_MENU, INVOICE_TAB, seed.INVOICE)],
)
def test_the_menu_of_a_list_opens_what_the_tab_shows(
    frame: Frame, menu: str, tab: str, item_id: int
) -> None:
    from_menu = text_of(frame.opened(menu, str(item_id)))
    assert payments_in(from_menu) == payments_in(text_of(frame.opened(tab, str(item_id))))
    assert payments_in(from_menu)


def test_the_menu_hides_what_the_person_may_not_read(own_manager: Frame) -> None:
    assert own_manager.opened(DEAL_MENU, str(seed.HIDDEN_DEAL)).status_code == 403


@pytest.mark.parametrize("placement", [ORDER_TAB, DEAL_MENU, INVOICE_MENU])
@pytest.mark.parametrize("item_id", [None, "0", "x", ["1"]])
def test_a_place_that_names_no_item_is_bad_input(
    frame: Frame, sandbox: Sandbox, placement: str, item_id: object
) -> None:
    frame.headers()  # signs in
    with stage.no_request(sandbox):
        assert frame.opened(placement, item_id).status_code == 400


def test_an_orders_tab_takes_as_few_statements_as_any_opening(frame: Frame) -> None:
    frame.opened(ORDER_TAB, str(seed.ORDER))
    with CaptureQueriesContext(connection) as queries:
        frame.opened(ORDER_TAB, str(seed.ORDER))
    told = [sql for sql in statements(queries) if "b24app_" in sql or "payments_" in sql]
    assert 0 < len(told) <= SQL_AN_OPENING, told


def test_an_orders_tab_that_cannot_be_read_says_so(frame: Frame, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("operation_limit", method="crm.orderentity.list", times=None))
    assert frame.opened(ORDER_TAB, str(seed.ORDER)).status_code >= 400


COMPANY_TAB, CONTACT_TAB = "CRM_COMPANY_DETAIL_TAB", "CRM_CONTACT_DETAIL_TAB"
CUSTOMERS = pytest.mark.parametrize(
    ("placement", "customer_id"),
    [(COMPANY_TAB, seed.COMPANY), (CONTACT_TAB, seed.CONTACT)],
    ids=["company", "contact"],
)


@CUSTOMERS
def test_a_customers_tab_shows_what_is_unpaid_on_their_deals(
    frame: Frame, alpha: Portal, placement: str, customer_id: int
) -> None:
    other = alpha.items[DEAL, seed.SEVERAL_DEAL]
    other.company_id, other.contact_id = seed.COMPANY, seed.CONTACT
    html = text_of(frame.opened(placement, str(customer_id)))
    unpaid = {one for one in seed.SEVERAL_PAYMENTS if not alpha.payments[one].paid}
    assert payments_in(html) == {seed.PAYMENT, *unpaid}
    # Each row has a link to its deal.
    assert f"/crm/deal/details/{seed.DEAL}/" in html
    assert f"/crm/deal/details/{seed.SEVERAL_DEAL}/" in html


@CUSTOMERS
def test_a_payment_is_paid_from_a_customers_tab(
    frame: Frame, alpha: Portal, placement: str, customer_id: int
) -> None:
    alpha.items[DEAL, seed.SEVERAL_DEAL].contact_id = 0
    html = text_of(frame.opened(placement, str(customer_id)))
    assert payments_in(html) == {seed.PAYMENT}
    answer = frame.post("/payments/pay/", offer=offer_in(html), pay_system_id=seed.ACME_PAY)
    assert 'data-state="paid"' in text_of(answer)
    assert alpha.payments[seed.PAYMENT].times_paid == 1
    assert not payments_in(text_of(frame.opened(placement, str(customer_id))))


@CUSTOMERS
def test_deals_that_a_person_may_not_read_are_not_in_a_customers_tab(
    own_manager: Frame, placement: str, customer_id: int
) -> None:
    html = text_of(own_manager.opened(placement, str(customer_id)))
    assert not payments_in(html)
    assert "There is nothing to pay here that you may see" in html


@CUSTOMERS
def test_a_portal_that_ignores_the_filter_shows_no_other_customers_payments(
    frame: Frame, monkeypatch: pytest.MonkeyPatch, placement: str, customer_id: int
) -> None:
    monkeypatch.setattr("sandbox.api.methods.crm_item._filtered", lambda items, _: items)
    assert not payments_in(text_of(frame.opened(placement, "999")))


@CUSTOMERS
def test_one_deal_that_gives_no_answer_is_not_a_customer_without_debts(
    frame: Frame, sandbox: Sandbox, placement: str, customer_id: int
) -> None:
    sandbox.faults.add(Fault("status500", method="crm.item.payment.list", times=None))
    assert frame.opened(placement, str(customer_id)).status_code >= 500


@CUSTOMERS
def test_an_offer_of_a_customers_tab_is_good_for_its_person_alone(
    frame: Frame,
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    beta: Portal,
    placement: str,
    customer_id: int,
) -> None:
    alpha.items[DEAL, seed.SEVERAL_DEAL].contact_id = 0
    offer = offer_in(text_of(frame.opened(placement, str(customer_id))))
    stage.install(sandbox, beta)
    for other in (
        Frame(client, sandbox, alpha, seed.OWN_MANAGER),
        Frame(client, sandbox, alpha, seed.ADMIN),
        Frame(client, sandbox, beta, seed.MANAGER),
    ):
        answer = other.post("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)
        assert answer.status_code == 404
    assert stage.sent_payments(sandbox) == 0
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("item_id", ["", "0", "-1", "abc", "9" * 30, "71 or 1=1", "\0"])
@pytest.mark.parametrize("placement", [COMPANY_TAB, CONTACT_TAB])
def test_a_customers_tab_without_a_customer_is_refused_before_any_call(
    frame: Frame, sandbox: Sandbox, placement: str, item_id: str
) -> None:
    frame.session  # noqa: B018 - signs in before the calls are counted
    sandbox.log.clear()
    assert frame.opened(placement, item_id).status_code == 400
    assert [call.method for call in sandbox.log if call.method != "app.info"] == []


ITEM_OF = {
    "DEAL": seed.DEAL,
    "SMART_INVOICE": seed.INVOICE,
    "ORDER": seed.ORDER,
    "COMPANY": seed.COMPANY,
    "CONTACT": seed.CONTACT,
}


@pytest.mark.parametrize("code", bindings.PLACEMENTS)
def test_every_bound_place_opens_the_screen_of_its_item(frame: Frame, code: str) -> None:
    """A place that is bound and leads to the main page would show everything."""
    kind = code.removeprefix("CRM_").rsplit("_", 2)[0]
    html = text_of(frame.opened(code, str(ITEM_OF[kind])))
    assert 'class="screen-tab"' in html
    assert payments_in(html)
