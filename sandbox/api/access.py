"""Authenticates the caller by token or webhook; checks in the server's order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.api.registry import RestError
from sandbox.wire.http import Request
from sandbox.world.removed import CACHED_TOKEN_SECONDS, RemovedRest
from sandbox.world.world import Installation, Portal, Role, Token, TokenVerdict, User

if TYPE_CHECKING:
    from sandbox.api.state import State

TOKEN_PARAMETERS = ("auth", "access_token")
_BEARER = re.compile(r"Bearer\s+", re.IGNORECASE)
_UNAUTHORIZED = 401
_UNKNOWN_TOKEN = RestError("invalid_token", "Unable to get application by token", _UNAUTHORIZED)
_APPLICATION_NOT_FOUND = RestError("APPLICATION_NOT_FOUND", "Application not found", _UNAUTHORIZED)


@dataclass(frozen=True)
class WebhookKey:
    """A webhook's user and code: the two path segments before the method."""

    user_id: int
    code: str


@dataclass(frozen=True)
class Caller:
    user: User
    client_id: str  # empty for a webhook
    installation: Installation | None
    scopes: tuple[str, ...]


def token_places(request: Request) -> tuple[str, ...]:
    """Returns every place of the request that holds a token, even one that is not used."""
    places = []
    if _BEARER.match(request.headers.get("authorization", "")):
        places.append("header")
    for place, parameters in (("query", request.query), ("body", request.form)):
        if any(name in parameters for name in TOKEN_PARAMETERS):
            places.append(place)
    return tuple(places)


def token_of(sandbox: State, request: Request) -> str:
    """Returns the access token of the Bearer header, else `auth`, else `access_token`, else ""."""
    header = request.headers.get("authorization", "")
    found = _BEARER.match(header)
    if found and not sandbox.ignore_bearer:
        return header[found.end() :]
    if sandbox.ignore_auth_param:
        return ""
    for name in TOKEN_PARAMETERS:
        value = request.params.get(name)
        if value is not None and not isinstance(value, dict | list):
            return str(value)
    return ""


def authenticate(
    sandbox: State,
    portal: Portal,
    request: Request,
    *,
    key: WebhookKey | None,
    scope: str | None,
) -> Caller:
    """Returns the caller. Raises the RestError of the first check that fails."""
    if key is not None:
        return _by_webhook(portal, request, key, scope)
    access = token_of(sandbox, request)
    if access in ("", "0"):
        raise RestError("NO_AUTH_FOUND", "Wrong authorization data", _UNAUTHORIZED)
    token = sandbox.world.tokens.get(access)
    if token is None or token.member_id != portal.member_id:
        raise _UNKNOWN_TOKEN
    installation = portal.installations.get(token.client_id)
    if installation is not None and installation.removed:
        _check_removed(sandbox, portal, installation)
    if not _is_valid(sandbox, portal, token):
        raise _UNKNOWN_TOKEN
    return _by_token(sandbox, portal, token, scope)


def _is_valid(sandbox: State, portal: Portal, token: Token) -> bool:
    """Whether the OAuth server calls the token valid, or did when the portal asked it last.

    `rest/lib/oauth/storagecache.php` keeps both answers for an hour, a refusal as well.
    """
    if portal.token_cache is None:
        return not token.revoked
    now = sandbox.world.now()
    kept = portal.token_cache.get(token.access)
    if kept is None or kept.until <= now:
        kept = TokenVerdict(not token.revoked, now + CACHED_TOKEN_SECONDS)
        portal.token_cache[token.access] = kept
    return kept.is_valid


def _check_removed(sandbox: State, portal: Portal, installation: Installation) -> None:
    """Raises the RestError that `portal.removed_rest` chooses for a removed application."""
    cached_until = installation.removed_at + CACHED_TOKEN_SECONDS
    match portal.removed_rest:
        case RemovedRest.OLD_TOKEN_WORKS if sandbox.world.now() < cached_until:
            return
        case RemovedRest.ERROR_OAUTH:
            raise RestError("ERROR_OAUTH", "Application not installed", _UNAUTHORIZED)
        case _:
            raise _APPLICATION_NOT_FOUND


def _by_token(sandbox: State, portal: Portal, token: Token, scope: str | None) -> Caller:
    installation = portal.installations.get(token.client_id)
    if installation is not None and installation.is_unpaid(sandbox.world.now()):
        raise RestError("PAYMENT_REQUIRED", "Subscription has been ended", _UNAUTHORIZED)
    _check_plan(portal, "on commercial plans")
    if installation is None:
        raise _APPLICATION_NOT_FOUND
    if token.expires <= sandbox.world.now():
        raise RestError("expired_token", "The access token provided has expired", _UNAUTHORIZED)
    _check_scope(scope, token.scopes, "access token")
    user = _authorized(portal, token.acts_as or token.user_id)
    allowed = installation.allowed_users
    if allowed is not None and user.id not in allowed and not user.is_admin:
        raise RestError(
            "user_access_error", "The user does not have access to the application.", _UNAUTHORIZED
        )
    return Caller(user, token.client_id, installation, token.scopes)


def _by_webhook(portal: Portal, request: Request, key: WebhookKey, scope: str | None) -> Caller:
    if request.scheme != "https":
        raise RestError("INVALID_REQUEST", "Https required.", _UNAUTHORIZED)
    for webhook in portal.webhooks:
        if (webhook.user_id, webhook.code) == (key.user_id, key.code):
            break
    else:
        raise RestError("INVALID_CREDENTIALS", "Invalid request credentials", _UNAUTHORIZED)
    _check_scope(scope, webhook.scopes, "webhook token")
    _check_plan(portal, "on commercial plans" if portal.older_build else "by subscription")
    return Caller(_authorized(portal, key.user_id), "", None, webhook.scopes)


def _check_plan(portal: Portal, wanted: str) -> None:
    if not portal.commercial_plan:
        raise RestError("ACCESS_DENIED", f"REST is available only {wanted}.", _UNAUTHORIZED)


def _check_scope(scope: str | None, scopes: tuple[str, ...], credential: str) -> None:
    if scope is not None and scope not in scopes:
        raise RestError(
            "insufficient_scope",
            f"The request requires higher privileges than provided by the {credential}",
            _UNAUTHORIZED,
        )


def _authorized(portal: Portal, user_id: int) -> User:
    user = portal.users.get(user_id)
    if user is None or user.role is Role.DISMISSED:
        raise RestError("authorization_error", "Unable to authorize user", _UNAUTHORIZED)
    return user
