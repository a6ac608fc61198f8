"""Views to create and remove Manual settlement."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from b24app.identity.session import PortalRequest, portal_required
from payments.lookups import pay_systems as cached
from payments.setup import manual_settlement
from payments.setup.conflicts import NotSaved
from payments.setup.dependents import dependents
from payments.setup.inventory import read_setup
from payments.setup.views import changed, listed


@require_POST
@portal_required
def create(request: PortalRequest) -> HttpResponse:
    """Creates Manual settlement, or completes it."""
    person = request.person
    try:
        manual_settlement.create(person.client, person.portal)
    except NotSaved as error:
        cached.forget(person.portal)  # A part of it may exist by now.
        return listed(request, read_setup(person.client), problem=error.sentence)
    done = _("Manual settlement is set up. Choose it for a payment, and Pay works at once.")
    return changed(request, done)


@require_GET
@portal_required
def ask_removal(request: PortalRequest) -> HttpResponse:
    """Renders the question before the removal, with what depends on the pay systems."""
    client = request.person.client
    found = manual_settlement.find(read_setup(client))
    ids = [system.details.id for system in found.systems]
    context = {
        "provider": found,
        "dependents": dependents(client, request.person.portal, ids),
    }
    return render(request, "payments/setup/manual_settlement_remove.html", context)


@require_POST
@portal_required
def remove(request: PortalRequest) -> HttpResponse:
    person = request.person
    try:
        manual_settlement.remove(person.client)
    except NotSaved as error:
        cached.forget(person.portal)
        return listed(request, read_setup(person.client), problem=error.sentence)
    return changed(request, _("Manual settlement is removed."))
