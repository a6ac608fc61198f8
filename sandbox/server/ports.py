"""Serves the sandbox on TCP ports, over HTTP/1.1 with kept-alive connections."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cheroot.server import HTTPConnection
from cheroot.ssl import Adapter
from cheroot.wsgi import Gateway_10, Server

from sandbox.server.app import Sandbox
from sandbox.server.wsgi import CONNECTION_KEY, ConnectionCut

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LOOPBACK = "127.0.0.1"
THREADS = 12  # for each port; a call that a fault holds occupies one
KEPT_CONNECTIONS = 500  # for each port; cheroot's default of 10 would close an app's pool
IDLE_SECONDS = 75  # after which an idle connection is closed; nginx's default
POLL_SECONDS = 0.05  # how soon a port notices that it should stop
STOP_SECONDS = 5

_numbers = itertools.count(1)


class _Connection(HTTPConnection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.number = f"c{next(_numbers)}"


class _Gateway(Gateway_10):
    """Passes the connection's number to the application; cuts the connection if a fault says so."""

    def respond(self) -> None:
        self.env[CONNECTION_KEY] = self.req.conn.number
        try:
            super().respond()
        except ConnectionCut:
            # Write nothing; the worker then closes the socket.
            self.req.sent_headers = True
            self.req.close_connection = True


class _Server(Server):
    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: Any) -> socket.socket:
        try:
            socket_.bind(bind_addr)
        except OSError:
            socket_.close()  # cheroot leaves it open
            raise
        return socket_


class PortServers:
    """Servers whose ports are bound at once, so that their numbers are known, and served later.

    With `tls` the ports speak HTTPS only. Raises OSError if a port is taken.
    """

    def __init__(
        self,
        ports: Sequence[int],
        *,
        host: str = LOOPBACK,
        tls: Adapter | None = None,
        threads: int = THREADS,
    ) -> None:
        self._sandbox: Sandbox | None = None
        self._threads: list[threading.Thread] = []
        self._servers: list[_Server] = []
        try:
            for port in ports:
                self._servers.append(self._bound(host, port, tls, threads))
        except OSError:
            self.close()
            raise

    @property
    def ports(self) -> tuple[int, ...]:
        """The port numbers; for a port of 0, the free one that was chosen."""
        return tuple(server.bind_addr[1] for server in self._servers)

    def open(self, sandbox: Sandbox) -> None:
        """Starts serving. Requests that came before wait in the ports' queues."""
        self._sandbox = sandbox
        sandbox.closing.clear()
        for server in self._servers:
            thread = threading.Thread(target=server.serve, name=f"port {server.bind_addr[1]}")
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Stops serving: releases the calls that faults hold, and closes every socket."""
        if self._sandbox is not None:
            self._sandbox.closing.set()
            self._sandbox.faults.clear()
        for server in self._servers:
            server.stop()
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _bound(self, host: str, port: int, tls: Adapter | None, threads: int) -> _Server:
        server = _Server(
            (host, port),
            self._answer,
            numthreads=threads,
            timeout=IDLE_SECONDS,
            shutdown_timeout=STOP_SECONDS,
            request_queue_size=128,
        )
        server.gateway = _Gateway
        server.ConnectionClass = _Connection
        server.keep_alive_conn_limit = KEPT_CONNECTIONS
        server.expiration_interval = POLL_SECONDS
        server.ssl_adapter = tls
        server.prepare()
        return server

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        if self._sandbox is None:
            raise RuntimeError("open() was not called yet")
        return self._sandbox.wsgi(environ, start_response)


@contextmanager
def running(sandbox: Sandbox, servers: PortServers) -> Iterator[None]:
    """Serves until the block ends."""
    try:
        servers.open(sandbox)
        yield
    finally:
        servers.close()
