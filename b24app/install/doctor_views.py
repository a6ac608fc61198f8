"""The doctor's page for a portal's administrator: the checks, and buttons for repairs."""

from __future__ import annotations

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from b24app.errors import BadInput
from b24app.identity.session import PortalRequest, portal_required
from b24app.install import doctor, repairs
from b24app.install.repairs import Repair


class RepairForm(forms.Form):
    repair = forms.ChoiceField(choices=Repair.choices)


@require_POST
@portal_required
def page(request: PortalRequest) -> HttpResponse:
    """Renders b24app/install/doctor.html with `lines`. Raises AdministratorsOnly."""
    repairs.require_administrator(request.person)
    return _render(request)


@require_POST
@portal_required
def repair(request: PortalRequest) -> HttpResponse:
    """Does one `repair`, then checks the portal again and renders the same page."""
    form = RepairForm(request.POST)
    if not form.is_valid():
        raise BadInput("no such repair")
    repairs.require_administrator(request.person)
    which = Repair(form.cleaned_data["repair"])
    repairs.repair(request.person.portal, which, by=request.person)
    return _render(request)


def _render(request: PortalRequest) -> HttpResponse:
    person = request.person
    lines = doctor.examine(person.portal, administrator=person.client)
    return render(request, "b24app/install/doctor.html", {"lines": lines})
