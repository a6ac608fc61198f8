"""The address that a portal opens: the main page or, in a card of the CRM, the payments of that."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from b24app.client import run_together
from b24app.opening import read_opening
from b24app.views.plain import where_to_open
from payments import screens
from payments.forms import read_item_id
from payments.gateway import DEAL, SMART_INVOICE
from payments.visible import MainReading, TabReading

# Every other placement, and none (DEFAULT, LEFT_MENU), gets the main page.
TABS = {
    "CRM_DEAL_DETAIL_TAB": DEAL,
    "CRM_SMART_INVOICE_DETAIL_TAB": SMART_INVOICE,
}


@csrf_exempt  # Its proof is the posted token, which no other site has.
@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponseBase:
    if request.method != "POST":
        return where_to_open(request)
    opening = read_opening(request)
    owner_type = TABS.get(opening.placement)
    reading: MainReading | TabReading
    if owner_type is None:
        template = "payments/main.html"
        reading = MainReading(opening.portal, opening.client)
    else:
        template = "payments/tab.html"
        item_id = read_item_id(opening.options)
        reading = TabReading(opening.portal, opening.client, owner_type, item_id)
    opening.add_proof(reading.user_batch)
    run_together(*reading.batches)
    person = opening.prove()
    listing = reading.listing(person, is_admin=opening.is_admin)
    lines = screens.lines(listing, person.portal)
    may_bulk = listing.rules.may_bulk(person.user_id, is_admin=opening.is_admin)
    context = {
        "listing": listing,
        "lines": lines,
        "is_admin": opening.is_admin,
        "may_bulk": listing.may_pay and may_bulk,
        "may_set_up": isinstance(reading, MainReading) and reading.may_set_up,
    }
    return render(request, template, context)
