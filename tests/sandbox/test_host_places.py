"""Where an application stands beside a card's tab: an order's card, the menus of the lists."""

from __future__ import annotations

import json

import pytest

from sandbox.server.app import Sandbox
from sandbox.world import seed
from tests.sandbox.host_pages import DEAL_TAB, a_stage, ask, form_of, ours, page

ORDER_PATH = f"/shop/orders/details/{seed.ORDER}/"
PLACES = ("CRM_ORDER_DETAIL_TAB", "CRM_DEAL_LIST_MENU", "CRM_SMART_INVOICE_LIST_MENU")


@pytest.fixture
def sandbox() -> Sandbox:
    sandbox = a_stage()
    for portal in sandbox.world.portals.values():
        ours(portal).placements += [{**DEAL_TAB, "placement": code} for code in PLACES]
    return sandbox


def test_an_orders_card_has_the_tab(sandbox: Sandbox) -> None:
    fields = form_of(page(sandbox, f"{ORDER_PATH}?tab=rest_1", user=seed.MANAGER)).fields
    assert fields["PLACEMENT"] == "CRM_ORDER_DETAIL_TAB"
    assert json.loads(fields["PLACEMENT_OPTIONS"]) == {"ID": str(seed.ORDER), "URI": ORDER_PATH}


def test_an_order_is_hidden_with_its_deal(sandbox: Sandbox) -> None:
    assert ask(sandbox, ORDER_PATH, user=seed.OWN_MANAGER).status == 404
    path = f"/_host/order/{seed.ORDER}/payments"
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
    assert json.loads(fields["PLACEMENT_OPTIONS"]) == {"ID": str(item_id), "URI": path}


def test_a_list_without_applications_has_no_menu(sandbox: Sandbox) -> None:
    for portal in sandbox.world.portals.values():
        ours(portal).placements.clear()
    listed = page(sandbox, "/crm/deal/list/", user=seed.MANAGER)
    assert not [one for one in listed.all("details") if one.attributes["class"] == "row-menu"]
    assert ask(sandbox, f"/crm/type/2/menu/0/{seed.DEAL}/", user=seed.MANAGER).status == 404
