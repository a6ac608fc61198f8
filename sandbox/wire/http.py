"""One HTTP request and one answer, as the sandbox's pages and doors hand them to each other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """What came in. `query` and `form` are parsed the way PHP does, nested brackets included."""

    method: str
    host: str  # host[:port], as the client named it
    path: str
    query: dict[str, Any] = field(default_factory=dict)
    form: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""
    connection: str = ""  # the same for all requests of one kept connection
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
    """What goes out. `close` cuts the socket without answering at all."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    close: bool = False


def json_response(data: object, status: int = 200) -> Response:
    """JSON under the content type that Bitrix24 gives it."""
    return Response(
        status,
        json.dumps(data, ensure_ascii=False).encode(),
        {"Content-Type": "application/json; charset=utf-8"},
    )


def html_response(text: str, status: int = 200) -> Response:
    return Response(status, text.encode(), {"Content-Type": "text/html; charset=utf-8"})


def redirect(url: str) -> Response:
    return Response(302, b"", {"Location": url})
