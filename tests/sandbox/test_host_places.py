"""An application's tabs in the cards of companies, contacts and orders, and its menu items."""

from __future__ import annotations

import json

import pytest

from sandbox.host.places import uri_of
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import COMPANY, CONTACT, ORDER
from tests.sandbox.host_pages import DEAL_TAB, a_stage, ask, form_of, ours, page

ORDER_PATH = f"/shop/orders/details/{seed.ORDER}/"
COMPANY_PATH = f"/crm/company/details/{seed.COMPANY}/"
CONTACT_PATH = f"/crm/contact/details/{seed.CONTACT}/"
PLACES = (
    "CRM_COMPANY_DETAIL_TAB",
    "CRM_CONTACT_DETAIL_TAB",
    "CRM_ORDER_DETAIL_TAB",
    "CRM_DEAL_LIST_MENU",
    "CRM_SMART_INVOICE_LIST_MENU",
)


@pytest.fixture
def sandbox() -> Sandbox:
    sandbox = a_stage()
    for portal in sandbox.world.portals.values():
        ours(portal).placements += [{**DEAL_TAB, "placement": code} for code in PLACES]
    return sandbox


@pytest.mark.parametrize(
    ("path", "placement", "object_id"),
    [
        (COMPANY_PATH, "CRM_COMPANY_DETAIL_TAB", seed.COMPANY),
        (CONTACT_PATH, "CRM_CONTACT_DETAIL_TAB", seed.CONTACT),
        (ORDER_PATH, "CRM_ORDER_DETAIL_TAB", seed.ORDER),
    ],
)
def test_a_card_has_the_applications_tab(
    sandbox: Sandbox, path: str, placement: str, object_id: int
) -> None:
    fields = form_of(page(sandbox, f"{path}?tab=rest_1", user=seed.MANAGER)).fields
    assert fields["PLACEMENT"] == placement
    assert json.loads(fields["PLACEMENT_OPTIONS"]) == {"ID": str(object_id), "URI": uri_of(path)}


def test_a_deal_links_to_its_customers(sandbox: Sandbox) -> None:
    deal = page(sandbox, f"/crm/deal/details/{seed.DEAL}/", user=seed.MANAGER)
    links = {link.attributes["href"]: link.text for link in deal.all("a")}
    assert links[COMPANY_PATH] == "Sample Customer Ltd"
    assert links[CONTACT_PATH] == "Cora Contact"


def test_a_customers_card_lists_the_payments_of_its_readable_deals_and_invoices(
    sandbox: Sandbox,
) -> None:
    def listed(type_id: int, item_id: int, user: int) -> list[int]:
        answer = ask(sandbox, f"/_host/payments?type={type_id}&id={item_id}", user=user)
        return sorted(payment["id"] for payment in json.loads(answer.body)["payments"])

    sandbox.world.portals[seed.ALPHA].items[COMPANY, seed.COMPANY].responsible_id = seed.OWN_MANAGER
    company = listed(COMPANY, seed.COMPANY, seed.MANAGER)
    assert company == [seed.PAYMENT, seed.INVOICE_PAYMENT]
    contact = listed(CONTACT, seed.CONTACT, seed.MANAGER)
    assert contact == [seed.PAYMENT, *seed.SEVERAL_PAYMENTS]
    assert listed(COMPANY, seed.COMPANY, seed.OWN_MANAGER) == []


def test_a_customers_card_is_closed_without_the_right_to_read_it(sandbox: Sandbox) -> None:
    assert ask(sandbox, COMPANY_PATH, user=seed.OWN_MANAGER).status == 403
    assert ask(sandbox, "/crm/contact/details/999/", user=seed.MANAGER).status == 404


def test_an_order_is_hidden_with_its_deal(sandbox: Sandbox) -> None:
    assert ask(sandbox, ORDER_PATH, user=seed.OWN_MANAGER).status == 404
    path = f"/_host/payments?type={ORDER}&id={seed.ORDER}"
    assert ask(sandbox, path, user=seed.OWN_MANAGER).status == 404
    assert ask(sandbox, path, user=seed.MANAGER).status == 200
    loose = f"/shop/orders/details/{seed.LOOSE_ORDER}/"
    statuses = [ask(sandbox, loose, user=user).status for user in (seed.MANAGER, seed.ADMIN)]
    assert statuses == [404, 200]


@pytest.mark.parametrize(
    ("path", "type_id", "item_id", "code"),
    [
        ("/crm/deal/list/", 2, seed.DEAL, "CRM_DEAL_LIST_MENU"),
        ("/crm/type/31/list/", 31, seed.INVOICE, "CRM_SMART_INVOICE_LIST_MENU"),
    ],
)
def test_a_row_of_a_list_has_a_menu(
    sandbox: Sandbox, path: str, type_id: int, item_id: int, code: str
) -> None:
    address = f"/crm/type/{type_id}/menu/0/{item_id}/"
    listed = page(sandbox, path, user=seed.MANAGER)
    assert listed.first("button", data_slider=address) is not None
    fields = form_of(page(sandbox, f"{address}?IFRAME=Y", user=seed.MANAGER)).fields
    assert fields["PLACEMENT"] == code
    assert json.loads(fields["PLACEMENT_OPTIONS"]) == {"ID": str(item_id), "URI": uri_of(path)}


def test_a_list_without_applications_has_no_menu(sandbox: Sandbox) -> None:
    for portal in sandbox.world.portals.values():
        ours(portal).placements.clear()
    listed = page(sandbox, "/crm/deal/list/", user=seed.MANAGER)
    assert not [one for one in listed.all("details") if one.attributes["class"] == "row-menu"]
    assert ask(sandbox, f"/crm/type/2/menu/0/{seed.DEAL}/", user=seed.MANAGER).status == 404
