"""Builds REST responses: a result with its `time`, or an error without."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sandbox.api.operating import Operating
from sandbox.api.registry import Listed, RestError
from sandbox.wire import php
from sandbox.wire.http import Response, json_response
from sandbox.wire.loose import server_zone
from sandbox.world.world import World

# A browser may not send Authorization across origins: this list does not have that header.
CROSS_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "origin, content-type, accept",
    "X-Content-Type-Options": "nosniff",
}
_UNWRITABLE = {"error": "WRONG_ENCODING", "error_description": "Wrong request encoding"}


def with_time(
    world: World,
    outcome: Any,
    started: float,
    operating: Operating | None = None,
    *,
    older: bool = False,
) -> dict[str, Any]:
    """Returns the envelope of a success, with `total` and `next` beside `result`.

    The newest build cuts two of the times to whole seconds; an `older` one does not.
    """
    listed = outcome if isinstance(outcome, Listed) else Listed(outcome)
    envelope: dict[str, Any] = {"result": listed.result}
    if listed.next is not None:
        envelope["next"] = listed.next
    if listed.total is not None:
        envelope["total"] = listed.total
    finished = world.now()
    envelope["time"] = {
        "start": started if older else int(started),
        "finish": finished,
        "duration": finished - started,
        "processing": finished - started if older else int(finished - started),
        "date_start": _iso(started),
        "date_finish": _iso(finished),
    }
    if operating is not None:
        envelope["time"] |= {
            "operating_reset_at": operating.reset_at,
            "operating": operating.seconds,
        }
    return envelope


def envelope_of(error: RestError, *, older: bool = False) -> dict[str, Any]:
    """Returns the envelope of an error; only an `older` build sends a number as a number."""
    code = error.code if older else str(error.code)
    return {"error": code, "error_description": error.description, **error.extra}


def success(envelope: dict[str, Any]) -> Response:
    """Returns the response; without an error status for what PHP cannot write as JSON."""
    try:
        return across_origins(json_response(php.as_sent(envelope)))
    except ValueError:
        return across_origins(json_response(_UNWRITABLE))


def refusal(error: RestError, *, older: bool = False) -> Response:
    return across_origins(json_response(php.as_sent(envelope_of(error, older=older)), error.status))


def preflight() -> Response:
    return across_origins(Response())


def across_origins(response: Response) -> Response:
    return replace(response, headers={**response.headers, **CROSS_ORIGIN})


def _iso(moment: float) -> str:
    """Returns the time with the server's offset; REST never sends the zone's name."""
    return datetime.fromtimestamp(moment, UTC).astimezone(server_zone()).isoformat("T", "seconds")
