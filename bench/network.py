"""Simulates the network to the portals: real TCP and TLS on loopback, with a delay.

Bytes take half a round trip each way. TLS ends behind the delay; there the sandbox responds, or a
cache of its responses. The first bytes of a connection leave one round trip late, the cost of TCP's
handshake; the TLS handshake is bytes, so it is delayed anyway.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bench.processes import handle_one

FIRST_ADDRESS = "127.0.1."  # each portal has its own address, all have the same port
PING = "/bench-ping"
UPSTREAM_THREADS = 24
BACKLOG = 1024
PORTS_TRIED = 20
# An event loop wakes up at whole milliseconds, on average half a millisecond too late.
EARLY = 0.0005
# Keeps bytes in order: the loop does not order callbacks of the same time.
STEP = 1e-6


class SeenRequest(NamedTuple):
    """One request at the portal: its arrival, the sending of its response, its host and path."""

    arrived: float
    left: float
    host: str
    path: str


def address_of(number: int) -> str:
    return f"{FIRST_ADDRESS}{number}"


def listening_sockets(count: int) -> tuple[list[socket.socket], int]:
    """Returns one socket for each portal, and the free port of all. Raises OSError."""
    for _ in range(PORTS_TRIED):
        first = socket.create_server((address_of(1), 0), backlog=BACKLOG)
        port = first.getsockname()[1]
        made = [first]
        others = (address_of(number) for number in range(2, count + 1))
        try:
            made.extend(socket.create_server((other, port), backlog=BACKLOG) for other in others)
        except OSError:
            for each in made:
                each.close()
            continue
        return made, port
    raise OSError("no port is free at all of these addresses")


class Network:
    """The methods that the parent process may call; all run in the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.delay = 0.0
        self.connections: dict[str, int] = defaultdict(int)
        self.handshakes = 0
        self.heard: list[SeenRequest] = []
        self.busy = self.most_at_once = 0
        self.caches_responses = False
        self.records_requests = True
        self.bound = (0, 0)
        self._known: dict[tuple[str, str, bytes], bytes] = {}
        self._upstream: tuple[str, int] | None = None
        self._host_port = 0
        self._pool = ThreadPoolExecutor(UPSTREAM_THREADS)
        self._kept = threading.local()

    def ports(self) -> tuple[int, int]:
        """Returns the port with TLS and delay, and the port without both."""
        return self.bound

    def set_delay(self, seconds: float) -> None:
        """Sets the time of a whole round trip."""
        self.delay = seconds

    def set_upstream(self, host: str, port: int, host_port: int) -> None:
        """Sets the sandbox's address, and the port in its portals' Host header."""
        self._upstream, self._host_port = (host, port), host_port

    def cache_responses(self, on: bool) -> None:
        """Starts with an empty cache: repeats the response to an identical request, at once."""
        self.caches_responses = on
        self._known.clear()

    def record_requests(self, on: bool) -> None:
        """Records the times of each request; off for runs of many thousands."""
        self.records_requests = on

    def reset(self) -> None:
        self.connections.clear()
        self.heard.clear()
        self.handshakes = self.most_at_once = 0

    def opened(self) -> dict[str, int]:
        """Returns the number of connections by portal address."""
        return dict(self.connections)

    def handshake_count(self) -> int:
        return self.handshakes

    def peak_requests(self) -> int:
        """Returns the peak number of requests at the same time, travel included."""
        return self.most_at_once

    def requests(self) -> list[SeenRequest]:
        return list(self.heard)

    def known(self, host: str, path: str, body: bytes) -> bytes | None:
        return self._known.get((host, path, body)) if self.caches_responses else None

    async def ask(self, host: str, path: str, body: bytes, kind: str) -> bytes:
        """Returns the whole response of the sandbox, head and body."""
        answer = await self.loop.run_in_executor(self._pool, self._fetch, host, path, body, kind)
        if self.caches_responses:
            self._known[host, path, body] = answer
        return answer

    def _fetch(self, host: str, path: str, body: bytes, kind: str) -> bytes:
        if self._upstream is None:
            raise RuntimeError("set_upstream() was not called yet")
        kept: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if kept is None:
            kept = http.client.HTTPConnection(*self._upstream, timeout=30)
            kept.connect()
            kept.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._kept.connection = kept
        named = f"{host.partition(':')[0]}:{self._host_port}"
        try:
            kept.request("POST", path, body, {"Host": named, "Content-Type": kind})
            response = kept.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self._kept.connection = None
            kept.close()
            raise
        return whole_answer(response.status, content)


