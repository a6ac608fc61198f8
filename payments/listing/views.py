"""The address that a portal opens: the main page, or the payments of one item of the CRM."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from b24app.identity.opening import Opening, read_opening
from b24app.identity.where_to_open import where_to_open
from payments.forms import read_item_id
from payments.listing import status
from payments.listing.places import TABS
from payments.listing.unfinished_run import unfinished_run
from payments.models import MOST_PAYMENTS
from payments.visibility import MainReading, Reading


@csrf_exempt  # Its proof is the posted token, which no other site has.
@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponseBase:
    """Renders payments/listing/tab.html or main.html. Raises BadInput where a card or a list does
    not say on which item it was opened, and as `Opening.enter`."""
    if request.method != "POST":
        return where_to_open(request)
    opening = read_opening(request)
    reading, person = opening.enter(lambda: _reading(opening))
    listing = reading.listing(person, is_admin=opening.is_admin)
    context: dict[str, object] = {
        "listing": listing,
        "lines": status.lines(listing, person.portal),
        "unreadable": status.unreadable_lines(listing, person.portal),
        "is_admin": opening.is_admin,
    }
    if not isinstance(reading, MainReading):
        context["tab"] = TABS[opening.placement]
        return render(request, "payments/listing/tab.html", context)
    may_bulk = listing.rules.may_bulk(person.user_id, is_admin=opening.is_admin)
    context |= {
        "may_bulk": listing.may_pay and may_bulk,
        "most_at_once": MOST_PAYMENTS,
        "unfinished": unfinished_run(person),
        "may_set_up": reading.may_set_up,
    }
    return render(request, "payments/listing/main.html", context)


def _reading(opening: Opening) -> Reading:
    tab = TABS.get(opening.placement)
    if tab is None:
        return MainReading(opening.portal, opening.client)
    return tab.reading(opening.portal, opening.client, read_item_id(opening.options))
