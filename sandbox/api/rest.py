"""Serves a portal's REST address: finds the method, authenticates the caller, runs it.

The checks run in the server's order: an unknown method is refused before the token is checked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.api import batch, envelopes, rest_v3
from sandbox.api.access import TOKEN_PARAMETERS, Caller, WebhookKey, authenticate, token_of
from sandbox.api.registry import METHODS, Call, Method, RestError
from sandbox.api.unplayed import UNPLAYED
from sandbox.wire.http import Request, Response
from sandbox.wire.loose import in_zone
from sandbox.world.world import Portal

if TYPE_CHECKING:
    from sandbox.api.state import State

PREFIX = "/rest/"
BATCH = "batch"
_WEBHOOK_PATH = re.compile(r"([0-9]{1,18})/([^/]+)/([^/]+)/?")
_METHOD_PATH = re.compile(r"([^/]+)/?")
_UNKNOWN_METHOD = RestError("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)


@dataclass(frozen=True)
class ParsedRequest:
    """A request to the REST address, parsed but not checked."""

    method: str  # in lower case
    key: WebhookKey | None
    params: dict[str, Any]  # without the token

    @property
    def commands(self) -> tuple[str, ...]:
        if self.method != BATCH:
            return ()
        return tuple(
            batch.method_of(command).lower() for _, command in batch.commands_of(self.params)
        )


def parse(request: Request) -> ParsedRequest:
    if request.path.startswith(rest_v3.PREFIX):
        return ParsedRequest(f"api/{rest_v3.method_of(request).lower()}", None, request.params)
    path = request.path.removeprefix(PREFIX)
    params = {k: v for k, v in request.params.items() if k not in TOKEN_PARAMETERS}
    if webhook := _WEBHOOK_PATH.fullmatch(path):
        key = WebhookKey(int(webhook[1]), webhook[2])
        return ParsedRequest(_method_name(webhook[3]), key, params)
    if method := _METHOD_PATH.fullmatch(path):
        return ParsedRequest(_method_name(method[1]), None, params)
    # Of a path without a method the log keeps the end: before it there may be a webhook's code.
    return ParsedRequest(f"*/{path.rpartition('/')[2]}", None, params)


def peek(sandbox: State, portal: Portal, request: Request) -> tuple[int | None, str]:
    """Returns the user id and client id of the credentials, valid or not, for log and faults."""
    key = parse(request).key
    if key is not None:
        return key.user_id, ""
    token = sandbox.world.tokens.get(token_of(sandbox, request))
    if token is None or token.member_id != portal.member_id:
        return None, ""
    return token.user_id, token.client_id


def respond(
    sandbox: State, portal: Portal, request: Request, *, skipped: frozenset[str] = frozenset()
) -> Response:
    """Returns the response. The methods in `skipped` return `true` and do nothing."""
    if request.path.startswith(rest_v3.PREFIX):
        return rest_v3.respond(portal, request)
    with in_zone(portal.zone):
        return _respond(sandbox, portal, request, skipped)


def _respond(sandbox: State, portal: Portal, request: Request, skipped: frozenset[str]) -> Response:
    started = sandbox.world.now()
    parsed = parse(request)
    try:
        if portal.deleted:
            raise RestError("PORTAL_DELETED", "Portal was deleted", 403)
        scope = None if parsed.method == BATCH else _find(parsed.method).scope
        caller = authenticate(sandbox, portal, request, key=parsed.key, scope=scope)
        sandbox.buckets.admit(portal, request, started)
        calls = _Calls(sandbox, portal, caller, skipped)
        sandbox.operating.admit(portal, caller.client_id, parsed.method, started)
        if parsed.method == BATCH:
            outcome: Any = batch.run_batch(parsed.params, calls.command)
        else:
            outcome = calls.run(_find(parsed.method), parsed.params)
    except RestError as error:
        return envelopes.refusal(error, older=portal.older_build)
    return envelopes.success(calls.finished(parsed.method, outcome, started))


@dataclass(frozen=True)
class _Calls:
    """Runs the methods of one request: its caller, portal and skipped methods are shared."""

    sandbox: State
    portal: Portal
    caller: Caller
    skipped: frozenset[str]

    def run(self, method: Method, params: dict[str, Any]) -> Any:
        if method.name in self.skipped:
            return True
        call = Call(
            world=self.sandbox.world,
            portal=self.portal,
            user=self.caller.user,
            method=method.name,
            params=params,
            client_id=self.caller.client_id,
            installation=self.caller.installation,
            scopes=self.caller.scopes,
        )
        return method.run(call)

    def finished(self, method: str, outcome: Any, started: float) -> dict[str, Any]:
        """Returns the envelope of a success, and counts how long its method ran."""
        now = self.sandbox.world.now()
        operating = self.sandbox.operating.count(
            self.portal, self.caller.client_id, method, seconds=now - started, now=now
        )
        older = self.portal.older_build
        return envelopes.with_time(self.sandbox.world, outcome, started, operating, older=older)

    def command(self, name: str, params: dict[str, Any]) -> dict[str, Any]:
        """Runs one command of a batch and returns its envelope."""
        started = self.sandbox.world.now()
        try:
            method = _find(name)
            if not method.in_batch or method.name in self.portal.batch_forbidden:
                raise batch.NOT_ALLOWED
            if method.scope is not None and method.scope not in self.caller.scopes:
                # Inside a batch the refusal comes without its description.
                raise RestError("insufficient_scope", "", 401)
            params = {k: v for k, v in params.items() if k not in TOKEN_PARAMETERS}
            self.sandbox.operating.admit(self.portal, self.caller.client_id, name.lower(), started)
            outcome = self.run(method, params)
        except RestError as error:
            return envelopes.envelope_of(error, older=self.portal.older_build)
        return self.finished(name.lower(), outcome, started)


def _find(name: str) -> Method:
    method = METHODS.get(name.lower()) or UNPLAYED.get(name.lower())
    if method is None:
        raise _UNKNOWN_METHOD
    return method


def _method_name(segment: str) -> str:
    return segment.lower().removesuffix(".json")
