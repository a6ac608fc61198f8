"""Small servers for faults that the sandbox does not play: silence, broken or endless answers."""

from __future__ import annotations

import io
import itertools
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

# Writes a connection's answer, once the request has been read.
Answer = Callable[[socket.socket], None]
# Between two bytes of a dripping answer: far below any timeout of a test.
DRIP_SECONDS = 0.03


@dataclass
class Listener:
    """A port on this machine, with what has been sent to it."""

    port: int
    connections: list[socket.socket] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rest/profile"


def saying(answer: bytes) -> Answer:
    return lambda connection: connection.sendall(answer)


def http(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


@contextmanager
def listening(
    answer: Answer | None = None, *, tls: ssl.SSLContext | None = None
) -> Iterator[Listener]:
    """Accepts connections; answers each request, or stays silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(server.getsockname()[1])
        acceptor = threading.Thread(target=_accept, args=(server, listener, answer, tls))
        acceptor.start()
        try:
            yield listener
        finally:
            server.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for connection in listener.connections:
                connection.close()


def _accept(
    server: socket.socket, listener: Listener, answer: Answer | None, tls: ssl.SSLContext | None
) -> None:
    with_answers = []
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # The test is over.
            break
        if tls is not None:
            connection = tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        listener.connections.append(connection)
        if answer is not None:
            thread = threading.Thread(target=_respond, args=(connection, listener, answer))
            thread.start()
            with_answers.append(thread)
    for connection in listener.connections:
        with _already_closed():
            connection.shutdown(socket.SHUT_RDWR)
    for thread in with_answers:
        thread.join()


def _respond(connection: socket.socket, listener: Listener, answer: Answer) -> None:
    with _already_closed():
        while request := _read_request(connection):
            listener.requests.append(request)
            answer(connection)


@contextmanager
def _already_closed() -> Iterator[None]:
    try:
        yield
    except OSError:
        return


def _read_request(connection: socket.socket) -> bytes:
    """Returns head and body of one request; nothing if the client has closed."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


class Telling(HTTPAdapter):
    """A requests adapter that returns the same answer to everything, and stores the requests."""

    def __init__(self, body: object, *, status: int = 200) -> None:
        super().__init__()
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status = status
        self.requests: list[requests.PreparedRequest] = []
        self.timeouts: list[Any] = []

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        self.requests.append(request)
        self.timeouts.append(kwargs.get("timeout"))
        raw = HTTPResponse(io.BytesIO(self.body), {}, self.status, preload_content=False)
        return self.build_response(request, raw)


def dripping(over: threading.Event, *, first: bytes = b"", then: bytes = b"x") -> Answer:
    """Sends `first` and `then` byte by byte, the last byte again and again, until `over`."""

    def drip(connection: socket.socket) -> None:
        for byte in itertools.chain(first, then, itertools.repeat(then[-1])):
            connection.sendall(bytes([byte]))
            if over.wait(DRIP_SECONDS):
                return

    return drip


@contextmanager
def relaying(to_port: int, starts: threading.Event, over: threading.Event) -> Iterator[int]:
    """Opens a port that leads to another one; once `starts` is set, answers drip byte by byte."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threads: list[threading.Thread] = []
        ends: list[socket.socket] = []

        def carry(source: socket.socket, target: socket.socket, drips: bool) -> None:
            with _already_closed():
                while chunk := source.recv(65536):
                    if not (drips and starts.is_set()):
                        target.sendall(chunk)
                        continue
                    for byte in chunk:
                        target.sendall(bytes([byte]))
                        if over.wait(DRIP_SECONDS):
                            break
            with _already_closed():
                target.shutdown(socket.SHUT_RDWR)

        def accept() -> None:
            with _already_closed():
                while True:
                    client, _ = server.accept()
                    beyond = socket.create_connection(("127.0.0.1", to_port))
                    ends.extend((client, beyond))
                    for source, target, drips in ((client, beyond, False), (beyond, client, True)):
                        thread = threading.Thread(target=carry, args=(source, target, drips))
                        thread.start()
                        threads.append(thread)

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for end in ends:
                with _already_closed():
                    end.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            for end in ends:
                end.close()


@contextmanager
def never_accepting(address: str, port: int = 0) -> Iterator[int]:
    """Opens a port with a full queue: connecting takes as long as the caller waits."""
    with socket.socket() as server, ExitStack() as stack:
        server.bind((address, port))
        server.listen(0)
        port = server.getsockname()[1]
        for _ in range(3):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            with suppress(BlockingIOError):
                caller.connect(("127.0.0.1" if address == "0.0.0.0" else address, port))
        yield port
