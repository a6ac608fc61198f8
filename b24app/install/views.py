"""The installer: a page that shows its progress, the step it waits for, and the same step later."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from b24app.identity.session import PortalRequest, portal_required
from b24app.identity.where_to_open import where_to_open
from b24app.install import installation


@csrf_exempt  # Its proof is the posted token, which no other site has.
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponseBase:
    """Prove and remember the installer, then show a page whose script finishes the job.

    Renders b24app/install/install.html with `finish_url`, to be posted to once with the
    session in its header, and `app_url`, where the app is.
    """
    if request.method != "POST":
        return where_to_open(request)
    installation.begin(request)
    context = {"finish_url": reverse("install-finish"), "app_url": "/"}
    return render(request, "b24app/install/install.html", context)


@require_POST
@portal_required
def finish(request: PortalRequest) -> HttpResponse:
    """Bind the tabs and events; {"ok": true} means that installFinish may be called now."""
    installation.finish(request.person)
    return JsonResponse({"ok": True})


@require_POST
@portal_required
def bindings(request: PortalRequest) -> HttpResponse:
    """What an administrator's page asks for by itself, with nothing to show for it."""
    installation.restore_bindings(request.person)
    return HttpResponse(status=204)
