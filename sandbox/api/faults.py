"""Defines the faults that tests and the demo switch on: kind, method, moment, count."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote

from sandbox.api import envelopes
from sandbox.api.altering import Alter, altered
from sandbox.api.registry import RestError
from sandbox.wire.http import Request, Response, html_response, redirect

CLOUD_LIMIT_SECONDS = 60.0  # the cloud ends a request that takes longer
HOLD_SECONDS = 20.0  # a held call continues by itself after this, so that no test hangs


class Kind(StrEnum):
    DELAY = "delay"  # wait `seconds` first
    HOLD = "hold"  # until the test sets `release`
    DROP = "drop"  # cut the connection, send no response
    CUT = "cut"  # run the method, cut the connection after `seconds`, as the cloud does at 60
    STATUS500 = "status500"
    HTML502 = "html502"
    QUERY_LIMIT = "query_limit"
    OPERATION_LIMIT = "operation_limit"
    EXPIRED_TOKEN = "expired_token"
    REDIRECT = "redirect"  # 302 to the same path at `url`
    BROKEN_JSON = "broken_json"
    ALTER = "alter"  # run the method, send what `alter` makes of the response
    TRUE_WITHOUT_PAYMENT = "true_without_payment"  # return true, do nothing


# Kinds that need no other argument, for the command line and for random choice.
PLAIN_KINDS = tuple(kind for kind in Kind if kind is not Kind.ALTER)

# Kinds that leave the response to another fault on the same request.
_LEAVES_ANSWER = frozenset({Kind.DELAY, Kind.HOLD, Kind.TRUE_WITHOUT_PAYMENT})

BEFORE, AFTER = "before", "after"

_REFUSALS = {
    Kind.STATUS500: RestError("INTERNAL_SERVER_ERROR", "Internal server error", 500),
    Kind.QUERY_LIMIT: RestError("QUERY_LIMIT_EXCEEDED", "Too many requests", 503),
    Kind.OPERATION_LIMIT: RestError(
        "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429
    ),
    Kind.EXPIRED_TOKEN: RestError("expired_token", "The access token provided has expired", 401),
}
_BAD_GATEWAY = (
    "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
)
_CUT_OFF = b'{"result":{"tas'


@dataclass(eq=False)
class Fault:
    """One fault. It hits the next `times` HTTP requests that call `method`, alone or in a batch."""

    kind: str
    method: str | None = None  # None: every call. The OAuth server's: "oauth.token", "app.info"
    when: str = BEFORE  # before or after the effect
    times: int | None = 1  # None: until it is removed
    seconds: float = CLOUD_LIMIT_SECONDS
    user_id: int | None = None
    host: str | None = None
    url: str = "https://moved.example.com"
    alter: Alter | None = None
    on_hit: threading.Event | Callable[[], object] | None = None
    release: threading.Event = field(default_factory=threading.Event)
    hits: int = 0

    def __post_init__(self) -> None:
        self.kind = Kind(self.kind)
        if self.when not in (BEFORE, AFTER):
            raise ValueError(f"when is {BEFORE!r} or {AFTER!r}, not {self.when!r}")
        if self.kind in (Kind.CUT, Kind.ALTER):
            self.when = AFTER
        if self.kind == Kind.ALTER and (self.alter is None or self.method is None):
            raise ValueError(f"{self.kind} needs a method, and `alter` for its response")
        if self.kind == Kind.TRUE_WITHOUT_PAYMENT:
            self.when = BEFORE
            if self.method is None:
                raise ValueError(f"{self.kind} needs the method that returns true")

    def matches(self, methods: Iterable[str], user_id: int | None, host: str) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        if self.method is not None and self.method.lower() not in methods:
            return False
        if self.user_id is not None and self.user_id != user_id:
            return False
        return self.host is None or self.host == host

    def announce(self) -> None:
        if isinstance(self.on_hit, threading.Event):
            self.on_hit.set()
        elif self.on_hit is not None:
            self.on_hit()

    def respond(
        self, request: Request, carried_out: Response | None, pause: Callable[[float], None]
    ) -> Response | None:
        """Waits if the kind says so, then returns the response to send; None to send the real one.

        `carried_out` is the real response if the method has run already.
        """
        self.announce()
        if self.kind == Kind.HOLD:
            self.release.wait(HOLD_SECONDS)
        if self.kind in (Kind.DELAY, Kind.CUT):
            pause(self.seconds)
        if self.kind in (Kind.DROP, Kind.CUT):
            return Response(close=True)
        if refusal := _REFUSALS.get(Kind(self.kind)):
            return envelopes.refusal(refusal)
        if self.kind == Kind.HTML502:
            return html_response(_BAD_GATEWAY, 502)
        if self.kind == Kind.REDIRECT:
            return redirect(self.url + quote(request.path))
        if self.kind == Kind.ALTER and carried_out and self.method and self.alter:
            return altered(request, carried_out, self.method, self.alter)
        if self.kind == Kind.BROKEN_JSON:
            real = carried_out or envelopes.success({})
            body = real.body[: len(real.body) // 2] if carried_out else _CUT_OFF
            return Response(200, body, real.headers)
        return None


class Faults:
    """The active faults, in the order in which they were added."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Removes all faults; a call that one of them holds continues."""
        with self._lock:
            cleared, self._faults = self._faults, []
        for fault in cleared:
            fault.release.set()

    def waiting(self) -> list[Fault]:
        """Returns the faults that have not hit all their requests yet."""
        with self._lock:
            return [f for f in self._faults if f.times is None or f.hits < f.times]

    def take(self, methods: tuple[str, ...], user_id: int | None, host: str) -> list[Fault]:
        """Returns the faults that hit this request and counts the hit on each.

        Of those that replace the response, only the first hits; the next waits for another request.
        """
        taken: list[Fault] = []
        with self._lock:
            for fault in self._faults:
                answered = any(earlier.kind not in _LEAVES_ANSWER for earlier in taken)
                if answered and fault.kind not in _LEAVES_ANSWER:
                    continue
                if fault.matches(methods, user_id, host):
                    fault.hits += 1
                    taken.append(fault)
        return taken
