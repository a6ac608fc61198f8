"""Serves the OAuth server (tokens, `app.info`) and the portal's authorization page.

Its responses are plain JSON without `time`; some of its errors have HTTP status 200.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from sandbox.api import envelopes
from sandbox.api.access import token_of
from sandbox.api.registry import RestError
from sandbox.wire.http import Request, Response, html_response, json_response, redirect
from sandbox.wire.loose import number_in
from sandbox.world.removed import REMOVAL_LAG_SECONDS, RemovedOAuth
from sandbox.world.world import (
    ACCESS_TOKEN_SECONDS,
    CODE_SECONDS,
    Application,
    Installation,
    Portal,
    Role,
    Token,
    World,
)

if TYPE_CHECKING:
    from sandbox.api.state import State

_NOT_INSTALLED = RestError("NOT_INSTALLED", "Application not installed", 401)
_TOKEN_LIKE = re.compile(r"[0-9a-z]{32,}")


def token(world: World, request: Request) -> Response:
    """Returns a new pair of tokens for a code or a refresh token; either works once."""
    try:
        return json_response(_grant(world, request.params))
    except RestError as error:
        return json_response(envelopes.envelope_of(error), error.status)


def app_info(sandbox: State, request: Request) -> Response:
    """Returns a token's application, portal and person; no other source of these is trusted."""
    started = sandbox.world.now()
    try:
        info = _info(sandbox.world, token_of(sandbox, request))
    except RestError as error:
        return envelopes.refusal(error)
    return envelopes.success(envelopes.with_time(sandbox.world, info, started))


def peek(sandbox: State, request: Request) -> tuple[int | None, str, str]:
    """Returns user id, client id and member id of the request's token, valid or not."""
    found = sandbox.world.tokens.get(token_of(sandbox, request))
    if found is None:
        return None, "", ""
    return found.user_id, found.client_id, found.member_id


def authorize(world: World, portal: Portal, request: Request) -> Response:
    """Redirects the person back to the application with a code.

    The cookie `user`, or `as` in the query, is the id of the person logged in. A refusal appears on
    the portal's own page; the application does not learn of it.
    """
    client_id = str(request.params.get("client_id", ""))
    installation = portal.installations.get(client_id)
    if installation is None or installation.removed:
        return _refusal_page("The application is not installed on this portal.")
    user_id = str(request.query.get("as") or request.cookies.get("user", ""))
    user = portal.users.get(number_in(user_id) or 0)
    if user is None or user.role is Role.DISMISSED:
        return _refusal_page("Log in to this portal first.")
    allowed = installation.allowed_users
    if allowed is not None and user.id not in allowed and not user.is_admin:
        return _refusal_page("You have no access to this application.")
    code = secrets.token_hex(16)
    world.codes[code] = Token(
        access="",
        refresh="",
        client_id=client_id,
        member_id=portal.member_id,
        user_id=user.id,
        scopes=(),
        expires=world.now() + CODE_SECONDS,
        refresh_expires=0,
    )
    address = world.applications[client_id].url
    back = {
        "code": code,
        "state": str(request.params.get("state", "")),
        "domain": urlsplit(portal.url).netloc,
        "member_id": portal.member_id,
        "scope": ",".join(installation.scopes),
        "server_domain": urlsplit(world.oauth_url).netloc,
    }
    return redirect(f"{address}{'&' if '?' in address else '?'}{urlencode(back)}")


def _grant(world: World, params: dict[str, Any]) -> dict[str, Any]:
    grant_type = _required(params, "grant_type")
    if grant_type not in ("authorization_code", "refresh_token"):
        raise RestError("invalid_request", "Invalid grant_type parameter")
    application = _application(world, params)
    asked_scope = str(params.get("scope") or "")
    if asked_scope and not set(asked_scope.split(",")) <= set(application.scopes):
        raise RestError("INVALID_SCOPE", "Invalid scope", 403)
    if grant_type == "authorization_code":
        chain = _spend_code(world, application, _required(params, "code"))
    else:
        chain = _spend_refresh(world, application, _required(params, "refresh_token"))
    return _pair(world, chain)


