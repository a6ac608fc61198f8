"""Whose token is this: what Bitrix24 is asked before anything posted to us is believed."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.crypto import constant_time_compare

from b24app import oauth
from b24app.client import Answer, Query
from b24app.errors import (
    OpeningRefused,
    OutcomeUnknown,
    QueryLimit,
    Refused,
    TokenExpired,
    TokenRejected,
)
from b24app.numbers import whole
from b24app.text import cut

# https://host[:port]/rest/, and nothing that would mean something else where the host is written.
_ENDPOINT = re.compile(r"https?://[0-9A-Za-z.-]+(?::[0-9]+)?/[0-9A-Za-z/._-]*")

# As long as its column; what is kept is compared with what is read, both cut.
APP_CODE_LENGTH = 255
NAME_LENGTH = 100

security = logging.getLogger("b24app.security")


class PostedCredentials:
    """A posted access token. It is not renewed: whoever posted it can post a newer one."""

    def __init__(self, access: str) -> None:
        self._access = access

    def access_token(self) -> str:
        return self._access

    def renew(self, stale: str) -> str:
        raise TokenExpired("expired_token", "a posted token is not renewed", 401)


@dataclass(frozen=True)
class AppInfo:
    """This application as the portal knows it: its number there and its code."""

    id: int
    code: str


@dataclass(frozen=True)
class Profile:
    user_id: int
    is_admin: bool
    name: str


def _app_info(answer: Answer) -> AppInfo:
    match answer.result:
        case {"ID": number, "CODE": str() as code}:
            return AppInfo(_id(number), cut(code, APP_CODE_LENGTH))
    raise OutcomeUnknown("app.info: an unknown shape")


def _profile(answer: Answer) -> Profile:
    match answer.result:
        case {"ID": number, "ADMIN": bool() as is_admin, **rest}:
            names = (rest.get(key) for key in ("NAME", "LAST_NAME"))
            name = " ".join(part.strip() for part in names if isinstance(part, str)).strip()
            return Profile(_id(number), is_admin, cut(name, NAME_LENGTH))
        case dict() | list() as nobody if not nobody:
            raise TokenRejected("authorization_error", "the profile of a dismissed user", 200)
    raise OutcomeUnknown("profile: an unknown shape")


def _id(number: object) -> int:
    found = whole(number, least=1)
    if found is None:
        raise OutcomeUnknown("an id that is not a number, or too large")
    return found


# https://apidocs.bitrix24.com/api-reference/common/system/app-info.html
APP_INFO = Query("app.info", _app_info)
# https://apidocs.bitrix24.com/api-reference/common/users/profile.html
PROFILE = Query("profile", _profile)


def owner_of(access: str, *, member_id: str, server_endpoint: str | None) -> oauth.TokenOwner:
    """Ask the OAuth server about a posted token, and demand that it is ours, for this portal.

    Raises OpeningRefused if it is not, or is unknown there; NeverSent, QueryLimit or OutcomeUnknown
    if the server could not say, which proves nothing either way.
    """
    try:
        owner = oauth.token_owner(access, server_endpoint=server_endpoint)
    except QueryLimit:
        raise
    except Refused as error:
        raise refusal(f"the OAuth server: {error.code}", member_id=member_id) from error
    if not constant_time_compare(owner.client_id, settings.B24_CLIENT_ID):
        raise refusal("a token of another application", member_id=member_id)
    if not constant_time_compare(owner.member_id, member_id):
        raise refusal("a token of another portal", member_id=member_id)
    if not _ENDPOINT.fullmatch(owner.client_endpoint):
        raise refusal("the OAuth server names no usable address", member_id=member_id)
    return owner


def refusal(reason: str, *, member_id: str) -> OpeningRefused:
    """The error to raise; the reason is for the security log only."""
    security.warning("opening refused: %s (member_id %s)", reason, member_id)
    return OpeningRefused(reason)


def origin_of(client_endpoint: str) -> str:
    """scheme://host[:port] of a portal's REST address."""
    parts = urlsplit(client_endpoint)
    return f"{parts.scheme}://{parts.netloc}"
