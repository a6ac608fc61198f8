"""A requests adapter for tests: runs the sandbox inside the caller's thread."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Mapping
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import (
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from sandbox.server.app import Sandbox
from sandbox.server.wsgi import CONNECTION_KEY, PAUSE_KEY, ConnectionCut

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LONGEST_REAL_PAUSE = 0.25  # seconds; a longer delay within the client's timeout is cut to this


class SandboxAdapter(HTTPAdapter):
    """Serves the sandbox's hosts; every other host fails like an unknown one.

    A delay longer than the request's read timeout raises ReadTimeout at once.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self.sandbox = sandbox
        self.refused_hosts: list[str] = []  # requested hosts that do not exist here
        self.unreachable_hosts: set[str] = set()  # hosts of the sandbox that are down now

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | Any | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        self._connect(request)
        patience = timeout[1] if isinstance(timeout, tuple) else timeout

        def pause(seconds: float) -> None:
            if patience is not None and seconds > patience:
                raise _read_timeout(request)
            time.sleep(min(seconds, LONGEST_REAL_PAUSE))

        status, headers = 0, dict[str, str]()

        def start_response(line: str, pairs: list[tuple[str, str]], _: object = None) -> Any:
            nonlocal status
            status = int(line[:3])
            headers.update(pairs)

        try:
            body = b"".join(self.sandbox.wsgi(_environ(request, pause), start_response))
        except ConnectionCut:
            raise _dropped(request) from None
        raw = HTTPResponse(
            io.BytesIO(body), headers, status, preload_content=False, request_url=request.url
        )
        return self.build_response(request, raw)

    def _connect(self, request: requests.PreparedRequest) -> None:
        host = urlsplit(request.url or "").netloc
        if host in self.unreachable_hosts:
            refusal = NewConnectionError(HTTPSConnection(host), "[Errno 111] Connection refused")
            raise _no_connection(request, refusal)
        if not self._is_here(host):
            self.refused_hosts.append(host)
            unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            raise _no_connection(request, NameResolutionError(host, HTTPSConnection(host), unknown))

    def _is_here(self, host: str) -> bool:
        world = self.sandbox.world
        return host == urlsplit(world.oauth_url).netloc or world.portal_at(host) is not None


def _environ(request: requests.PreparedRequest, pause: object) -> WSGIEnvironment:
    url = urlsplit(request.url or "")
    body = request.body or b""
    content = body.encode() if isinstance(body, str) else body
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method or "GET",
        "PATH_INFO": unquote_to_bytes(url.path or "/").decode("latin-1"),
        "QUERY_STRING": url.query,
        "HTTP_HOST": url.netloc,
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(content),
        CONNECTION_KEY: "in-process",
        PAUSE_KEY: pause,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = value
        elif key != "CONTENT_LENGTH":
            environ[f"HTTP_{key}"] = value
    return environ


def _pool(request: requests.PreparedRequest) -> HTTPSConnectionPool:
    return HTTPSConnectionPool(urlsplit(request.url or "").hostname or "")


def _read_timeout(request: requests.PreparedRequest) -> requests.ReadTimeout:
    reason = ReadTimeoutError(_pool(request), request.url or "", "Read timed out.")
    return requests.ReadTimeout(reason, request=request)


def _dropped(request: requests.PreparedRequest) -> requests.ConnectionError:
    cause = RemoteDisconnected("Remote end closed connection without response")
    return requests.ConnectionError(ProtocolError("Connection aborted.", cause), request=request)


def _no_connection(
    request: requests.PreparedRequest, reason: NewConnectionError
) -> requests.ConnectionError:
    return requests.ConnectionError(
        MaxRetryError(_pool(request), request.url or "", reason), request=request
    )
