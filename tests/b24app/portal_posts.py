"""Posts into the app what a portal posts, and walks through an installation."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from django.test import Client

from b24app import models
from sandbox.server.app import Sandbox
from sandbox.world import installing, seed
from sandbox.world.world import Portal

FORM = "application/x-www-form-urlencoded"


def opening_fields(
    sandbox: Sandbox,
    portal: Portal,
    user_id: int,
    *,
    client_id: str = seed.OUR_CLIENT_ID,
    **changes: str,
) -> dict[str, str]:
    """The body of the hidden form: a new token chain for the person who opens the app."""
    token = sandbox.world.issue(client_id, portal.member_id, user_id)
    installation = portal.installations[client_id]
    return {
        "AUTH_ID": token.access,
        "AUTH_EXPIRES": "3600",
        "REFRESH_ID": token.refresh,
        "SERVER_ENDPOINT": f"{sandbox.world.oauth_url}/rest/",
        "APPLICATION_TOKEN": installation.application_token,
        "APPLICATION_SCOPE": ",".join(installation.scopes),
        "member_id": portal.member_id,
        "status": "L",
        "PLACEMENT": "DEFAULT",
        **changes,
    }


def post(
    client: Client, path: str, fields: dict[str, str], *, domain: str = "alpha.example.com"
) -> Any:
    query = urlencode({"DOMAIN": domain, "PROTOCOL": "1", "LANG": "en", "APP_SID": "0" * 32})
    return client.post(f"{path}?{query}", urlencode(fields), content_type=FORM)


def begin(sandbox: Sandbox, portal: Portal) -> None:
    """Adds the application as the administrator; its installer has not run."""
    installing.begin_installation(sandbox.world, portal, seed.OUR_CLIENT_ID)


def install(client: Client, sandbox: Sandbox, portal: Portal, **changes: str) -> models.Portal:
    """Runs the whole installation, as the administrator's browser does; `changes` are made to the
    fields that the portal posts."""
    begin(sandbox, portal)
    fields = opening_fields(sandbox, portal, seed.ADMIN, **changes)
    page = post(client, "/install/", fields, domain=urlsplit(portal.url).netloc)
    assert page.status_code == 200
    finished = client.post(
        "/install/finish/", headers={"x-frame-session": page.context["frame_session"]}
    )
    assert finished.json() == {"ok": True}
    installing.finish_installation(sandbox.world, portal, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)
    return models.Portal.objects.get(member_id=portal.member_id)


def session_of(client: Client, sandbox: Sandbox, portal: Portal, user_id: int) -> str:
    """Returns the frame session from the page of this person's opening."""
    answer = post(client, "/session/", opening_fields(sandbox, portal, user_id))
    assert answer.status_code == 200
    value: str = answer.json()["session"]
    return value


def stored() -> dict[str, Any]:
    """Everything that is kept of portals and people, to see that nothing was added or changed; but
    for when the next question about a portal may be asked, which is not about either."""
    kept = (models.Portal, models.UserToken, models.EventReceipt, models.RemovalClaim)
    rows: dict[str, Any] = {
        model.__name__: list(model._default_manager.order_by("pk").values()) for model in kept
    }
    for row in rows["Portal"]:
        del row["next_question_at"]
    return rows
