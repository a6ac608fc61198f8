"""Installs, finishes, updates and removes an application on a portal."""

from __future__ import annotations

import secrets

from sandbox.world import events
from sandbox.world.world import Installation, Portal, World


def begin_installation(world: World, portal: Portal, client_id: str) -> Installation:
    """Adds the installation, not finished, as the first opening of the installer does."""
    present = portal.installations.get(client_id)
    if present is not None and not present.removed:
        return present
    if present is not None:
        _end_tokens(world, portal, client_id)
    installation = Installation(
        client_id=client_id,
        id=world.next_id(),
        application_token=secrets.token_hex(16),
        scopes=world.applications[client_id].scopes,
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


def update(world: World, portal: Portal, client_id: str, *, user_id: int) -> None:
    """Updates to the next version; the portal drops the event bindings of the previous one."""
    installation = portal.installations[client_id]
    data = {
        "PREVIOUS_VERSION": installation.version,
        "VERSION": installation.version + 1,
        "LANGUAGE_ID": portal.language,
    }
    installation.version += 1
    events.queue_for(world, portal, installation, "ONAPPUPDATE", data, user_id=user_id)
    installation.events.clear()


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