def whole_answer(status: int, content: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} {http.client.responses.get(status, '')}\r\n"
        "Content-Type: application/json; charset=utf-8\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class PortalEnd(asyncio.Protocol):
    """One connection at the portal's end, after TLS."""

    def __init__(self, network: Network, *, behind_tls: bool) -> None:
        self.network, self.behind_tls = network, behind_tls
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        if self.behind_tls:
            self.network.handshakes += 1
        else:
            self.network.connections[transport.get_extra_info("sockname")[0]] += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = self.buffer[:end].decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:])
            }
            length = int(headers.get("content-length", "0"))
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            self._answer(lines[0].split(" ")[1], headers, body)

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> None:
        network, host = self.network, headers.get("host", "")
        arrived = network.loop.time()
        if path == PING:
            self.transport.write(whole_answer(200, b"{}"))
            return
        known = network.known(host, path, body)
        if known is not None:
            self._send(known, arrived, host, path)
            return
        kind = headers.get("content-type", "application/x-www-form-urlencoded")
        task = network.loop.create_task(network.ask(host, path, body, kind))
        task.add_done_callback(lambda done: self._finish(done, arrived, host, path))

    def _finish(self, done: asyncio.Task[bytes], arrived: float, host: str, path: str) -> None:
        if done.exception() is not None:
            self.transport.close()
            return
        self._send(done.result(), arrived, host, path)

    def _send(self, answer: bytes, arrived: float, host: str, path: str) -> None:
        self.transport.write(answer)
        if self.network.records_requests:
            self.network.heard.append(SeenRequest(arrived, self.network.loop.time(), host, path))


class DelayedEnd(asyncio.Protocol):
    """One end of a delayed connection; passes its bytes on to `other`."""

    def __init__(self, network: Network, other: DelayedEnd | None = None) -> None:
        self.network, self.other = network, other
        self.transport: Any = None
        self.early: list[bytes] = []
        self.leaves_at = self.last = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        for data in self.early:
            self.transport.write(data)
        self.early.clear()

    def write(self, data: bytes) -> None:
        if self.transport is None:
            self.early.append(data)
        elif not self.transport.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._pass_on("write", data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pass_on("close")

    def _pass_on(self, name: str, *values: bytes) -> None:
        if self.other is None:
            return
        loop = self.network.loop
        due = max(loop.time(), self.leaves_at) + max(0.0, self.network.delay / 2 - EARLY)
        self.last = max(due, self.last + STEP)
        loop.call_at(self.last, getattr(self.other, name), *values)


class ClientEnd(DelayedEnd):
    """The client's end; its first bytes leave one round trip late, for TCP's handshake."""

    def __init__(self, network: Network, inner: str) -> None:
        super().__init__(network)
        self.inner, self.under_way = inner, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.network.connections[transport.get_extra_info("sockname")[0]] += 1
        self.leaves_at = self.network.loop.time() + self.network.delay
        self.last = self.leaves_at
        self.other = far = DelayedEnd(self.network, self)
        self.task = self.network.loop.create_task(self._join(far))

    async def _join(self, far: DelayedEnd) -> None:
        try:
            await self.network.loop.create_unix_connection(lambda: far, self.inner)
        except OSError:
            self.close()

    def _pass_on(self, name: str, *values: bytes) -> None:
        if name == "write":
            # A request runs from the client's first bytes until the response arrives.
            if not self.under_way:
                self.under_way = True
                self.network.busy += 1
                self.network.most_at_once = max(self.network.most_at_once, self.network.busy)
        else:
            self._settle()
        super()._pass_on(name, *values)

    def write(self, data: bytes) -> None:
        self._settle()
        super().write(data)

    def _settle(self) -> None:
        self.network.busy -= self.under_way
        self.under_way = False


def serve(pipe: Connection, count: int, folder: str) -> None:
    """Runs the network for `count` portals; `folder` has certificate.pem, key.pem and a socket."""
    asyncio.run(_serve(pipe, count, folder))


async def _serve(pipe: Connection, count: int, folder: str) -> None:
    loop = asyncio.get_running_loop()
    network = Network(loop)
    far_sockets, far_port = listening_sockets(count)
    near_sockets, near_port = listening_sockets(count)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(f"{folder}/certificate.pem", f"{folder}/key.pem")
    inner = f"{folder}/inner.sock"
    await loop.create_unix_server(
        lambda: PortalEnd(network, behind_tls=True), inner, ssl=tls, backlog=BACKLOG
    )
    for each in far_sockets:
        await loop.create_server(lambda: ClientEnd(network, inner), sock=each, backlog=BACKLOG)
    for each in near_sockets:
        await loop.create_server(
            lambda: PortalEnd(network, behind_tls=False), sock=each, backlog=BACKLOG
        )
    network.bound = (far_port, near_port)
    ended = loop.create_future()

    def asked() -> None:
        if not handle_one(pipe, network) and not ended.done():
            ended.set_result(None)

    loop.add_reader(pipe.fileno(), asked)
    await ended
