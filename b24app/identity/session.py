"""The signed identity that a frame carries instead of a cookie: issue it, read it, demand it."""

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
# Old enough that a busy page does not sign a value for every request, young enough that a page in
# use never runs out.
RENEW_AFTER = timedelta(minutes=10)
# However busy the page is, then Bitrix24 is asked again who is there: people and rights change.
ABSOLUTE_LIFETIME = timedelta(hours=12)
# Three times the longest value that we sign; what is longer is not worth the arithmetic.
MAX_LENGTH = 512

_SALT = "b24app.session"
_PARTS = 6


class Caller(Protocol):
    """A person who calls Bitrix24 with their own rights: a frame's Person, or a webhook's owner."""

    @property
    def portal(self) -> Portal: ...

    @property
    def user_id(self) -> int: ...

    @property
    def client(self) -> Client: ...


@dataclass(frozen=True)
class Person:
    """Somebody whom Bitrix24 has confirmed: the portal, the user there, and when."""

    portal: Portal
    user_id: int
    proved_at: datetime

    @cached_property
    def client(self) -> Client:
        """Calls with this person's own token, so that Bitrix24's rights are theirs.

        Raises ChainBroken if none is kept.
        """
        return user_client(self.portal, self.user_id)


class PortalRequest(HttpRequest):
    """A request whose session has been read; for type checkers."""

    person: Person
    session_issued_at: datetime
    # The page that answers this opening has the app's bindings looked after.
    looks_after_bindings: bool


Parameters = ParamSpec("Parameters")
PortalView = Callable[Concatenate[PortalRequest, Parameters], HttpResponseBase]


def issue(person: Person) -> str:
    """A new value for this person, good for LIFETIME, that goes on in the present language."""
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


def carried(request: HttpRequest) -> str:
    """Who may carry the identity, and where: a header, or a field of a posted form.

    Never a cookie, which the browser would send for somebody else's page, and never the address,
    which ends in histories and logs.
    """
    value = request.headers.get(HEADER, "")
    if not value and request.method == "POST":
        value = request.POST.get(FIELD, "")
    return value


def read(request: HttpRequest) -> Person:
    """The person whose session this request carries; also notes on the request how old it is.

    From here on everything is said in the session's language. Raises SessionExpired if it is
    missing, not ours, over, or of a portal that ended its sessions.
    """
    value = carried(request)
    if not 0 < len(value) <= MAX_LENGTH:
        raise SessionExpired("no session")
    content = _opened(value)
    if content is None:
        raise SessionExpired("not our signature")
    portal_pk, user_id, proved, issued, generation, language = content
    # Before anything is refused, so that a refusal is understood.
    translation.activate(language)
    proved_at = datetime.fromtimestamp(proved, UTC)
    issued_at = datetime.fromtimestamp(issued, UTC)
    now = timezone.now()
    if now >= issued_at + LIFETIME or now >= proved_at + ABSOLUTE_LIFETIME:
        raise SessionExpired("over")
    portal = Portal.objects.filter(
        pk=portal_pk, session_generation=generation, uninstalled_at=None
    ).first()
    if portal is None:
        raise SessionExpired("the portal ended its sessions")
    cast(PortalRequest, request).session_issued_at = issued_at
    trace.about(member_id=portal.member_id, portal_pk=portal.pk, user_id=user_id)
    return Person(portal, user_id, proved_at)


def identify(request: HttpRequest, person: Person) -> None:
    """From here on the request is this person's, and every time that is written for them is in
    their portal's time zone, until the request is over."""
    cast(PortalRequest, request).person = person
    timezone.activate(person.portal.zone)


def language_in(value: str) -> str | None:
    """The language of a session, also of one that is over; None where the value is not ours."""
    content = _opened(value) if 0 < len(value) <= MAX_LENGTH else None
    return None if content is None else str(content[-1])


def _opened(value: str) -> list[Any] | None:
    try:
        content: list[Any] = signing.Signer(salt=_SALT).unsign_object(value)
    except signing.BadSignature:
        return None
    # One of an older version of the app says less; its tab is asked to reopen.
    return content if len(content) == _PARTS else None


def renewed(request: HttpRequest) -> str | None:
    """A new value for the response, if the one that the request came with is getting old."""
    person: Person | None = getattr(request, "person", None)
    issued_at: datetime | None = getattr(request, "session_issued_at", None)
    if person is None or issued_at is None or timezone.now() < issued_at + RENEW_AFTER:
        return None
    return issue(person)


def portal_required(
    view: PortalView[Parameters],
) -> Callable[Concatenate[HttpRequest, Parameters], HttpResponseBase]:
    """Run the view for a person with a session only, as `request.person`.

    Exempt from Django's CSRF check: the session value is no ambient credential, so another site
    cannot make a browser send it.
    """

    @csrf_exempt
    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponseBase:
        identify(request, read(request))
        return view(cast(PortalRequest, request), *args, **kwargs)

    return wrapped
