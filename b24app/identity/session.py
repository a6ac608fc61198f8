"""Issues, reads and requires the signed session value that a frame sends instead of a cookie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, cast

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone, translation
from django.views.decorators.csrf import csrf_exempt

from b24app.errors import SessionExpired
from b24app.models import Portal
from b24app.monitoring import trace
from b24app.rest.client import Client
from b24app.tokens.clients import user_client

HEADER = "X-Frame-Session"
FIELD = "frame_session"

LIFETIME = timedelta(hours=1)
# Late enough that a busy page does not get a new value with every request, and early enough that
# the session of a page in use never expires.
RENEW_AFTER = timedelta(minutes=10)
# After this time a page must be opened again, because people and rights change.
ABSOLUTE_LIFETIME = timedelta(hours=12)
# Three times the longest value that the app signs; the signature of a longer one is not checked.
MAX_LENGTH = 512

_SALT = "b24app.session"
_PARTS = 6


class Caller(Protocol):
    """A person who calls Bitrix24 with their own rights: a Person or a WebhookOwner."""

    @property
    def portal(self) -> Portal: ...

    @property
    def user_id(self) -> int: ...

    @property
    def client(self) -> Client: ...


@dataclass(frozen=True)
class Person:
    """A person whom Bitrix24 has confirmed."""

    portal: Portal
    user_id: int
    proved_at: datetime

    @cached_property
    def client(self) -> Client:
        """A client with this person's own token, so that Bitrix24 applies their rights.

        Raises ChainBroken if no token of theirs is kept.
        """
        return user_client(self.portal, self.user_id)


class PortalRequest(HttpRequest):
    """A request whose session has been read; for type checkers."""

    person: Person
    session_issued_at: datetime
    # Whether the page of this opening asks the app to check its bindings.
    looks_after_bindings: bool


Parameters = ParamSpec("Parameters")
PortalView = Callable[Concatenate[PortalRequest, Parameters], HttpResponseBase]


def issue(person: Person) -> str:
    """Returns a new value for this person and the present language, valid for LIFETIME."""
    return sign(person, issued_at=timezone.now())


def sign(person: Person, *, issued_at: datetime) -> str:
    return signing.Signer(salt=_SALT).sign_object(
        [
            person.portal.pk,
            person.user_id,
            int(person.proved_at.timestamp()),
            int(issued_at.timestamp()),
            person.portal.session_generation,
            translation.get_language() or settings.LANGUAGE_CODE,
        ]
    )


def value_in(request: HttpRequest) -> str:
    """Returns the session value in a header or in a field of a posted form; "" for none.

    Not from a cookie, which the browser would also send for another site's page, and not from the
    address, which ends up in histories and logs.
    """
    value = request.headers.get(HEADER, "")
    if not value and request.method == "POST":
        value = request.POST.get(FIELD, "")
    return value


def read(request: HttpRequest) -> Person:
    """Returns the person of the session in this request.

    Activates the session's language, and sets `request.session_issued_at`. Raises SessionExpired if
    the session is missing, not signed by this app, expired, or of a portal that ended its sessions.
    """
    value = value_in(request)
    if not 0 < len(value) <= MAX_LENGTH:
        raise SessionExpired("no session")
    content = _opened(value)
    if content is None:
        raise SessionExpired("not our signature")
    portal_pk, user_id, proved, issued, generation, language = content
    # Before any refusal, so that the person can read it.
    translation.activate(language)
    proved_at = datetime.fromtimestamp(proved, UTC)
    issued_at = datetime.fromtimestamp(issued, UTC)
    now = timezone.now()
    if now >= issued_at + LIFETIME or now >= proved_at + ABSOLUTE_LIFETIME:
        raise SessionExpired("too old")
    portal = Portal.objects.filter(
        pk=portal_pk, session_generation=generation, uninstalled_at=None
    ).first()
    if portal is None:
        raise SessionExpired("the portal ended its sessions")
    cast(PortalRequest, request).session_issued_at = issued_at
    trace.about(member_id=portal.member_id, portal_pk=portal.pk, user_id=user_id)
    return Person(portal, user_id, proved_at)


def identify(request: HttpRequest, person: Person) -> None:
    """Sets `request.person`, and activates the portal's time zone until the request ends."""
    cast(PortalRequest, request).person = person
    timezone.activate(person.portal.zone)


def language_in(value: str) -> str | None:
    """Returns the language of a session, even of an expired one; None if the signature is wrong."""
    content = _opened(value) if 0 < len(value) <= MAX_LENGTH else None
    return None if content is None else str(content[-1])


def _opened(value: str) -> list[Any] | None:
    try:
        content: list[Any] = signing.Signer(salt=_SALT).unsign_object(value)
    except signing.BadSignature:
        return None
    # A value from an older version of the app is shorter; its tab must reopen.
    return content if len(content) == _PARTS else None


def renewed(request: HttpRequest) -> str | None:
    """Returns a new value for the response if the request's value is older than RENEW_AFTER."""
    person: Person | None = getattr(request, "person", None)
    issued_at: datetime | None = getattr(request, "session_issued_at", None)
    if person is None or issued_at is None or timezone.now() < issued_at + RENEW_AFTER:
        return None
    return issue(person)


def portal_required(
    view: PortalView[Parameters],
) -> Callable[Concatenate[HttpRequest, Parameters], HttpResponseBase]:
    """Makes a view that requires a session, and has its person as `request.person`.

    The view is exempt from Django's CSRF check: a browser does not send the session value by
    itself, so another site cannot make it do so.
    """

    @csrf_exempt
    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponseBase:
        identify(request, read(request))
        return view(cast(PortalRequest, request), *args, **kwargs)

    return wrapped
