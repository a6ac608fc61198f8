"""Holds one HTTP request and one response, whichever server carries them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """A request. `query` and `form` are parsed as PHP does it, nested brackets included."""

    method: str
    host: str  # host[:port], as the client sent it
    path: str
    query: dict[str, Any] = field(default_factory=dict)
    form: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""
    connection: str = ""  # the same for all requests of one kept-alive connection
    scheme: str = "https"
    address: str = "127.0.0.1"  # where the client is

    @property
    def params(self) -> dict[str, Any]:
        """Query and body together; the body wins where both name a parameter."""
        return {**self.query, **self.form}

    @property
    def cookies(self) -> dict[str, str]:
        pairs = (part.partition("=") for part in self.headers.get("cookie", "").split(";"))
        return {name.strip(): value.strip() for name, sign, value in pairs if sign}


@dataclass(frozen=True)
class Response:
    """A response. `close` cuts the connection and sends nothing."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    close: bool = False


def json_response(data: object, status: int = 200) -> Response:
    """Returns JSON with the content type that Bitrix24 sends. Raises ValueError for an infinity."""
    return Response(
        status,
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode(),
        {"Content-Type": "application/json; charset=utf-8"},
    )


def html_response(text: str, status: int = 200) -> Response:
    return Response(status, text.encode(), {"Content-Type": "text/html; charset=utf-8"})


def redirect(url: str) -> Response:
    return Response(302, b"", {"Location": url})
