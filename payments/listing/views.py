"""The address that a portal opens: the main page, or the payments of one item of the CRM."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from b24app.identity.opening import Opening, read_opening
from b24app.identity.plain import where_to_open
from payments.forms import read_item_id
from payments.gateway import DEAL, SMART_INVOICE
from payments.listing import status
from payments.listing.unfinished_run import unfinished_run
from payments.models import MOST_PAYMENTS
from payments.visibility import MainReading, OrderReading, TabReading

# Every other placement, and none (DEFAULT, LEFT_MENU), gets the main page.
OWNERS = {
    "CRM_DEAL_DETAIL_TAB": DEAL,
    "CRM_DEAL_LIST_MENU": DEAL,
    "CRM_SMART_INVOICE_DETAIL_TAB": SMART_INVOICE,
    "CRM_SMART_INVOICE_LIST_MENU": SMART_INVOICE,
}
ORDER_TAB = "CRM_ORDER_DETAIL_TAB"

Reading = MainReading | TabReading | OrderReading


@csrf_exempt  # Its proof is the posted token, which no other site has.
@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponseBase:
    if request.method != "POST":
        return where_to_open(request)
    opening = read_opening(request)
    reading, person = opening.enter(lambda: _reading(opening))
    is_main = isinstance(reading, MainReading)
    listing = reading.listing(person, is_admin=opening.is_admin)
    lines = status.lines(listing, person.portal)
    may_bulk = listing.rules.may_bulk(person.user_id, is_admin=opening.is_admin)
    context = {
        "listing": listing,
        "lines": lines,
        "unreadable": status.unreadable_lines(listing, person.portal),
        "is_admin": opening.is_admin,
        "may_bulk": listing.may_pay and may_bulk,
        "most_at_once": MOST_PAYMENTS,
        "unfinished": unfinished_run(person) if is_main else None,
        "is_order": isinstance(reading, OrderReading),
        "may_set_up": isinstance(reading, MainReading) and reading.may_set_up,
    }
    return render(request, "payments/main.html" if is_main else "payments/tab.html", context)


def _reading(opening: Opening) -> Reading:
    """Raises BadInput where a card or a list does not say on what it was opened."""
    if opening.placement == ORDER_TAB:
        return OrderReading(opening.portal, opening.client, read_item_id(opening.options))
    owner_type = OWNERS.get(opening.placement)
    if owner_type is None:
        return MainReading(opening.portal, opening.client)
    item_id = read_item_id(opening.options)
    return TabReading(opening.portal, opening.client, owner_type, item_id)
