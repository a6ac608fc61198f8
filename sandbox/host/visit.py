"""Holds a visit (person, page, portal), and the frames that the portal remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sandbox.wire.http import Request
from sandbox.wire.loose import number_in
from sandbox.world.world import Installation, Portal, Token, User, World

if TYPE_CHECKING:
    from sandbox.api.state import State

# Frames that the portal remembers. Requests from an older one fail, as they do on a portal whose
# session has expired.
LAYOUTS_KEPT = 500


@dataclass
class Layout:
    """One rendering of an application's frame; `sid` is its APP_SID."""

    sid: str
    installation: Installation
    user_id: int
    placement: str
    options: dict[str, str]
    token: Token
    installing: bool = False


@dataclass
class Memory:
    """The portal's memory of frames: open ones, options, who has launched which application."""

    layouts: dict[str, Layout] = field(default_factory=dict)
    user_options: dict[tuple[str, str, int], dict[str, Any]] = field(default_factory=dict)
    app_options: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    launched: set[tuple[str, str, int]] = field(default_factory=set)

    def add(self, layout: Layout) -> None:
        self.layouts[layout.sid] = layout
        while len(self.layouts) > LAYOUTS_KEPT:
            del self.layouts[next(iter(self.layouts))]


@dataclass(frozen=True)
class Visit:
    """One request for a page by a signed-in person."""

    sandbox: State
    portal: Portal
    request: Request
    user: User

    @property
    def memory(self) -> Memory:
        return memory_of(self.sandbox.world)

    @property
    def in_slider(self) -> bool:
        return self.request.query.get("IFRAME") == "Y"


_MEMORIES: WeakKeyDictionary[World, Memory] = WeakKeyDictionary()


def memory_of(world: World) -> Memory:
    return _MEMORIES.setdefault(world, Memory())


def cookie_name(portal: Portal) -> str:
    """Returns the cookie's name; cookies ignore ports, and the demo's portals share a host."""
    return f"sandbox_user_{portal.member_id}"


def signed_in(portal: Portal, request: Request) -> User | None:
    value = request.cookies.get(cookie_name(portal), "")
    return portal.users.get(number_in(value) or 0)
