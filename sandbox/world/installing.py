"""Installs, finishes, updates and removes an application on a portal."""

from __future__ import annotations

import secrets
from collections.abc import Collection

from sandbox.world import events
from sandbox.world.world import Installation, Portal, World


def begin_installation(world: World, portal: Portal, client_id: str) -> Installation:
    """Adds the installation, not finished, as the first opening of the installer does."""
    present = portal.installations.get(client_id)
    if present is not None and not present.removed:
        return present
    if present is not None:
        _end_tokens(world, portal, client_id)
    application = world.applications[client_id]
    installation = Installation(
        client_id=client_id,
        id=world.next_id(),
        application_token=secrets.token_hex(16),
        status=application.status,
        scopes=application.scopes,
    )
    portal.installations[client_id] = installation
    return installation


def finish_installation(world: World, portal: Portal, client_id: str, *, user_id: int) -> None:
    """Finishes the installation: widgets and events work from now on."""
    installation = portal.installations[client_id]
    if installation.finished:
        return
    installation.finished = True
    data = {
        "VERSION": installation.version,
        "ACTIVE": "Y",
        "INSTALLED": "Y",
        "LANGUAGE_ID": portal.language,
    }
    events.queue_for(world, portal, installation, "ONAPPINSTALL", data, user_id=user_id)


def update(
    world: World,
    portal: Portal,
    client_id: str,
    *,
    user_id: int,
    dropped: Collection[str] = ("ONAPPINSTALL",),
) -> None:
    """Updates to the next version at once; the portal drops the bindings of the `dropped` events.

    `CRestUtil::UpdateApp` drops the one; older documentation says that a portal drops all.
    """
    installation = portal.installations[client_id]
    data = {
        "PREVIOUS_VERSION": installation.version,
        "VERSION": installation.version + 1,
        "LANGUAGE_ID": portal.language,
    }
    installation.version += 1
    events.queue_for(world, portal, installation, "ONAPPUPDATE", data, user_id=user_id)
    installation.events = [row for row in installation.events if row["event"] not in dropped]


def begin_update(portal: Portal, client_id: str, *, scopes: tuple[str, ...]) -> None:
    """Begins the installation of a version with other scopes from the Marketplace.

    Rewrites the portal's row of the application, as `Marketplace\\Application::install` does: until
    the installer has finished again there are no events and no widgets, and no event tells of it.
    The application's tokens keep their scopes.
    """
    installation = portal.installations[client_id]
    installation.version += 1
    installation.scopes = scopes
    installation.application_token = secrets.token_hex(16)
    installation.finished = False


def set_scopes(world: World, portal: Portal, client_id: str, scopes: tuple[str, ...]) -> None:
    """Gives the application and its present tokens these scopes, as if it never had others."""
    portal.installations[client_id].scopes = scopes
    for token in world.tokens.values():
        if (token.client_id, token.member_id) == (client_id, portal.member_id):
            token.scopes = scopes


def end_trial(portal: Portal, client_id: str) -> None:
    """Ends the trial of the application: both servers refuse its requests from now on."""
    installation = portal.installations[client_id]
    installation.status, installation.paid_until = "T", 0.0


def pay(world: World, portal: Portal, client_id: str, *, until: float) -> None:
    """Pays for the application; the portal tells the application when it has heard of it.

    https://apidocs.bitrix24.com/api-reference/common/events/on-app-payment.html
    """
    installation = portal.installations[client_id]
    installation.status, installation.paid_until = "P", until
    data = {
        "CODE": world.applications[client_id].code,
        "VERSION": installation.version,
        "STATUS": installation.status,
        "PAYMENT_EXPIRED": "N",
        "DAYS": installation.days_left(world.now()),
    }
    # No person causes it, so the event has no token.
    events.queue_for(world, portal, installation, "ONAPPPAYMENT", data, user_id=0)


def uninstall(
    world: World, portal: Portal, client_id: str, *, user_id: int, clean: bool = False
) -> None:
    """Removes the application; `clean` also deletes its handlers and their pay systems."""
    installation = portal.installations[client_id]
    data = {"LANGUAGE_ID": portal.language, "CLEAN": int(clean)}
    events.queue_for(world, portal, installation, "ONAPPUNINSTALL", data, user_id=user_id)
    installation.removed, installation.removed_at = True, world.now()
    installation.events.clear()
    installation.placements.clear()
    if clean:
        _drop_handlers(portal, client_id)


def _end_tokens(world: World, portal: Portal, client_id: str) -> None:
    """Revokes the tokens of the previous installation."""
    for token in world.tokens.values():
        if (token.client_id, token.member_id) == (client_id, portal.member_id):
            token.revoked = token.refresh_spent = True


def _drop_handlers(portal: Portal, client_id: str) -> None:
    codes = {handler.code for handler in portal.handlers.values() if handler.app_id == client_id}
    portal.handlers = {
        key: handler for key, handler in portal.handlers.items() if handler.code not in codes
    }
    portal.pay_systems = {
        key: system for key, system in portal.pay_systems.items() if system.action_file not in codes
    }
