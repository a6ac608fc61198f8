"""Asks Bitrix24 about a posted token, which proves who posted it: which app, portal and person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils.crypto import constant_time_compare

from b24app.errors import (
    AddressForbidden,
    AddressNotUnderstood,
    OpeningRefused,
    OutcomeUnknown,
    QueryLimit,
    Refused,
    TokenExpired,
    TokenRejected,
)
from b24app.monitoring.logs import security
from b24app.rest import portal_address
from b24app.rest.client import Answer, Query
from b24app.rest.portal_address import PortalAddress
from b24app.tokens import oauth
from b24app.untrusted.numbers import whole
from b24app.untrusted.text import cut

# The length of the column. The stored code is compared with later answers, so both are cut.
APP_CODE_LENGTH = 255
NAME_LENGTH = 100


class PostedCredentials:
    """A posted access token. It is not renewed: the browser that posted it can post a newer one."""

    def __init__(self, access: str) -> None:
        self._access = access

    def access_token(self) -> str:
        return self._access

    def renew(self, stale: str) -> str:
        raise TokenExpired("expired_token", "a posted token is not renewed", 401)


@dataclass(frozen=True)
class AppInfo:
    """This application in the portal's `app.info`."""

    id: int  # of the application in this portal
    code: str


@dataclass(frozen=True)
class Profile:
    """A person, by the portal's `profile`."""

    user_id: int
    is_admin: bool
    name: str
    time_zone: str = ""  # an IANA name; "" if the person has chosen none
    utc_offset: timedelta | None = None  # of the portal's server; None if the answer has none


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
            zone = rest.get("TIME_ZONE")
            return Profile(
                _id(number),
                is_admin,
                cut(name, NAME_LENGTH),
                zone if isinstance(zone, str) else "",
                answer.offset,
            )
        case dict() | list() as empty if not empty:
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


def owner_of(
    access: str, *, member_id: str, server_endpoint: str | None = None
) -> oauth.TokenOwner:
    """Asks the OAuth server whose a posted token is.

    Raises OpeningRefused if the token is unknown, or is not of this app and this portal; NeverSent,
    QueryLimit or OutcomeUnknown if the server gave no answer, which proves nothing.
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
    return owner


def address_of(owner: oauth.TokenOwner) -> PortalAddress:
    """Returns the portal's address, by the OAuth server.

    Raises AddressNotUnderstood, or AddressForbidden if this app never calls the address.
    """
    try:
        return portal_address.parse_callable(owner.client_endpoint)
    except (AddressForbidden, AddressNotUnderstood) as error:
        security.warning(
            "the OAuth server names no usable address: %s (member_id %s)", error, owner.member_id
        )
        raise


def refusal(reason: str, *, member_id: str) -> OpeningRefused:
    """Logs why an opening is refused, and returns the error to raise."""
    security.warning("opening refused: %s (member_id %s)", reason, member_id)
    return OpeningRefused(reason)


def origin_of(client_endpoint: str) -> str:
    """Returns scheme://host[:port] of a portal's REST address. Raises AddressNotUnderstood."""
    return portal_address.parse(client_endpoint).origin