def _required(params: dict[str, Any], name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise RestError("invalid_request", f'No "{name}" parameter found')
    return value


def _application(world: World, params: dict[str, Any]) -> Application:
    application = world.applications.get(_required(params, "client_id"))
    secret = _required(params, "client_secret")
    if application is None:
        raise RestError("wrong_client", "Wrong client", 200)
    if secret != application.client_secret:
        raise RestError("invalid_client", "Invalid client credentials")
    return application


def _spend_code(world: World, application: Application, code: str) -> Token:
    found = world.codes.get(code)
    if found is None or found.client_id != application.client_id or found.expires <= world.now():
        raise RestError("invalid_grant", "Invalid authorization code")
    _present(world, found)
    del world.codes[code]
    return found


def _spend_refresh(world: World, application: Application, refresh: str) -> Token:
    for found in world.tokens.values():
        if found.refresh == refresh and found.client_id == application.client_id:
            break
    else:
        raise RestError("invalid_grant", "Invalid refresh token")
    is_spent = found.refresh_spent and world.refresh_once
    if is_spent or found.refresh_expires <= world.now():
        raise RestError("invalid_grant", "Refresh token has expired")
    _present(world, found)
    found.refresh_spent = True
    found.revoked = found.revoked or world.strict_rotation
    return found


def _present(world: World, chain: Token) -> Installation:
    """Returns the token's installation. Raises RestError if it is removed or not paid for."""
    portal = world.portals[chain.member_id]
    installation = portal.installations.get(chain.client_id)
    if installation is None:
        raise _NOT_INSTALLED
    if installation.removed:
        _check_removed(world, portal, installation)
    if installation.is_unpaid(world.now()):
        raise RestError("PAYMENT_REQUIRED", "Payment required", 401)
    return installation


def _check_removed(world: World, portal: Portal, installation: Installation) -> None:
    """Raises the RestError that `portal.removed_oauth` chooses for a removed application."""
    behind_until = installation.removed_at + REMOVAL_LAG_SECONDS
    match portal.removed_oauth:
        case RemovedOAuth.STILL_INSTALLED if world.now() < behind_until:
            return
        case RemovedOAuth.INVALID_CLIENT:
            raise RestError("invalid_client", "The application may not be installed")
        case RemovedOAuth.INVALID_GRANT:
            raise RestError("invalid_grant", "Invalid refresh token")
        case _:
            raise _NOT_INSTALLED


def _pair(world: World, chain: Token) -> dict[str, Any]:
    installation = _present(world, chain)
    fresh = world.issue(chain.client_id, chain.member_id, chain.user_id, acts_as=chain.acts_as)
    return {
        "access_token": fresh.access,
        "expires": int(fresh.expires),
        "expires_in": ACCESS_TOKEN_SECONDS,
        "scope": ",".join(fresh.scopes),
        "domain": urlsplit(world.oauth_url).netloc,  # this server, not the portal
        "server_endpoint": f"{world.oauth_url}/rest/",
        "status": installation.status,
        "client_endpoint": f"{world.portals[chain.member_id].url}/rest/",
        "member_id": chain.member_id,
        "user_id": chain.user_id,
        "refresh_token": fresh.refresh,
    }


def _info(world: World, access: str) -> dict[str, Any]:
    found = world.tokens.get(access)
    if found is None or found.revoked:
        if _TOKEN_LIKE.fullmatch(access):
            raise RestError("invalid_client", "Invalid client")
        raise RestError("NO_AUTH_FOUND", "Wrong authorization data", 401)
    if found.expires <= world.now():
        raise RestError("expired_token", "The access token provided has expired", 401)
    installation = _present(world, found)
    portal = world.portals[found.member_id]
    return {
        "client_id": found.client_id,
        "scope": ",".join(found.scopes),
        "expires": datetime.fromtimestamp(found.expires, UTC).isoformat(timespec="seconds"),
        "install": {
            "installed": installation.finished,
            "version": installation.version,
            "status": installation.status,
            "scope": ",".join(installation.scopes),
            "domain": urlsplit(portal.url).netloc,
            "uri": portal.url,
            "client_endpoint": f"{portal.url}/rest/",
            "member_id": portal.member_id,
            "member_type": "bitrix24",
        },
        "user_id": found.user_id,
    }


def _refusal_page(sentence: str) -> Response:
    return html_response(f"<!doctype html><title>Authorization</title><p>{sentence}</p>", 403)
