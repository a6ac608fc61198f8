"""Views to add, change and delete a handler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from b24app.identity.session import PortalRequest, portal_required
from payments.setup import handlers as saving
from payments.setup.conflicts import ChangedMeanwhile, NotSaved, allow_overwriting
from payments.setup.handler_forms import HandlerForms, with_another_row
from payments.setup.inventory import read_setup
from payments.setup.views import changed

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@require_http_methods(["GET", "POST"])
@portal_required
def handler(request: PortalRequest, handler_id: int | None = None) -> HttpResponse:
    """Renders and saves the form of a handler, a new one without an id.

    The field `more` asks for another row in the form; then nothing is saved.
    """
    client = request.person.client
    setup = read_setup(client)
    use = None if handler_id is None else setup.handler(handler_id)
    stored = use.handler if use else None
    if request.method != "POST":
        return _form(request, HandlerForms(stored), handler_id)
    more = request.POST.get("more")
    if more:
        rows = with_another_row(request.POST, more)
        return _form(request, HandlerForms(stored, rows), handler_id, hides_errors=True)
    forms = HandlerForms(stored, request.POST)
    if forms.is_valid():
        try:
            if use is None:
                saving.add(client, setup, forms.values)
            else:
                saving.change(client, setup, use, forms.values)
        except ChangedMeanwhile as error:
            forms.main.add_error(None, str(error.sentence))
            values = allow_overwriting(forms.main, HandlerForms(stored).main)
            return _form(request, forms, handler_id, stored=values)
        except NotSaved as error:
            forms.main.add_error(error.field, str(error.sentence))
        else:
            return changed(request, _("Saved."))
    return _form(request, forms, handler_id)


@require_http_methods(["GET", "POST"])
@portal_required
def delete(request: PortalRequest, handler_id: int) -> HttpResponse:
    """Renders the question, and deletes the handler once it is confirmed."""
    client = request.person.client
    use = read_setup(client).handler(handler_id)
    context: dict[str, Any] = {"use": use}
    if request.method == "POST":
        try:
            saving.delete(client, use)
        except NotSaved as error:
            context["problem"] = error.sentence
        else:
            return changed(request, _("Deleted."))
    return render(request, "payments/setup/handler_delete.html", context)


def _form(
    request: PortalRequest,
    forms: HandlerForms,
    handler_id: int | None,
    *,
    stored: Mapping[str, StrOrPromise] | None = None,
    hides_errors: bool = False,
) -> HttpResponse:
    """Renders the form.

    `stored` has, by field, what another person saved meanwhile. `hides_errors` is for a form that
    the person has not finished.
    """
    context = {
        "forms": forms,
        "handler_id": handler_id,
        "stored": stored or {},
        "hides_errors": hides_errors,
    }
    return render(request, "payments/setup/handler.html", context)
