"""Refuses requests that cannot be read, with a page and one line in the log.

Django raises its errors for such a request where a middleware or a view first reads it, and logs
each with a traceback. `ReadRequest` reads the request before all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import (
    HttpRequest,
    HttpResponse,
    RawPostDataException,
    UnreadablePostError,
)
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils import translation

from b24app.monitoring.logs import mark_refusal_logged, security
from b24app.web import error_pages

TOO_LARGE = 413

# Errors that Django raises while it reads a request. Codecs raise the last two, for an unknown
# charset or encoding of a part of a form.
_WHILE_READING = (
    BadRequest,
    MultiPartParserError,
    RawPostDataException,
    SuspiciousOperation,
    UnreadablePostError,
    LookupError,
    ValueError,
)
# Errors that Django raises in a view for a request at fault.
CLIENTS_FAULTS = (
    BadRequest,
    MultiPartParserError,
    PermissionDenied,
    SuspiciousOperation,
    UnreadablePostError,
)

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def refuse(request: HttpRequest, error: Exception) -> HttpResponse:
    """Logs a request at fault, and returns its error page."""
    is_allowed = not isinstance(error, PermissionDenied)
    page = error_pages.bad_request if is_allowed else error_pages.forbidden
    return _refused(request, page(request, error), f"{type(error).__name__} {error}")


def _refused(request: HttpRequest, response: HttpResponse, reason: str) -> HttpResponse:
    mark_refusal_logged(request)
    # Quoted, because the client's text could contain line breaks.
    security.warning(
        "refused %s: %.200r (%s %.200r)",
        response.status_code,
        reason,
        request.method,
        request.path,
    )
    return response


class ReadRequest:
    """Reads host, query and form of a request before other middleware does.

    Responds 413 to a body above DATA_UPLOAD_MAX_MEMORY_SIZE, without reading it, and 400 to a
    request that cannot be read.
    """

    def __init__(self, get_response: error_pages.GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            request.get_host()
            _ = request.GET
            if _view_explains_sizes(request):
                return self.get_response(request)
            if _length_of(request) > (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0):
                return self._too_large(request)
            if request.method == "POST":
                _ = request.POST
        except _WHILE_READING as error:
            self._prepare(request)
            return refuse(request, error)
        return self.get_response(request)

    def _too_large(self, request: HttpRequest) -> HttpResponse:
        self._prepare(request)
        page = error_pages.too_large(request)
        return _refused(request, page, f"a body of {request.META['CONTENT_LENGTH']} bytes")

    def _prepare(self, request: HttpRequest) -> None:
        """Sets what an error page needs and a later middleware would have set."""
        translation.activate(translation.get_language_from_request(request))
        try:
            request.resolver_match = resolve(request.path_info)
        except Resolver404:
            request.resolver_match = None


def explains_sizes(view: View) -> View:
    """Marks a view with its own message for too large a form; Django's limits still apply."""
    view.explains_sizes = True  # type: ignore[attr-defined]
    return view


def _view_explains_sizes(request: HttpRequest) -> bool:
    # Django bounds the fields of other forms only, not their files.
    if request.content_type != "application/x-www-form-urlencoded":
        return False
    try:
        return hasattr(resolve(request.path_info).func, "explains_sizes")
    except Resolver404:
        return False


def _length_of(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError as error:
        raise BadRequest("no length") from error
