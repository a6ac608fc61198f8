"""The places of a portal in which the app opens: what each is called there, and what it shows.

A new place is one entry here. The portal binds it at the next look at the app's bindings.
https://apidocs.bitrix24.com/api-reference/widgets/placements.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from b24app.install.bindings import Place, add_place
from b24app.models import Portal
from b24app.rest.client import Client
from payments.gateway import COMPANY, CONTACT, DEAL, SMART_INVOICE, Owner
from payments.visibility import CustomerReading, OrderReading, Reading, TabReading

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True)
class Empty:
    """What a person reads where there is no payment."""

    title: StrOrPromise
    advice: StrOrPromise


@dataclass(frozen=True)
class Tab:
    """The payments of one item of the CRM, in its card or its row of a list."""

    reading: Callable[[Portal, Client, int], Reading]  # the last parameter is the item's id
    empty: Empty
    place: Place
    names_deal: bool = False  # each row has a link to its deal


def _deal(portal: Portal, client: Client, deal_id: int) -> Reading:
    return TabReading(portal, client, Owner(DEAL, deal_id))


def _invoice(portal: Portal, client: Client, invoice_id: int) -> Reading:
    return TabReading(portal, client, Owner(SMART_INVOICE, invoice_id))


def _company(portal: Portal, client: Client, company_id: int) -> Reading:
    return CustomerReading(portal, client, Owner(COMPANY, company_id))


def _contact(portal: Portal, client: Client, contact_id: int) -> Reading:
    return CustomerReading(portal, client, Owner(CONTACT, contact_id))


_NOTHING_YET = Empty(
    _("There is nothing to pay here yet"),
    _("Payments of this object's orders appear here as soon as they are made in the CRM."),
)
_NOTHING_OF_ORDER = Empty(
    _("There is nothing to pay here that you may see"),
    _("You see an order's payments if you may read the deal or invoice that the order belongs to."),
)
_NOTHING_OF_DEALS = Empty(
    _("There is nothing to pay here that you may see"),
    _("The app looks here for unpaid payments of the 50 newest deals that you may read."),
)
_TAB, _MENU = _("Payments"), _("Pay…")

# In every other place, and in the left menu, the app shows its main page.
TABS = {
    "CRM_DEAL_DETAIL_TAB": Tab(
        _deal,
        _NOTHING_YET,
        Place(_TAB, _("What is due on this deal, and how to pay it."), required=True),
    ),
    "CRM_DEAL_LIST_MENU": Tab(
        _deal, _NOTHING_YET, Place(_MENU, _("Shows what is due on this deal, to be paid."))
    ),
    "CRM_SMART_INVOICE_DETAIL_TAB": Tab(
        _invoice,
        _NOTHING_YET,
        Place(_TAB, _("What is due on this invoice, and how to pay it."), required=True),
    ),
    "CRM_SMART_INVOICE_LIST_MENU": Tab(
        _invoice, _NOTHING_YET, Place(_MENU, _("Shows what is due on this invoice, to be paid."))
    ),
    "CRM_ORDER_DETAIL_TAB": Tab(
        OrderReading,
        _NOTHING_OF_ORDER,
        Place(_TAB, _("What is due on this order, and how to pay it.")),
    ),
    "CRM_COMPANY_DETAIL_TAB": Tab(
        _company,
        _NOTHING_OF_DEALS,
        Place(_TAB, _("What is due on this company's deals, and how to pay it.")),
        names_deal=True,
    ),
    "CRM_CONTACT_DETAIL_TAB": Tab(
        _contact,
        _NOTHING_OF_DEALS,
        Place(_TAB, _("What is due on this contact's deals, and how to pay it.")),
        names_deal=True,
    ),
}
for _code, _each in TABS.items():
    add_place(_code, _each.place)
