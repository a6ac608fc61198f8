"""Renders errors: as a page, as a fragment for htmx, or as JSON for programs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from b24app.errors import (
    AddressForbidden,
    B24Error,
    EventRefused,
    NeverSent,
    OutcomeUnknown,
    PortalBusy,
    PortalMoved,
    QueryLimit,
    Refused,
    TooManyOpenings,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

GetResponse = Callable[[HttpRequest], HttpResponseBase]

# Views whose callers are programs.
JSON_VIEWS = frozenset({"session", "install-finish", "event", "healthz", "readyz"})
# Characters of a server's code on a page; all known codes are shorter.
MAX_CODE = 60
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")


def from_error(request: HttpRequest, error: B24Error) -> HttpResponse:
    """Returns the response for an error."""
    response = respond(
        request,
        status=error.status,
        code=code_of(error),
        sentence=error.sentence,
        retry=_may_help_to_retry(error),
    )
    if isinstance(error, PortalBusy):
        response["Retry-After"] = str(error.retry_after)
    return response


def code_of(error: B24Error) -> str:
    """Returns Bitrix24's code, or the name of the app's error, for a person to quote to support."""
    if isinstance(error, Refused) and error.code:
        return error.code[:MAX_CODE]
    if isinstance(error, EventRefused):
        return "invalid_application_token"  # the code in Bitrix24's rules for publishing
    return _WORD_START.sub("_", type(error).__name__).lower()


def _may_help_to_retry(error: B24Error) -> bool:
    if isinstance(error, AddressForbidden | PortalMoved):
        return False
    return isinstance(error, NeverSent | OutcomeUnknown | QueryLimit | TooManyOpenings)


def respond(
    request: HttpRequest, *, status: int, code: str, sentence: StrOrPromise, retry: bool = False
) -> HttpResponse:
    """Returns the response, rendered with b24app/web/error.html or b24app/web/error_message.html.

    Their context is `sentence`, `code`, `status` and `retry`: whether repeating the request may
    help. Only a POST is repeated, because a portal opens the app by POST.
    """
    retry = retry and request.method == "POST"
    resolved = request.resolver_match
    if resolved is not None and resolved.url_name in JSON_VIEWS:
        return JsonResponse({"error": code, "sentence": str(sentence)}, status=status)
    context = {"sentence": sentence, "code": code, "status": status, "retry": retry}
    is_fragment = request.headers.get("HX-Request") == "true"
    template = "b24app/web/error_message.html" if is_fragment else "b24app/web/error.html"
    return render(request, template, context, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, TooManyFieldsSent | RequestDataTooBig):
        return respond(
            request,
            status=400,
            code="too_many_fields",
            sentence=_(
                "This form has more fields than the app reads at once. Nothing was done. "
                "Choose fewer and try again."
            ),
        )
    return respond(
        request,
        status=400,
        code="bad_request",
        sentence=_("This request cannot be read. Nothing was done. Reload the page."),
    )


def too_large(request: HttpRequest) -> HttpResponse:
    return respond(
        request,
        status=413,
        code="too_large",
        sentence=_("This request is too large. Nothing was done. Reload the page."),
    )


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond(
        request,
        status=403,
        code="forbidden",
        sentence=_("This is not allowed. Open the app from the menu of your Bitrix24."),
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond(
        request,
        status=404,
        code="not_found",
        sentence=_("There is no such page. Open the app from the menu of your Bitrix24."),
    )


def method_not_allowed(request: HttpRequest, allow: str) -> HttpResponse:
    response = respond(
        request,
        status=405,
        code="method_not_allowed",
        sentence=_("This page cannot be opened like this. Open the app from your Bitrix24."),
    )
    response["Allow"] = allow
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    return respond(
        request,
        status=500,
        code="server_error",
        sentence=_(
            "Something went wrong in the app itself, and has been noted. "
            "If you were paying, look at the payment before you try again."
        ),
        retry=True,
    )
