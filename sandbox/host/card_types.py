"""Lists the types of CRM objects that have a card: one entry a type.

An entry here gives a type its address and its places for applications. `api/methods/placement.py`
says which placements an application may bind.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.world.world import COMPANY, CONTACT, DEAL, ORDER, SMART_INVOICE


@dataclass(frozen=True)
class CardType:
    type_id: int
    name: str  # in the singular, as the card shows it
    path: str  # the address of a card; {} is the object's id
    tab: str  # the placement of an application's tab
    # The list of these objects; empty for a type without one.
    list_title: str = ""
    list_path: str = ""
    list_menu: str = ""  # the placement in the menu of a row

    def path_of(self, object_id: int) -> str:
        return self.path.format(object_id)


_ALL = (
    CardType(
        DEAL,
        name="Deal",
        path="/crm/deal/details/{}/",
        tab="CRM_DEAL_DETAIL_TAB",
        list_title="Deals",
        list_path="/crm/deal/list/",
        list_menu="CRM_DEAL_LIST_MENU",
    ),
    CardType(
        SMART_INVOICE,
        name="Invoice",
        path="/crm/type/31/details/{}/",
        # CRM_DYNAMIC_31_DETAIL_TAB does not exist.
        tab="CRM_SMART_INVOICE_DETAIL_TAB",
        list_title="Invoices",
        list_path="/crm/type/31/list/",
        list_menu="CRM_SMART_INVOICE_LIST_MENU",
    ),
    CardType(
        COMPANY,
        name="Company",
        path="/crm/company/details/{}/",
        tab="CRM_COMPANY_DETAIL_TAB",
    ),
    CardType(
        CONTACT,
        name="Contact",
        path="/crm/contact/details/{}/",
        tab="CRM_CONTACT_DETAIL_TAB",
    ),
    CardType(
        ORDER,
        name="Order",
        path="/shop/orders/details/{}/",
        tab="CRM_ORDER_DETAIL_TAB",
    ),
)
CARD_TYPES = {card_type.type_id: card_type for card_type in _ALL}
