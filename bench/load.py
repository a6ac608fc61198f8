"""Opens the app over many cheap connections, in its own process."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from bench.processes import handle_one

HARD_STOP_SECONDS = 60.0  # extra time for requests that are still running


@dataclass
class Result:
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    late: int = 0  # requests sent late, because every connection was busy

    @property
    def failed(self) -> int:
        return sum(count for status, count in self.statuses.items() if status != 200)


def request_bytes(
    path: str, host: str, body: bytes, *, keep: bool = True, headers: str = ""
) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n"
        f"{headers}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class _Visitor(asyncio.Protocol):
    """One connection that sends whole requests and waits for whole responses."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.buffer = b""
        self.needed = -1
        self.done: asyncio.Future[int] | None = None
        self.chunked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self, request: bytes) -> asyncio.Future[int]:
        self.done = asyncio.get_running_loop().create_future()
        self.buffer, self.needed, self.chunked = b"", -1, False
        self.transport.write(request)
        return self.done

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.needed < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            place = head.find(b"content-length:")
            self.chunked = place < 0
            if not self.chunked:
                length = int(head[place + 15 :].split(b"\r\n", 1)[0])
                self.needed = end + 4 + length
        if self.chunked:
            whole = self.buffer.endswith(b"0\r\n\r\n")
        else:
            whole = len(self.buffer) >= self.needed
        if whole:
            self._end(int(self.buffer[9:12]))
            if b"connection: close" in self.buffer[: self.buffer.find(b"\r\n\r\n")].lower():
                # The server accepts no further request on this connection.
                self.transport.close()
                self.transport = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._end(0)

    def _end(self, status: int) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_result(status)


class Load:
    """The methods that the parent process may call."""

    def run(
        self,
        port: int,
        requests: Sequence[bytes],
        connections: int,
        total: int,
        seconds: float,
        rate: float,
        keep: bool,
    ) -> Result:
        """Sends `total` requests (0: no limit) within `seconds`, on so many connections.

        With a `rate` (requests a second), each is due at its time and its latency starts then, even
        if no connection was free; without one, each connection sends one after another.
        """
        return asyncio.run(_run(port, requests, connections, total, seconds, rate, keep))


async def _run(
    port: int,
    requests: Sequence[bytes],
    connections: int,
    total: int,
    seconds: float,
    rate: float,
    keep: bool,
) -> Result:
    loop = asyncio.get_running_loop()
    result, statuses = Result(), Counter[int]()
    numbers = itertools.count()
    begun = time.perf_counter()

    async def visit() -> None:
        visitor: _Visitor | None = None
        while True:
            number = next(numbers)
            due = begun + number / rate if rate else time.perf_counter()
            if (total and number >= total) or due - begun >= seconds:
                break
            now = time.perf_counter()
            if due > now:
                await asyncio.sleep(due - now)
            elif rate:
                result.late += 1
            sent = due if rate else time.perf_counter()
            if visitor is None or visitor.transport is None or not keep:
                if visitor is not None and visitor.transport is not None:
                    visitor.transport.close()
                _, visitor = await loop.create_connection(_Visitor, "127.0.0.1", port)
            status = await visitor.ask(requests[number % len(requests)])
            statuses[status] += 1
            result.latencies.append(time.perf_counter() - sent)
        if visitor is not None and visitor.transport is not None:
            visitor.transport.close()

    tasks = [asyncio.create_task(visit()) for _ in range(connections)]
    _, pending = await asyncio.wait(tasks, timeout=seconds + HARD_STOP_SECONDS)
    for task in pending:
        task.cancel()
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception() is not None:
            raise task.exception() or RuntimeError("a visit failed")
    result.seconds = time.perf_counter() - begun
    result.statuses = dict(statuses)
    return result


def serve(pipe: Connection) -> None:
    served = Load()
    while handle_one(pipe, served):
        pass
