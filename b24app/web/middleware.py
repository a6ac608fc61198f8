"""Around every view: who may frame its answer, and what an error looks like."""

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

# What whoever watches over the app wants to see in the security log. OpeningRefused and
# EventRefused are there already, with their reasons.
_FOR_SECURITY = (AccessDenied, QueryLimit, ScopeMissing, SessionExpired, TokenRejected)


# For whoever runs the app, who has no portal around them.
NEVER_FRAMED = (admin_middleware.ADDRESS, "/metrics")


class TraceMiddleware:
    """Gives a request its id, in the logs and in the response, and ends its shares of portals.

    Outermost, so that every line of the log has the id.
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
    """Has everything of a request said in one language, errors too, and leaves none behind for the
    thread's next request. A session in a posted form brings its own when it is read."""

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
    """Begins each request in UTC, as the publisher's admin stays, and leaves no portal's time zone
    behind for the thread's next request. `session.identify` switches to the portal's."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with timezone.override(None):
            return self.get_response(request)


class FrameMiddleware:
    """Lets the person's own portal frame the answer, and renews their session silently.

    An error that names nobody may be framed by anybody: it holds no data and no action but opening
    the app anew, and has to be readable inside whichever portal it appears in. All else stays as
    CONTENT_SECURITY_POLICY says: not framed.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        # Pages and fragments hold a session and a person's data: no cache may keep them.
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
    """The portal's origin, made of its parsed host and port: nothing else may reach the header."""
    try:
        return origin_of(portal.client_endpoint)
    except AddressNotUnderstood:
        return "'none'"


def framed_by(response: HttpResponseBase, request: HttpRequest, source: str) -> None:
    """Name who may frame a response, by django-csp's own way of changing one."""
    csp_replace({"frame-ancestors": [source]})(lambda _: response)(request)


class ErrorMiddleware:
    """Turns a B24Error into an answer, the only place that does; and an empty 405 into a page.

    Pages, fragments (for htmx) and JSON carry the error's `status`, so that the page's script tells
    them by that: 401 from a session that is over opens the tab anew, 409 and 5xx are shown in
    place. JSON is {"error": code, "sentence": text}.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed):
            mark_refusal_logged(request)  # Django has, where it refused.
            return error_pages.method_not_allowed(request, response["Allow"])
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, unreadable.CLIENTS_FAULTS):
            return unreadable.refuse(request, exception)
        if not isinstance(exception, B24Error):
            return None
        _note(request, exception)
        return error_pages.from_error(request, exception)


def _note(request: HttpRequest, error: B24Error) -> None:
    mark_refusal_logged(request)
    if isinstance(error, OpeningRefused | EventRefused):
        return
    view = request.resolver_match.view_name if request.resolver_match else "-"
    person: session.Person | None = getattr(request, "person", None)
    who = f"{person.portal.member_id}/{person.user_id}" if person else "-"
    log = security if isinstance(error, _FOR_SECURITY) else logger
    # Quoted: the text can be a server's own, and a line of the log is one line.
    log.warning("%s %r in %s for %s", type(error).__name__, str(error), view, who)


def language_of(request: HttpRequest) -> str:
    """Whoever runs the app reads English. In a frame it is what the portal said when it opened the
    app, kept in the session, also in one that is over; elsewhere it is the browser's."""
    if admin_middleware.is_for(request):
        return settings.LANGUAGE_CODE
    if (code := request.GET.get("LANG")) is not None:
        return languages.of_portal(code)
    return session.language_in(request.headers.get(session.HEADER, "")) or (
        translation.get_language_from_request(request)
    )
