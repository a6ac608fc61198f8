"""Sets one deadline for a whole exchange: connecting, TLS, headers and body together.

A socket's own timeout limits each wait for bytes, and a server that sends a byte a second never
exceeds it. The sockets here shorten every wait to the time that the exchange has left. They find
the limits in a context variable, because a kept connection serves many exchanges, each in one
thread.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass
class Limits:
    """The time and the bytes that one exchange may still take."""

    connect_by: float  # of time.monotonic
    ends_at: float  # of time.monotonic
    bytes_left: int  # still to be received, before decompression

    @property
    def seconds_left(self) -> float:
        return self.ends_at - time.monotonic()

    @property
    def seconds_to_connect(self) -> float:
        return self.connect_by - time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.seconds_left <= 0


_current: ContextVar[Limits | None] = ContextVar("b24app.deadline", default=None)


@contextmanager
def limited(timeout: tuple[float, float], *, bytes_at_most: int) -> Iterator[Limits]:
    """Limits the exchange in this block.

    `timeout`: seconds to connect, seconds for the answer. `bytes_at_most`: bytes received, before
    decompression.
    """
    now = time.monotonic()
    limits = Limits(now + timeout[0], now + sum(timeout), bytes_at_most)
    token = _current.set(limits)
    try:
        yield limits
    finally:
        _current.reset(token)


def current() -> Limits | None:
    return _current.get()


def seconds_to_connect(otherwise: float | None) -> float | None:
    """Returns the time left to connect; `otherwise` outside an exchange.

    Raises TimeoutError if no time is left.
    """
    limits = _current.get()
    if limits is None:
        return otherwise
    return _positive(limits.seconds_to_connect)


def _wait(silence: float | None) -> float | None:
    """Returns the timeout of the next wait for a socket."""
    limits = _current.get()
    if limits is None:
        return silence
    left = _positive(limits.seconds_left)
    return left if silence is None else min(silence, left)


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise TimeoutError("the exchange has no time left")
    return seconds


def _count_received(count: int) -> int:
    limits = _current.get()
    if limits is not None:
        limits.bytes_left -= count
        if limits.bytes_left < 0:
            raise OSError("the answer is too long")
    return count


class LimitedSocket(socket.socket):
    """A connected socket whose waits end with the exchange."""

    _silence: float | None = None

    def settimeout(self, value: float | None, /) -> None:
        self._silence = value
        super().settimeout(value)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        super().settimeout(_wait(self._silence))
        return _count_received(super().recv_into(*args, **kwargs))

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        super().settimeout(_wait(self._silence))
        super().sendall(*args, **kwargs)


class LimitedSSLSocket(ssl.SSLSocket):
    """The same over TLS. OpenSSL waits for whole records, and Python bounds that wait as one."""

    _silence: float | None = None

    def settimeout(self, value: float | None, /) -> None:
        self._silence = value
        super().settimeout(value)

    def do_handshake(self, block: bool = False) -> None:
        super().settimeout(seconds_to_connect(self._silence))
        super().do_handshake(block)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        super().settimeout(_wait(self._silence))
        return _count_received(super().recv_into(*args, **kwargs))

    def send(self, *args: Any, **kwargs: Any) -> int:
        # `sendall` of this class calls `send` for each part.
        super().settimeout(_wait(self._silence))
        return super().send(*args, **kwargs)


def limit(connected: socket.socket) -> LimitedSocket:
    """Returns the same connection as a LimitedSocket; the given object must not be used again."""
    timeout = connected.gettimeout()
    taken = LimitedSocket(
        connected.family, connected.type, connected.proto, fileno=connected.detach()
    )
    taken.settimeout(timeout)
    return taken
