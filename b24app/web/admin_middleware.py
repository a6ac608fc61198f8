"""Django's middleware for cookies, login and CSRF, limited to the admin's address.

The pages in a frame have no cookies, so these must not act on them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.deprecation import MiddlewareMixin
from django.utils.translation import gettext as _

from b24app.identity import client_address
from b24app.web import error_pages

ADDRESS = "/admin/"


def is_for(request: HttpRequest) -> bool:
    return request.path_info.startswith(ADDRESS)


class _AdminOnly(MiddlewareMixin):
    """A mixin that runs a middleware of Django only for requests to the admin."""

    def __call__(self, request: HttpRequest) -> Any:
        if not is_for(request):
            return self.get_response(request)
        return super().__call__(request)


class AdminFrames(_AdminOnly, XFrameOptionsMiddleware):
    """Also allows referrers between the admin's own pages: without one, a browser posts a form with
    the origin `null`, which the CSRF check refuses."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> Any:
        response.headers.setdefault("Referrer-Policy", "same-origin")
        return super().process_response(request, response)


class AdminSession(_AdminOnly, SessionMiddleware):
    pass


class AdminCsrf(_AdminOnly, CsrfViewMiddleware):
    def process_view(
        self, request: HttpRequest, callback: Any, callback_args: Any, callback_kwargs: Any
    ) -> HttpResponseForbidden | None:
        # Django calls this for every request, also for those that __call__ passes on.
        if not is_for(request):
            return None
        return super().process_view(request, callback, callback_args, callback_kwargs)


class AdminUser(_AdminOnly, AuthenticationMiddleware):
    pass


class AdminMessages(_AdminOnly, MessageMiddleware):
    pass


def address_of(request: HttpRequest) -> str | None:
    """Returns the network by which django-axes counts wrong passwords; see settings.py."""
    return client_address.network_of(request) or None


def locked_out(
    request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """Returns the page that django-axes shows during a lockout; see settings.py."""
    locked_for: timedelta = settings.AXES_COOLOFF_TIME
    page = error_pages.respond(
        request,
        status=429,
        code="too_many_passwords",
        sentence=_("Too many wrong passwords. Try again in %(minutes)s minutes.")
        % {"minutes": locked_for // timedelta(minutes=1)},
    )
    page["Retry-After"] = str(int(locked_for.total_seconds()))
    return page
