"""Requests that cannot be read: each is refused with a page, and with one line in the log.

Django raises its errors for them wherever a middleware or a view first touches the request, and
logs each with a traceback. Here the request is read once, before the others.
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

# What Django raises while it reads a request, and for what a view was sent. Codecs raise the last
# two, for charsets and encodings that a part of a form names.
_WHILE_READING = (
    BadRequest,
    MultiPartParserError,
    RawPostDataException,
    SuspiciousOperation,
    UnreadablePostError,
    LookupError,
    ValueError,
)
CLIENTS_FAULTS = (
    BadRequest,
    MultiPartParserError,
    PermissionDenied,
    SuspiciousOperation,
    UnreadablePostError,
)

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def refuse(request: HttpRequest, error: Exception) -> HttpResponse:
    """The page for a request at fault; writes its line."""
    is_allowed = not isinstance(error, PermissionDenied)
    page = error_pages.bad_request if is_allowed else error_pages.forbidden
    return _refused(request, page(request, error), f"{type(error).__name__} {error}")


def _refused(request: HttpRequest, response: HttpResponse, reason: str) -> HttpResponse:
    mark_refusal_logged(request)
    # Quoted: the text can be the client's own, and a line of the log is one line.
    security.warning("refused %s: %.200r (%s %.200r)", *_told(request, response, reason))
    return response


def _told(request: HttpRequest, response: HttpResponse, reason: str) -> tuple[object, ...]:
    return response.status_code, reason, request.method, request.path


class ReadRequest:
    """Reads host, query and form of a request before anything else does.

    Answers 413 for a body beyond DATA_UPLOAD_MAX_MEMORY_SIZE before any of it is read, 400 for what
    cannot be read.
    """

    def __init__(self, get_response: error_pages.GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            request.get_host()
            _ = request.GET
            if _view_tells_sizes(request):
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
        """What an error page needs and a later middleware would have brought."""
        translation.activate(translation.get_language_from_request(request))
        try:
            request.resolver_match = resolve(request.path_info)
        except Resolver404:
            request.resolver_match = None


def tells_sizes(view: View) -> View:
    """Marks a view that has words of its own for a form that is too long; Django's bounds hold."""
    view.tells_sizes = True  # type: ignore[attr-defined]
    return view


def _view_tells_sizes(request: HttpRequest) -> bool:
    try:
        return hasattr(resolve(request.path_info).func, "tells_sizes")
    except Resolver404:
        return False


def _length_of(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError as error:
        raise BadRequest("no length") from error
