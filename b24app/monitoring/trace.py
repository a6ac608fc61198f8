"""What a request is called, and whose it is: for every line of the logs it leads to."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar
from dataclasses import dataclass

HEADER = "X-Request-ID"
# What proxies make up: long enough to be somebody's own, and nothing that breaks a line.
_SANE = re.compile(r"[A-Za-z0-9._-]{8,64}")


@dataclass
class Trace:
    """Shared by all threads that work for a request; who it is about is learnt on the way."""

    request_id: str = ""
    member_id: str = ""
    portal_pk: int | None = None
    user_id: int | None = None


_current: ContextVar[Trace | None] = ContextVar("b24app.trace", default=None)


def begin(given: str = "") -> Trace:
    """Start a request's trace, under the name that a proxy gave it if that is a sane one.

    It stays until the next begins: Django writes its own line on a failed request last of all.
    """
    trace = Trace(given if _SANE.fullmatch(given) else uuid.uuid4().hex)
    _current.set(trace)
    return trace


def current() -> Trace:
    """The request's trace; an empty one where there is no request, as in a command."""
    return _current.get() or Trace()


def about(*, member_id: str, portal_pk: int, user_id: int | None = None) -> None:
    """Note whose request this is."""
    trace = current()
    trace.member_id, trace.portal_pk = member_id, portal_pk
    if user_id is not None:
        trace.user_id = user_id
