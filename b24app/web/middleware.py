"""The app's own middleware: request ids, languages, time zones, framing and error responses."""

from __future__ import annotations

import logging

from csp.decorators import csp_replace
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.utils import timezone, translation
from django.utils.cache import patch_cache_control

from b24app.errors import (
    AccessDenied,
    AddressNotUnderstood,
    B24Error,
    EventRefused,
    OpeningRefused,
    QueryLimit,
    ScopeMissing,
    SessionExpired,
    TokenRejected,
)
from b24app.identity import session
from b24app.localization import languages
from b24app.models import Portal
from b24app.monitoring import trace
from b24app.monitoring.logs import mark_refusal_logged, security
from b24app.rest import shares
from b24app.tokens.proof import origin_of
from b24app.web import admin_middleware, error_pages, unreadable
from b24app.web.call_stack import with_room
from b24app.web.error_pages import GetResponse

logger = logging.getLogger(__name__)

# Errors that go to the security log. OpeningRefused and EventRefused are there already, with their
# reasons.
_FOR_SECURITY = (AccessDenied, QueryLimit, ScopeMissing, SessionExpired, TokenRejected)


# Pages for the operator, which are opened outside of a portal.
NEVER_FRAMED = (admin_middleware.ADDRESS, "/metrics")


class TraceMiddleware:
    """Gives a request its id, in the logs and in the response, and frees its places in shares.

    It is the outermost middleware, so that every line of the log has the id.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    @with_room
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        begun = trace.begin(request.headers.get(trace.HEADER, ""))
        with shares.one_request():
            response = self.get_response(request)
        response[trace.HEADER] = begun.request_id
        return response


class LanguageMiddleware:
    """Activates a request's language, for errors too, and deactivates it at the end.

    `session.read` activates the language of a session in a posted form.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        translation.activate(language_of(request))
        try:
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", translation.get_language())
        finally:
            translation.deactivate()
        return response


class TimeZoneMiddleware:
    """Starts each request in UTC, and leaves no portal's time zone active at its end.

    `session.identify` activates the portal's zone; the publisher's admin stays in UTC.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with timezone.override(None):
            return self.get_response(request)


class FrameMiddleware:
    """Lets the person's own portal frame the response, and renews their session in a header.

    Any page may frame an error without a person: it has no data and no action but opening the app
    again, and must be readable in an unknown portal. By CONTENT_SECURITY_POLICY no page may frame
    other responses.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        # No cache may keep pages and fragments, which contain a session and a person's data.
        patch_cache_control(response, no_store=True)
        person: session.Person | None = getattr(request, "person", None)
        if person is not None:
            framed_by(response, request, _frame_ancestor(person.portal))
        elif response.status_code >= 400 and not request.path_info.startswith(NEVER_FRAMED):
            framed_by(response, request, "*")
        fresh = session.renewed(request)
        if fresh is not None:
            response[session.HEADER] = fresh
        return response


def _frame_ancestor(portal: Portal) -> str:
    """Returns the portal's origin, from its parsed host and port: the header gets nothing else."""
    try:
        return origin_of(portal.client_endpoint)
    except AddressNotUnderstood:
        return "'none'"


def framed_by(response: HttpResponseBase, request: HttpRequest, source: str) -> None:
    """Sets which origin may frame a response, by django-csp's decorator."""
    csp_replace({"frame-ancestors": [source]})(lambda _: response)(request)


class ErrorMiddleware:
    """Turns each B24Error into a response, and an empty 405 into a page.

    Pages, fragments (for htmx) and JSON have the error's `status`, by which the page's script
    decides: 401 means an expired session, and the script opens the tab again; it shows 409 and 5xx
    in place. JSON is {"error": code, "sentence": text}.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed):
            mark_refusal_logged(request)  # Django has logged it.
            return error_pages.method_not_allowed(request, response["Allow"])
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, unreadable.CLIENTS_FAULTS):
            return unreadable.refuse(request, exception)
        if not isinstance(exception, B24Error):
            return None
        _log(request, exception)
        return error_pages.from_error(request, exception)


def _log(request: HttpRequest, error: B24Error) -> None:
    mark_refusal_logged(request)
    if isinstance(error, OpeningRefused | EventRefused):
        return
    view = request.resolver_match.view_name if request.resolver_match else "-"
    person: session.Person | None = getattr(request, "person", None)
    who = f"{person.portal.member_id}/{person.user_id}" if person else "-"
    log = security if isinstance(error, _FOR_SECURITY) else logger
    # Quoted, because a server's text could contain line breaks.
    log.warning("%s %r in %s for %s", type(error).__name__, str(error), view, who)


def language_of(request: HttpRequest) -> str:
    """Returns the language of a request.

    The admin is in English. A frame has the language with which the portal opened the app; the
    session contains it, even after it has expired. Other pages have the browser's language.
    """
    if admin_middleware.is_for(request):
        return settings.LANGUAGE_CODE
    if (code := request.GET.get("LANG")) is not None:
        return languages.of_portal(code)
    return session.language_in(request.headers.get(session.HEADER, "")) or (
        translation.get_language_from_request(request)
    )
