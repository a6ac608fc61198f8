"""Renders the application's frame and the hidden form that is POSTed into it.

The fields have the names of the portal's own template. Its frame has no `sandbox` attribute either.
"""

from __future__ import annotations

import json
import secrets
from typing import Any
from urllib.parse import urlencode, urlsplit

from sandbox.host.rendering import Html, embedded, join, render
from sandbox.host.visit import Layout, Visit
from sandbox.world.world import ACCESS_TOKEN_SECONDS, Application, Installation, Token

DEFAULT = "DEFAULT"
# A frame in a slider has the slider's size; a tab may not rename the card around it.
DENIED_IN_SLIDER = ("resizeWindow",)
DENIED_IN_PLACEMENT = ("setTitle",)
DENIED_IN_PLACEMENT_BEFORE = ("setTitle", "setScroll", "reloadWindow")
_DEFAULT_PORTS = (None, 80, 443)


def application_of(visit: Visit, installation: Installation) -> Application:
    return visit.sandbox.world.applications[installation.client_id]


def application_path(installation: Installation) -> str:
    return f"/marketplace/app/{installation.id}/"


def present(visit: Visit, application: Application) -> Installation | None:
    """Returns the application's installation on this portal, finished or not, or None."""
    installation = visit.portal.installations.get(application.client_id)
    return None if installation is None or installation.removed else installation


def may_use(visit: Visit, installation: Installation) -> bool:
    allowed = installation.allowed_users
    return allowed is None or visit.user.is_admin or visit.user.id in allowed


def app_frame(
    visit: Visit,
    installation: Installation,
    *,
    url: str,
    placement: str = DEFAULT,
    options: dict[str, str] | None = None,
    installing: bool = False,
) -> Html:
    """Renders a frame with a new APP_SID and new tokens of the visitor."""
    world = visit.sandbox.world
    token = world.issue(installation.client_id, visit.portal.member_id, visit.user.id)
    layout = Layout(
        sid=secrets.token_hex(16),
        installation=installation,
        user_id=visit.user.id,
        placement=placement,
        options=options or {},
        token=token,
        installing=installing,
    )
    visit.memory.add(layout)
    return render(
        "frame",
        sid=layout.sid,
        name=_frame_name(visit, layout),
        action=_with_parameters(visit, url, layout),
        fields=join(
            render("hidden", name=name, value=value)
            for name, value in opening_fields(visit, layout).items()
        ),
        title=application_of(visit, installation).title,
        layout=embedded(_for_script(visit, layout, url)),
    )


def opening_fields(visit: Visit, layout: Layout) -> dict[str, str]:
    """Returns the fields to POST. Older portals send no endpoint, application token or scope."""
    world, installation = visit.sandbox.world, layout.installation
    fields = {
        "AUTH_ID": layout.token.access,
        "AUTH_EXPIRES": str(ACCESS_TOKEN_SECONDS),
        "REFRESH_ID": layout.token.refresh,
    }
    if visit.portal.sends_application_token:
        fields |= {
            "SERVER_ENDPOINT": f"{world.oauth_url}/rest/",
            "APPLICATION_TOKEN": installation.application_token,
            "APPLICATION_SCOPE": ",".join(installation.scopes),
        }
    fields |= {
        "member_id": visit.portal.member_id,
        "status": installation.status,
        "PLACEMENT": layout.placement,
    }
    if layout.options:
        fields["PLACEMENT_OPTIONS"] = _php_json(layout.options)
    return fields


def fresh_auth(token: Token) -> dict[str, Any]:
    return {
        "access_token": token.access,
        "expires_in": ACCESS_TOKEN_SECONDS,
        "refresh_token": token.refresh,
    }


def _frame_name(visit: Visit, layout: Layout) -> str:
    portal = urlsplit(visit.portal.url)
    host = portal.hostname or ""
    if portal.port not in _DEFAULT_PORTS:
        host = f"{host}:{portal.port}"
    return f"{host}|{_protocol(visit)}|{layout.sid}"


def _with_parameters(visit: Visit, url: str, layout: Layout) -> str:
    parameters = {
        "DOMAIN": urlsplit(visit.portal.url).netloc,
        "PROTOCOL": str(_protocol(visit)),
        "LANG": visit.portal.language,
        "APP_SID": layout.sid,
    }
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"


def _protocol(visit: Visit) -> int:
    return int(visit.portal.url.startswith("https://"))


def _for_script(visit: Visit, layout: Layout, url: str) -> dict[str, Any]:
    """Returns the data that parent.js needs to reply to the frame."""
    memory, installation = visit.memory, layout.installation
    app = (visit.portal.member_id, installation.client_id)
    person = (*app, visit.user.id)
    application = urlsplit(url)
    is_placement = layout.placement != DEFAULT
    denied: tuple[str, ...] = DENIED_IN_SLIDER if visit.in_slider else ()
    if is_placement:
        denied += DENIED_IN_PLACEMENT_BEFORE if visit.portal.older_build else DENIED_IN_PLACEMENT
    return {
        "sid": layout.sid,
        "appOrigin": f"{application.scheme}://{application.netloc}",
        "appId": application_of(visit, installation).code,
        "applicationUrl": application_path(installation),
        "auth": fresh_auth(layout.token),
        "language": visit.portal.language,
        "memberId": visit.portal.member_id,
        "isAdmin": visit.user.is_admin,
        "installing": layout.installing,
        "firstRun": person not in memory.launched,
        "userOptions": memory.user_options.get(person, {}),
        "appOptions": memory.app_options.get(app, {}),
        "placement": layout.placement,
        "placementOptions": layout.options or [],  # an empty PHP array is a list
        "isPlacement": is_placement,
        "denied": denied,
    }


def _php_json(options: dict[str, str]) -> str:
    """Encodes JSON as PHP does: no spaces, slashes escaped, ASCII only."""
    return json.dumps(options, separators=(",", ":")).replace("/", "\\/")
