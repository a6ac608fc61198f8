"""The OAuth server: whose a token is, and new pairs. It sees neither the database nor a request.

https://apidocs.bitrix24.com/settings/oauth/index.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from b24app.errors import ChainBroken, OutcomeUnknown
from b24app.rest import shares, transport

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# Seconds to connect and for the answer, together the deadline of the exchange. It is below the 20
# seconds that SQLite's other writers wait, because a refresh holds a database lock meanwhile.
TIMEOUT = (5.0, 10.0)

# What a token lives where the answer does not say so, or says what cannot be, in seconds.
ACCESS_TOKEN_SECONDS = 3600
MAX_ACCESS_TOKEN_SECONDS = 24 * 3600
# Tokens are opaque: 32 to 70 characters have been seen, so this is only against nonsense.
MAX_TOKEN = 2048
# Ids are 32-bit in Bitrix24 and 64-bit in our database; both fit.
_ID = re.compile(r"[1-9][0-9]{0,17}")
_TOKEN = re.compile(r"[\x21-\x7e]+")

# The OAuth servers of Bitrix24 itself. A request that names any other is not followed there.
SERVERS = frozenset({"oauth.bitrix.info", "oauth.bitrix24.tech"})


@dataclass(frozen=True)
class TokenPair:
    """An access token, the refresh token that replaces it once, and whose they are.

    What an answer leaves out is "" or None. Without `access` a pair can only be renewed.
    """

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: datetime
    member_id: str
    user_id: int | None
    client_endpoint: str
    scope: tuple[str, ...] = ()
    server_endpoint: str = ""
    status: str = ""


@dataclass(frozen=True)
class TokenOwner:
    """What the OAuth server says of an access token: which app, which portal, which person."""

    client_id: str
    member_id: str
    user_id: int
    # As the server wrote it, "" if it did not: `portal_address` reads it.
    client_endpoint: str = ""
    domain: str = ""
    installed: bool = False
    scope: tuple[str, ...] = ()


class CodeRefused(ChainBroken):
    """The code is unknown, used, or older than its 30 seconds."""

    @property
    def sentence(self) -> StrOrPromise:
        return _(
            "This sign-in took too long on its way back from Bitrix24, or was used already. "
            "Start again."
        )


def authorize_url(portal_origin: str, *, state: str) -> str:
    """Where a person allows the app on their portal, to come back with a code and our state."""
    query = urlencode({"client_id": settings.B24_CLIENT_ID, "state": state})
    return f"{portal_origin}/oauth/authorize/?{query}"


def exchange_code(code: str) -> TokenPair:
    """The first pair for a code, which lives 30 seconds and is good once.

    Raises CodeRefused if that is over, else as `refresh` does.
    """
    try:
        return _pair({"grant_type": "authorization_code", "code": code})
    except ChainBroken as error:
        if error.code.upper() != "INVALID_GRANT":
            raise
        raise CodeRefused(error.code, error.description, error.http_status) from error


def refresh(refresh_token: str) -> TokenPair:
    """A new pair; the one it came from is spent by this, so never ask twice for the same.

    Raises ChainBroken if there will be no new pair, another Refused if our own set-up is wrong,
    NeverSent or OutcomeUnknown if the server did not answer, OAuthBusy if too many others wait for
    it.
    https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html
    """
    return _pair({"grant_type": "refresh_token", "refresh_token": refresh_token})


def token_owner(access_token: str, *, server_endpoint: str | None = None) -> TokenOwner:
    """Whose token this is, by the OAuth server's `app.info`; the portal itself could lie.

    `server_endpoint` is what the opening or event named: followed to Bitrix24's own servers only.
    Raises OutcomeUnknown for an answer that does not say which app, portal and person.
    """
    url = f"{_server(server_endpoint)}/rest/app.info"
    with shares.of_oauth_server("questions", shares.OAUTH_QUESTIONS):
        result = _answer(url, {"auth": access_token}, token=access_token).get("result")
    if not isinstance(result, dict) or not isinstance(result.get("install"), dict):
        raise OutcomeUnknown("app.info: a result of unknown shape")
    install = result["install"]
    return TokenOwner(
        client_id=_text(result, "client_id"),
        member_id=_text(install, "member_id"),
        user_id=_needed_id(result, "user_id"),
        client_endpoint=_optional_text(install, "client_endpoint"),
        domain=_optional_text(install, "domain"),
        installed=install.get("installed") is True,
        scope=_scope(install.get("scope")),
    )


def _server(server_endpoint: str | None) -> str:
    try:
        host = urlsplit(server_endpoint or "").hostname
    except ValueError:  # Not an address at all.
        host = None
    return f"https://{host}" if host in SERVERS else settings.B24_OAUTH_URL


def _pair(grant: Mapping[str, str]) -> TokenPair:
    # In the body: a secret in an address ends up in the logs of every machine on the way.
    fields = {
        "client_id": settings.B24_CLIENT_ID,
        "client_secret": settings.B24_CLIENT_SECRET,
        **grant,
    }
    asked_at = datetime.now(UTC)
    with shares.of_oauth_server("pairs", shares.OAUTH_PAIRS):
        answer = _answer(f"{settings.B24_OAUTH_URL}/oauth/token/", fields)
    access = _token(answer, "access_token")
    lifetime = _lifetime(answer.get("expires_in")) if access else 0
    return TokenPair(
        access=access,
        # The one field that the answer must have: the pair that it came for is spent now.
        refresh=_needed_token(answer, "refresh_token"),
        # By our own clock: theirs may differ from it.
        expires_at=asked_at + timedelta(seconds=lifetime),
        member_id=_optional_text(answer, "member_id"),
        user_id=_id(answer.get("user_id")),
        # `domain` beside it is the OAuth server's.
        client_endpoint=_optional_text(answer, "client_endpoint"),
        scope=_scope(answer.get("scope")),
        server_endpoint=_optional_text(answer, "server_endpoint"),
        status=_optional_text(answer, "status"),
    )


def _answer(url: str, fields: Mapping[str, str], *, token: str = "") -> dict[str, Any]:
    reply = transport.post_form(url, fields, token=token, timeout=TIMEOUT)
    return reply.json()


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = _optional_text(answer, name)
    if not value:
        raise OutcomeUnknown(f"the OAuth server's answer has no {name}")
    return value


def _optional_text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) else ""


def _token(answer: Mapping[str, Any], name: str) -> str:
    value = _optional_text(answer, name)
    return value if len(value) <= MAX_TOKEN and _TOKEN.fullmatch(value) else ""


def _needed_token(answer: Mapping[str, Any], name: str) -> str:
    value = _token(answer, name)
    if not value:
        raise OutcomeUnknown(f"the OAuth server's answer has no {name}")
    return value


def _id(value: object) -> int | None:
    """A positive id, sent as a number or as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    # A number of thousands of digits cannot be made text.
    if isinstance(value, int) and not 0 < value < 10**18:
        return None
    return int(value) if _ID.fullmatch(str(value)) else None


def _needed_id(answer: Mapping[str, Any], name: str) -> int:
    value = _id(answer.get(name))
    if value is None:
        raise OutcomeUnknown(f"the OAuth server's answer has no {name}")
    return value


def _lifetime(value: object) -> int:
    seconds = _id(value)
    if seconds is None or seconds > MAX_ACCESS_TOKEN_SECONDS:
        return ACCESS_TOKEN_SECONDS
    return seconds


def _scope(value: object) -> tuple[str, ...]:
    return tuple(part for part in value.split(",") if part) if isinstance(value, str) else ()
