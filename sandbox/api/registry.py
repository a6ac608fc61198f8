"""Registers REST methods: functions of a Call, under their lower-case names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.world.world import Installation, Portal, User, World

PAGE = 50


@dataclass
class Call:
    """One method call, after authentication. `params` are as PHP sees them: str, int, float,
    bool, None, dict or list, keys as sent."""

    world: World
    portal: Portal
    user: User
    method: str
    params: dict[str, Any]
    client_id: str  # empty for a webhook
    installation: Installation | None  # None for a webhook
    scopes: tuple[str, ...] = ()


class RestError(Exception):
    """An error reply. `code` is a number if an older build sends a number."""

    def __init__(
        self, code: str | int, description: str, status: int = 400, **extra: object
    ) -> None:
        super().__init__(code, description)
        self.code = code
        self.description = description
        self.status = status
        self.extra = extra


@dataclass
class Listed:
    """The result of a list method: `total` and `next` go beside `result`, not inside it."""

    result: Any
    total: int | None = None
    next: int | None = None


@dataclass(frozen=True)
class Method:
    name: str
    scope: str | None  # None: every token may call it
    run: Callable[[Call], Any]
    in_batch: bool = field(default=True)


METHODS: dict[str, Method] = {}


def method(
    name: str, scope: str | None = None, *, in_batch: bool = True
) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
    """Registers the decorated function under a REST method's lower-case name."""

    def register(run: Callable[[Call], Any]) -> Callable[[Call], Any]:
        METHODS[name] = Method(name, scope, run, in_batch)
        return run

    return register
