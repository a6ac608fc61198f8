"""Views to list, add, change, switch and delete pay systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from b24app.identity.session import PortalRequest, portal_required
from payments.lookups import pay_systems as cached
from payments.setup import manual_settlement
from payments.setup import pay_systems as saving
from payments.setup.conflicts import ChangedMeanwhile, NotSaved, allow_overwriting
from payments.setup.dependents import dependents
from payments.setup.forms import read_switch
from payments.setup.inventory import Setup, read_setup
from payments.setup.pay_systems import SystemForm

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@require_GET
@portal_required
def systems(request: PortalRequest) -> HttpResponse:
    return listed(request, read_setup(request.person.client))


@require_http_methods(["GET", "POST"])
@portal_required
def system(request: PortalRequest, pay_system_id: int | None = None) -> HttpResponse:
    """Renders and saves the form of a pay system, a new one without an id."""
    client = request.person.client
    setup = read_setup(client)
    found = None if pay_system_id is None else setup.system(pay_system_id)
    if request.method != "POST":
        return _form(request, SystemForm(setup, found), pay_system_id)
    form = SystemForm(setup, found, request.POST)
    if form.is_valid():
        try:
            if found is None:
                saving.add(client, setup, form.cleaned_data)
            else:
                saving.change(client, found, form.cleaned_data)
        except ChangedMeanwhile as error:
            form.add_error(None, str(error.sentence))
            stored = allow_overwriting(form, SystemForm(setup, found))
            return _form(request, form, pay_system_id, stored=stored)
        except NotSaved as error:
            form.add_error(error.field, str(error.sentence))
        else:
            return changed(request, _("Saved."))
    return _form(request, form, pay_system_id)


@require_POST
@portal_required
def switch(request: PortalRequest, pay_system_id: int) -> HttpResponse:
    on = read_switch(request)
    client = request.person.client
    found = read_setup(client).system(pay_system_id)
    try:
        saving.switch(client, found, on=on)
    except NotSaved as error:
        return listed(request, read_setup(client), problem=error.sentence)
    return changed(request, _("Switched on.") if on else _("Switched off."))


@require_http_methods(["GET", "POST"])
@portal_required
def delete(request: PortalRequest, pay_system_id: int) -> HttpResponse:
    """Renders the question with what depends on the pay system; deletes it once confirmed."""
    client = request.person.client
    found = read_setup(client).system(pay_system_id)
    context: dict[str, Any] = {
        "system": found,
        "dependents": dependents(client, request.person.portal, [pay_system_id]),
    }
    if request.method == "POST":
        try:
            saving.delete(client, found)
        except NotSaved as error:
            context["problem"] = error.sentence
        else:
            return changed(request, _("Deleted."))
    return render(request, "payments/setup/pay_system_delete.html", context)


def listed(
    request: PortalRequest, setup: Setup, *, done: str = "", problem: StrOrPromise = ""
) -> HttpResponse:
    """Renders the screen with both lists, and what was just done or why it failed."""
    found = manual_settlement.find(setup)
    context = {"setup": setup, "provider": found, "done": done, "problem": problem}
    return render(request, "payments/setup/pay_systems.html", context)


def changed(request: PortalRequest, done: str) -> HttpResponse:
    """Renders the screen after a change."""
    # The next list of payments must not use the pay systems as they were before.
    cached.forget(request.person.portal)
    return listed(request, read_setup(request.person.client), done=done)


def _form(
    request: PortalRequest,
    form: SystemForm,
    pay_system_id: int | None,
    *,
    stored: Mapping[str, StrOrPromise] | None = None,
) -> HttpResponse:
    """Renders the form. `stored` has, by field, what another person saved meanwhile."""
    context = {"form": form, "pay_system_id": pay_system_id, "stored": stored or {}}
    return render(request, "payments/setup/pay_system.html", context)
