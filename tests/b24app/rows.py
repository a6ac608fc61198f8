"""Writes rows as an installation and openings leave them, without their pages."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from django.utils import timezone

from b24app import models
from b24app.tokens.oauth import TokenPair
from sandbox.server.app import Sandbox
from sandbox.world import installing, seed
from sandbox.world.world import Portal, Token

HOUR = timedelta(hours=1)


def installed(sandbox: Sandbox, portal: Portal) -> models.Portal:
    """Returns the app's installation, finished, in this portal."""
    installation = installing.begin_installation(sandbox.world, portal, seed.OUR_CLIENT_ID)
    installation.finished = True
    return models.Portal.objects.create(
        member_id=portal.member_id,
        client_endpoint=f"{portal.url}/rest/",
        domain=urlsplit(portal.url).netloc,
        app_id=installation.id,
        app_code=seed.OUR_CLIENT_ID,
        installed_at=timezone.now(),
    )


def pair_of(
    sandbox: Sandbox, portal: Portal, user_id: int, *, expires_in: timedelta = HOUR
) -> TokenPair:
    """Returns a new chain, as the person's opening brings it."""
    token = sandbox.world.issue(seed.OUR_CLIENT_ID, portal.member_id, user_id)
    return TokenPair(
        access=token.access,
        refresh=token.refresh,
        expires_at=timezone.now() + expires_in,
        member_id=portal.member_id,
        user_id=user_id,
        client_endpoint=f"{portal.url}/rest/",
    )


def calls(sandbox: Sandbox, method: str) -> int:
    """Returns how many requests for this method have reached the sandbox."""
    return sum(call.method == method for call in sandbox.log)


def expire(sandbox: Sandbox, access: str) -> None:
    """Makes the portal treat this token as expired, whatever the app's clock says."""
    token: Token = sandbox.world.tokens[access]
    token.expires = sandbox.world.now() - 1
