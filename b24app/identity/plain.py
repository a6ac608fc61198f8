"""What a plain browser, or a checker of addresses, sees of the app."""

from __future__ import annotations

from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode

# Where Bitrix24 sends people back from its authorization page: the parameters of ours that matter.
_OF_CALLBACK = ("code", "state")


@csp_replace({"frame-ancestors": ["*"]})
def where_to_open(request: HttpRequest) -> HttpResponseBase:
    """Answers GET and HEAD of the frame's addresses: says where to open the app.

    Renders b24app/identity/plain.html, without a context of its own. It holds no action, so any
    page may frame it: a portal that opens the app by GET should show words, not an empty frame.

    Local applications have one address, to which Bitrix24 also returns people from /oauth/start/:
    those are sent on.
    """
    if all(name in request.GET for name in _OF_CALLBACK):
        parameters = {name: request.GET[name] for name in _OF_CALLBACK}
        return redirect(f"{reverse('oauth-callback')}?{urlencode(parameters)}")
    response: HttpResponse = render(request, "b24app/identity/plain.html")
    return response
