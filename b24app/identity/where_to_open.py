"""The page that a browser sees outside of Bitrix24: it says where to open the app."""

from __future__ import annotations

from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode

# The parameters with which Bitrix24 sends people back from its authorization page.
_CALLBACK_PARAMETERS = ("code", "state")


@csp_replace({"frame-ancestors": ["*"]})
def where_to_open(request: HttpRequest) -> HttpResponseBase:
    """Responds to GET and HEAD at the frame's addresses: says where to open the app.

    Renders b24app/identity/plain.html, without a context of its own. The page has no action, so any
    page may frame it: a portal that opens the app by GET shows a text instead of an empty frame.

    A local application has only one address, so Bitrix24 also sends people there who come back from
    /oauth/start/; those are redirected to /oauth/callback/.
    """
    if all(name in request.GET for name in _CALLBACK_PARAMETERS):
        parameters = {name: request.GET[name] for name in _CALLBACK_PARAMETERS}
        return redirect(f"{reverse('oauth-callback')}?{urlencode(parameters)}")
    response: HttpResponse = render(request, "b24app/identity/plain.html")
    return response
