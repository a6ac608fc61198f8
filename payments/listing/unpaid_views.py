"""Views of the list of unpaid payments: the whole screen, the next page, a search."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from b24app.identity.session import PortalRequest, portal_required
from b24app.rest.client import run_batches
from payments.forms import read_search
from payments.listing import status
from payments.listing.unfinished_run import unfinished_run
from payments.models import MOST_PAYMENTS
from payments.visibility import Listing, MainReading


@require_GET
@portal_required
def unpaid(request: PortalRequest) -> HttpResponse:
    """Renders the whole screen, for a person who returns from another screen."""
    person = request.person
    reading = MainReading(person.portal, person.client, ask_profile=True)
    run_batches(*reading.batches)
    found = reading.listing(person, is_admin=reading.is_admin)
    lines = status.lines(found, person.portal)
    context = {
        "listing": found,
        "lines": lines,
        "unreadable": status.unreadable_lines(found, person.portal),
        "is_admin": reading.is_admin,
        "may_bulk": _may_bulk(request, found, reading),
        "most_at_once": MOST_PAYMENTS,
        "unfinished": unfinished_run(person),
    }
    return render(request, "payments/listing/unpaid.html", context)


@require_GET
@portal_required
def listing(request: PortalRequest) -> HttpResponse:
    """Renders the rows of a search, or of the page below the payment `before`."""
    search = read_search(request)
    person = request.person
    reading = MainReading(
        person.portal,
        person.client,
        number=search.number,
        before=search.before,
        ask_profile=True,
    )
    run_batches(*reading.batches)
    found = reading.listing(person, is_admin=reading.is_admin)
    lines = status.lines(found, person.portal)
    context = {
        "listing": found,
        "lines": lines,
        "unreadable": status.unreadable_lines(found, person.portal),
        "search": search,
        "may_bulk": _may_bulk(request, found, reading),
    }
    return render(request, "payments/listing/rows.html", context)


def _may_bulk(request: PortalRequest, found: Listing, reading: MainReading) -> bool:
    may_bulk = found.rules.may_bulk(request.person.user_id, is_admin=reading.is_admin)
    return found.may_pay and may_bulk
