"""The installer's page, the step that it waits for, and the later check of the bindings."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from b24app.identity.session import PortalRequest, portal_required
from b24app.identity.where_to_open import where_to_open
from b24app.install import installation


@csrf_exempt  # The posted token is the proof; another site does not have it.
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponseBase:
    """Proves and stores the installer, then renders a page whose script finishes the installation.

    Renders b24app/install/install.html with `finish_url`, to which the script posts once with the
    session in a header, and `app_url`, the address of the app.
    """
    if request.method != "POST":
        return where_to_open(request)
    installation.begin(request)
    context = {"finish_url": reverse("install-finish"), "app_url": "/"}
    return render(request, "b24app/install/install.html", context)


@require_POST
@portal_required
def finish(request: PortalRequest) -> HttpResponse:
    """Binds places and events; responds {"ok": true}, after which the page may call installFinish.

    https://apidocs.bitrix24.com/settings/app-installation/installation-finish.html
    """
    installation.finish(request.person)
    return JsonResponse({"ok": True})


@require_POST
@portal_required
def bindings(request: PortalRequest) -> HttpResponse:
    """Checks the bindings; an administrator's page requests this by itself, and shows nothing."""
    installation.restore_bindings(request.person)
    return HttpResponse(status=204)
