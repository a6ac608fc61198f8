"""Calls the OAuth server: asks whose a token is, and gets new pairs. Does not use the database.

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

# Seconds to connect and for the answer; their sum is the deadline of the exchange. It is below the
# 20 seconds that other writers of SQLite wait, because a renewal holds a database lock meanwhile.
TIMEOUT = (5.0, 10.0)

# The life of an access token in seconds, if the answer has none, or one above the maximum.
ACCESS_TOKEN_SECONDS = 3600
MAX_ACCESS_TOKEN_SECONDS = 24 * 3600
# Characters of a token. Tokens are opaque; those seen have 32 to 70.
MAX_TOKEN = 2048
# 18 digits: Bitrix24's ids have 32 bits and our columns 63.
_ID = re.compile(r"[1-9][0-9]{0,17}")
_TOKEN = re.compile(r"[\x21-\x7e]+")

# Bitrix24's own OAuth servers. The app calls no other server that a request names.
SERVERS = frozenset({"oauth.bitrix.info", "oauth.bitrix24.tech"})


@dataclass(frozen=True)
class TokenPair:
    """An access token and the refresh token that replaces both once.

    A field that the answer does not have is "" or None.
    """

    access: str = field(repr=False)  # if "", the pair can only be renewed
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
    """The app, the portal and the person of an access token, by the OAuth server."""

    client_id: str
    member_id: str
    user_id: int
    # Not checked; "" if the answer has none. `portal_address` parses it.
    client_endpoint: str = ""
    domain: str = ""
    installed: bool = False
    scope: tuple[str, ...] = ()


class CodeRefused(ChainBroken):
    """The code is unknown, was used before, or is older than its 30 seconds."""

    @property
    def sentence(self) -> StrOrPromise:
        return _(
            "This sign-in took too long on its way back from Bitrix24, or was used already. "
            "Start again."
        )


def authorize_url(portal_origin: str, *, state: str) -> str:
    """Returns the page of the portal where a person allows the app.

    Bitrix24 then sends the person back with a code and `state`.
    https://apidocs.bitrix24.com/settings/oauth/index.html
    """
    query = urlencode({"client_id": settings.B24_CLIENT_ID, "state": state})
    return f"{portal_origin}/oauth/authorize/?{query}"


def exchange_code(code: str) -> TokenPair:
    """Returns the first pair for a code, which lives 30 seconds and can be used once.

    Raises CodeRefused if the code is not valid, else what `refresh` raises.
    https://apidocs.bitrix24.com/settings/oauth/index.html
    """
    try:
        return _pair({"grant_type": "authorization_code", "code": code})
    except ChainBroken as error:
        if error.code.upper() != "INVALID_GRANT":
            raise
        raise CodeRefused(error.code, error.description, error.http_status) from error


def refresh(refresh_token: str) -> TokenPair:
    """Returns a new pair. The refresh token is spent by this, so never send the same one twice.

    Raises ChainBroken if the pair can never be renewed, another Refused if our own set-up is wrong,
    NeverSent or OutcomeUnknown if the server did not answer, OAuthBusy if too many calls wait for
    it.
    https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html
    """
    return _pair({"grant_type": "refresh_token", "refresh_token": refresh_token})


def token_owner(access_token: str, *, server_endpoint: str | None = None) -> TokenOwner:
    """Asks the OAuth server's `app.info` whose token this is; the portal itself could lie.

    `server_endpoint` is the server that the opening or event names; it is called only if it is one
    of SERVERS. Raises Refused if the server rejects the token, OutcomeUnknown if the answer lacks
    the app, the portal or the person, NeverSent or OAuthBusy if the server was not called.
    https://apidocs.bitrix24.com/settings/oauth/index.html
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
    except ValueError:  # Not a URL.
        host = None
    return f"https://{host}" if host in SERVERS else settings.B24_OAUTH_URL


def _pair(grant: Mapping[str, str]) -> TokenPair:
    # In the body, because every machine on the way may log the address.
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
        # The only field that the answer must have: the old pair is spent now.
        refresh=_needed_token(answer, "refresh_token"),
        # By our own clock, from which the server's may differ.
        expires_at=asked_at + timedelta(seconds=lifetime),
        member_id=_optional_text(answer, "member_id"),
        user_id=_id(answer.get("user_id")),
        # Not `domain`, which is the OAuth server's own.
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
    """Returns a positive id that was sent as a number or as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    # Python refuses to convert a number with thousands of digits to text.
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
