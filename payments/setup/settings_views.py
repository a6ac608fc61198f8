"""Views of a pay system's settings for a payer type, and of those that apply to one payment."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from b24app.identity.session import PortalRequest, portal_required
from payments.setup import pay_system_settings as saving
from payments.setup.conflicts import NotSaved
from payments.setup.forms import read_payer, read_payment_id
from payments.setup.inventory import Setup, System, read_setup


@require_http_methods(["GET", "POST"])
@portal_required
def settings(request: PortalRequest, pay_system_id: int) -> HttpResponse:
    """Renders and saves the settings of a pay system for one payer type."""
    client = request.person.client
    setup = read_setup(client)
    system = setup.system(pay_system_id)
    context: dict[str, Any] = {"system": system, "payers": _payers(setup, system)}
    person_type_id = read_payer(request, dict(context["payers"]))
    try:
        found = saving.read_settings(client, system, person_type_id=person_type_id)
    except NotSaved as error:
        context["problem"] = error.sentence
        return _page(request, context)
    context["settings"] = found
    if request.method == "POST":
        try:
            count = saving.save_settings(
                client, found, shown=request.POST.get("shown", ""), posted=request.POST
            )
        except NotSaved as error:
            context["problem"] = error.sentence
        else:
            context["done"] = _("Saved.") if count else _("Nothing was changed.")
        context["settings"] = saving.read_settings(client, system, person_type_id=person_type_id)
    return _page(request, context)


@require_POST
@portal_required
def effective(request: PortalRequest, pay_system_id: int) -> HttpResponse:
    """Renders the settings that apply to one payment.

    Only for people who may change the CRM's settings: Bitrix24 itself shows them to each person who
    may pay orders, even for a payment whose deal they may not read.
    """
    payment_id = read_payment_id(request)
    client = request.person.client
    read_setup(client).system(pay_system_id)
    found = saving.effective(client, payment_id=payment_id, pay_system_id=pay_system_id)
    return render(request, "payments/setup/effective_settings.html", {"effective": found})


def _page(request: PortalRequest, context: dict[str, Any]) -> HttpResponse:
    return render(request, "payments/setup/pay_system_settings.html", context)


def _payers(setup: Setup, system: System) -> list[tuple[int, str]]:
    """Returns the payer types of the pay system's registry, after the choice of all payers."""
    known = {registry.value: types for registry, types in setup.person_types.items()}
    types = known.get(system.details.registry, ())
    return [(saving.EVERY_PAYER, _("All payers")), *((one.id, one.name) for one in types)]
