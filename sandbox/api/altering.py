"""Alters the response of one method, called alone or in a batch, in any way JSON allows.

The method has run and its response is encoded before that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from sandbox.api.batch import commands_of, method_of
from sandbox.wire.http import Request, Response

# Takes the method's envelope ({"result", "total", "next", "time"}, or {"error", ...}) and returns
# the value to send in its place.
Alter = Callable[[Any], Any]

# The parts of a batch's result, and their names in the envelope of one command.
_PARTS = {
    "result": "result",
    "result_total": "total",
    "result_next": "next",
    "result_time": "time",
}


class Verbatim(str):
    """JSON that Python cannot encode: a number of 5,000 digits, 1e400, -0.0."""


def altered(request: Request, response: Response, method: str, alter: Alter) -> Response:
    """Returns the response with the envelope of `method` replaced; a non-JSON body unchanged."""
    try:
        envelope = json.loads(response.body)
    except ValueError:
        return response
    keys = [
        key
        for key, command in commands_of(request.params)
        if method_of(command).lower() == method.lower()
    ]
    if not keys:
        return Response(response.status, encoded(alter(envelope)), response.headers)
    whole = {name: _as_map(part) for name, part in envelope.get("result", {}).items()}
    for key in keys:
        _put(whole, key, alter(_taken(whole, key)))
    return Response(response.status, encoded({**envelope, "result": whole}), response.headers)


def encoded(value: Any) -> bytes:
    """Encodes as ASCII JSON, as PHP does: halves of surrogate pairs and NUL are escaped."""
    verbatim: list[str] = []
    text = json.dumps(_marked(value, verbatim), ensure_ascii=True)
    return re.sub(r'"<verbatim (\d+)>"', lambda mark: verbatim[int(mark[1])], text).encode()


def _marked(value: Any, verbatim: list[str]) -> Any:
    if isinstance(value, Verbatim):
        verbatim.append(str(value))
        return f"<verbatim {len(verbatim) - 1}>"
    if isinstance(value, dict):
        return {name: _marked(item, verbatim) for name, item in value.items()}
    if isinstance(value, list):
        return [_marked(item, verbatim) for item in value]
    return value


def _as_map(part: Any) -> dict[str, Any]:
    """PHP writes a map with the keys 0 to n-1 as a list."""
    return {str(place): item for place, item in enumerate(part)} if isinstance(part, list) else part


def _taken(whole: dict[str, dict[str, Any]], key: str) -> Any:
    if key in whole["result_error"]:
        return whole["result_error"].pop(key)
    return {name: whole[part].pop(key) for part, name in _PARTS.items() if key in whole[part]}


def _put(whole: dict[str, dict[str, Any]], key: str, envelope: Any) -> None:
    if not isinstance(envelope, dict):
        whole["result"][key] = envelope
    elif "error" in envelope:
        whole["result_error"][key] = envelope
    else:
        for part, name in _PARTS.items():
            if name in envelope:
                whole[part][key] = envelope[name]
