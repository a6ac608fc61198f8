"""Refuses calls of REST 3.0, at /rest/api/: the sandbox plays none of its methods.

https://apidocs.bitrix24.com/api-reference/rest-v3.html ; `rest/classes/general/RestApiServer.php`
looks for the method before it checks the credentials. The documentation has no text for a method
that does not exist.
"""

from __future__ import annotations

from sandbox.api.envelopes import across_origins
from sandbox.wire.http import Request, Response, json_response
from sandbox.world.world import Portal

PREFIX = "/rest/api/"
_CODE_PREFIX = "BITRIX_REST_V3_EXCEPTION_"


def method_of(request: Request) -> str:
    """Returns the last part of the path: before it there may be a webhook's user and code."""
    return request.path.rstrip("/").rpartition("/")[2]


def respond(portal: Portal, request: Request) -> Response:
    if portal.deleted:
        return _refusal("ACCESSDENIED", "Access denied", 400)
    return _refusal("METHODNOTFOUND", f"Method {method_of(request)} not found", 404)


def _refusal(name: str, message: str, status: int) -> Response:
    error = {"code": f"{_CODE_PREFIX}{name}EXCEPTION", "message": message}
    return across_origins(json_response({"error": error}, status))
