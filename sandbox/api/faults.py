"""Faults that tests and the demo switch on: what goes wrong, when, for whom and how often."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote

from sandbox.api import answers
from sandbox.api.altering import Alter, altered
from sandbox.api.registry import RestError
from sandbox.wire.http import Request, Response, html_response, redirect

CLOUD_LIMIT_SECONDS = 60.0  # the cloud ends a request that takes longer
HOLD_SECONDS = 20.0  # a held call goes on by itself after this, so that no test hangs on it


class Kind(StrEnum):
    DELAY = "delay"  # `seconds` more than usual
    HOLD = "hold"  # until the test sets `release`
    DROP = "drop"  # the connection is cut without an answer
    CUT = "cut"  # carried out, but the connection is cut after `seconds`, as the cloud does at 60
    STATUS500 = "status500"
    HTML502 = "html502"
    QUERY_LIMIT = "query_limit"
    OPERATION_LIMIT = "operation_limit"
    EXPIRED_TOKEN = "expired_token"
    REDIRECT = "redirect"  # 302 to the same path at `url`
    BROKEN_JSON = "broken_json"
    ALTER = "alter"  # carried out, and `alter` says what is sent in place of the answer
    TRUE_WITHOUT_PAYMENT = "true_without_payment"  # the method answers true and does nothing


# Kinds that need no more than their name: those that a command line or a dice can choose.
PLAIN_KINDS = tuple(kind for kind in Kind if kind is not Kind.ALTER)

# Kinds that go together with any other in one request.
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
    """One fault. It strikes the HTTP request whose method, or any command of its batch, is `method`
    (None: every call; "oauth.token" and "app.info" are the OAuth server's), `times` requests long.
    """

    kind: str
    method: str | None = None
    when: str = BEFORE  # before or after the effect
    times: int | None = 1  # None: until it is taken away
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
            raise ValueError(f"{self.kind} needs a method, and what becomes of its answer")
        if self.kind == Kind.TRUE_WITHOUT_PAYMENT:
            self.when = BEFORE
            if self.method is None:
                raise ValueError(f"{self.kind} needs the method that is to answer true")

    def strikes(self, methods: Iterable[str], user_id: int | None, host: str) -> bool:
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

    def answer(
        self, request: Request, carried_out: Response | None, pause: Callable[[float], None]
    ) -> Response | None:
        """The answer in place of the usual one (None: the usual one stands), however long it takes.

        `carried_out` is the usual answer where the effect has happened already.
        """
        self.announce()
        if self.kind == Kind.HOLD:
            self.release.wait(HOLD_SECONDS)
        if self.kind in (Kind.DELAY, Kind.CUT):
            pause(self.seconds)
        if self.kind in (Kind.DROP, Kind.CUT):
            return Response(close=True)
        if refusal := _REFUSALS.get(Kind(self.kind)):
            return answers.refusal(refusal)
        if self.kind == Kind.HTML502:
            return html_response(_BAD_GATEWAY, 502)
        if self.kind == Kind.REDIRECT:
            return redirect(self.url + quote(request.path))
        if self.kind == Kind.ALTER and carried_out and self.method and self.alter:
            return altered(request, carried_out, self.method, self.alter)
        if self.kind == Kind.BROKEN_JSON:
            usual = carried_out or answers.success({})
            body = usual.body[: len(usual.body) // 2] if carried_out else _CUT_OFF
            return Response(200, body, usual.headers)
        return None


class Faults:
    """The faults that are switched on, in the order in which they were added."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Take all faults away; what one of them holds goes on."""
        with self._lock:
            cleared, self._faults = self._faults, []
        for fault in cleared:
            fault.release.set()

    def waiting(self) -> list[Fault]:
        """The faults that have strikes left."""
        with self._lock:
            return [f for f in self._faults if f.times is None or f.hits < f.times]

    def striking(self, methods: tuple[str, ...], user_id: int | None, host: str) -> list[Fault]:
        """The faults that strike this request; each has one strike less afterwards.

        Of those that answer, the first alone: the next one is for the next request.
        """
        struck: list[Fault] = []
        with self._lock:
            for fault in self._faults:
                answered = any(earlier.kind not in _LEAVES_ANSWER for earlier in struck)
                if answered and fault.kind not in _LEAVES_ANSWER:
                    continue
                if fault.strikes(methods, user_id, host):
                    fault.hits += 1
                    struck.append(fault)
        return struck
