"""Converts between WSGI and the sandbox's own Request and Response."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sandbox.wire import php
from sandbox.wire.http import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Delays a request; the adapter raises instead if the client's timeout is shorter.
Pause = Callable[[float], None]
_SLASHES = re.compile("/{2,}")
PAUSE_KEY, CONNECTION_KEY = "sandbox.pause", "sandbox.connection"


class ConnectionCut(Exception):
    """The server must end the connection without a response."""


def request_of(environ: WSGIEnvironment) -> Request:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    headers["content-type"] = environ.get("CONTENT_TYPE") or ""
    body = _body(environ)
    form: dict[str, Any] = {}
    if environ["REQUEST_METHOD"] == "POST":
        form = php.parse_body(headers["content-type"], body)
    return Request(
        method=environ["REQUEST_METHOD"],
        host=environ.get("HTTP_HOST", "").lower(),
        path=_path(environ["PATH_INFO"]),
        query=php.parse_query(environ.get("QUERY_STRING", "")),
        form=form,
        headers=headers,
        body=body,
        connection=environ.get(CONNECTION_KEY, ""),
        scheme=environ["wsgi.url_scheme"],
        address=environ.get("REMOTE_ADDR", ""),
    )


def send(
    response: Response, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    if response.close:
        raise ConnectionCut
    status = f"{response.status} {HTTPStatus(response.status).phrase}"
    headers = [*response.headers.items(), ("Content-Length", str(len(response.body)))]
    start_response(status, headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]


def _path(sent: str) -> str:
    """Returns the path with neighbouring slashes merged, as nginx does."""
    return _SLASHES.sub("/", sent.encode("latin-1").decode("utf-8", errors="replace"))


def _body(environ: WSGIEnvironment) -> bytes:
    if length := environ.get("CONTENT_LENGTH"):
        return bytes(environ["wsgi.input"].read(int(length)))
    if environ.get("wsgi.input_terminated"):
        return bytes(environ["wsgi.input"].read())
    return b""
