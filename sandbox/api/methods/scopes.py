"""Chooses scopes as `events` and `methods` do, by SCOPE, by FULL or by the token."""

from __future__ import annotations

from sandbox.api.registry import Call
from sandbox.wire.loose import is_empty, is_given, to_text, upper_keys

_GLOBAL = "_global"  # the server's name for what needs no scope


def is_chosen(call: Call, scope: str | None) -> bool:
    """Returns whether a call asks about this scope; None is what needs no scope.

    An empty SCOPE is the global one. With a SCOPE the server ignores FULL.
    """
    params = upper_keys(call.params, deep=False)
    if is_given(params, "SCOPE"):
        return (to_text(params["SCOPE"]) or _GLOBAL) == (scope or _GLOBAL)
    return not is_empty(params.get("FULL")) or scope is None or scope in call.scopes
