"""Dismisses the person who installed an application, and keeps its integration.

https://apidocs.bitrix24.com/settings/system-user.html
"""

from __future__ import annotations

from dataclasses import replace

from sandbox.world.users import Role
from sandbox.world.world import Portal, User, World


def dismiss_installer(
    world: World, portal: Portal, client_id: str, user_id: int, *, renewed_as_clone: bool
) -> User | None:
    """Dismisses the person; returns the system user that takes their place.

    It is a copy with another id and the application's name, which `user.get` never returns. The
    person's tokens act as it from now on. Whether the OAuth server renews them for the old id or
    for the new one is not known: `renewed_as_clone`. Returns None for a local application, whose
    tokens are refused from now on.
    """
    person = portal.users[user_id]
    portal.users[user_id] = replace(person, role=Role.DISMISSED)
    application = world.applications[client_id]
    if application.code == application.client_id:
        return None
    clone = replace(
        person, id=world.next_id(), name=application.title, last_name="", is_system=True
    )
    portal.users[clone.id] = clone
    whose = (client_id, portal.member_id, user_id)
    for token in world.tokens.values():
        if (token.client_id, token.member_id, token.user_id) == whose:
            token.acts_as = clone.id
            if renewed_as_clone:
                token.user_id = clone.id
    return clone
