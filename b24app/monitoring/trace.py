"""The id of the current request, its portal and its person, for every line of the logs."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar
from dataclasses import dataclass

HEADER = "X-Request-ID"
# The ids of proxies: long enough to be unique, without characters that break a line.
_SANE = re.compile(r"[A-Za-z0-9._-]{8,64}")


@dataclass
class Trace:
    """A request's id, and its portal and person once they are known.

    All threads that work for the request share it.
    """

    request_id: str = ""
    member_id: str = ""
    portal_pk: int | None = None
    user_id: int | None = None


_current: ContextVar[Trace | None] = ContextVar("b24app.trace", default=None)


def begin(given: str = "") -> Trace:
    """Starts a request's trace, with the id that a proxy gave if that is a sane one.

    The trace stays until the next one starts, because Django logs a failed request last of all.
    """
    trace = Trace(given if _SANE.fullmatch(given) else uuid.uuid4().hex)
    _current.set(trace)
    return trace


def current() -> Trace:
    """Returns the request's trace; an empty one outside a request, as in a command."""
    return _current.get() or Trace()


def about(*, member_id: str, portal_pk: int, user_id: int | None = None) -> None:
    """Records the portal and the person of the current request."""
    trace = current()
    trace.member_id, trace.portal_pk = member_id, portal_pk
    if user_id is not None:
        trace.user_id = user_id
