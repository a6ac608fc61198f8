"""Serves the OAuth server and every portal, chosen by Host header, as one WSGI application."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sandbox.api import envelopes, oauth, rest
from sandbox.api import methods as methods  # the import fills the registry of methods
from sandbox.api.access import token_places
from sandbox.api.faults import AFTER, BEFORE, Fault, Kind
from sandbox.api.log import LoggedCall
from sandbox.api.state import State
from sandbox.host import pages
from sandbox.server import control, wsgi
from sandbox.server.wsgi import PAUSE_KEY, Pause
from sandbox.wire.http import Request, Response, html_response
from sandbox.world.world import Portal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_SCRIPT_PREFIX = "/api/v1/"


@dataclass(frozen=True)
class _Target:
    """A request that faults may hit and the log records."""

    method: str
    commands: tuple[str, ...]
    user_id: int | None
    client_id: str
    member_id: str
    run: Callable[[frozenset[str]], Response]

    @property
    def methods(self) -> tuple[str, ...]:
        return (self.method, *self.commands)


class Sandbox(State):
    """Serves the OAuth server and the portals."""

    def wsgi(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Raises wsgi.ConnectionCut if a fault cuts the connection."""
        response = self.respond(wsgi.request_of(environ), environ.get(PAUSE_KEY, self._pause))
        return wsgi.send(response, environ, start_response)

    def respond(self, request: Request, pause: Pause) -> Response:
        if request.host == urlsplit(self.world.oauth_url).netloc:
            return self._oauth_server(request, pause)
        portal = self.world.portal_at(request.host)
        if portal is None:
            return html_response("<!doctype html><title>No such portal</title>", 404)
        if request.path.startswith(rest.PREFIX):
            return self._rest(portal, request, pause)
        with self.world.lock:
            if request.path.rstrip("/") == "/oauth/authorize":
                return oauth.authorize(self.world, portal, request)
        page = pages.respond(self, portal, request)
        return page or html_response("<!doctype html><title>Not found</title>", 404)

    def _oauth_server(self, request: Request, pause: Pause) -> Response:
        path = request.path.rstrip("/").removesuffix(".json")
        if path == "/oauth/token":
            client_id = str(request.params.get("client_id", ""))
            target = _Target(
                "oauth.token", (), None, client_id, "",
                lambda _: oauth.token(self.world, request),
            )  # fmt: skip
            return self._run(target, request, pause)
        if path == "/rest/app.info":
            with self.world.lock:
                user_id, client_id, member_id = oauth.peek(self, request)
            target = _Target(
                "app.info", (), user_id, client_id, member_id,
                lambda _: oauth.app_info(self, request),
            )  # fmt: skip
            return self._run(target, request, pause)
        if request.path.startswith(control.PREFIX):
            return control.respond(self, request)
        if request.path.startswith(_SCRIPT_PREFIX):
            return pages.script(request)
        return html_response("<!doctype html><title>Not found</title>", 404)

    def _rest(self, portal: Portal, request: Request, pause: Pause) -> Response:
        if request.method == "OPTIONS":
            return envelopes.preflight()
        parsed = rest.parse(request)
        with self.world.lock:
            user_id, client_id = rest.peek(self, portal, request)
        target = _Target(
            parsed.method,
            parsed.commands,
            user_id,
            client_id,
            portal.member_id,
            lambda skipped: rest.respond(self, portal, request, skipped=skipped),
        )
        return self._run(target, request, pause)

    def _run(self, target: _Target, request: Request, pause: Pause) -> Response:
        """Runs the request, with the faults that hit it before and after, and logs it.

        Holds the lock only while the request runs, never while a fault delays it.
        """
        faults = self.faults.take(target.methods, target.user_id, request.host)
        response: Response | None = None
        delivered: Response | None = None
        try:
            response = _apply(faults, BEFORE, request, None, pause)
            if response is None:
                with self.world.lock:
                    response = target.run(_skipped(faults))
                response = _apply(faults, AFTER, request, response, pause) or response
            delivered = response
        finally:
            self.log.append(self._logged(target, request, delivered, faults))
        return response

    def _logged(
        self, target: _Target, request: Request, delivered: Response | None, faults: list[Fault]
    ) -> LoggedCall:
        return LoggedCall(
            method=target.method,
            host=request.host,
            user_id=target.user_id,
            client_id=target.client_id,
            member_id=target.member_id,
            connection=request.connection,
            status=0 if delivered is None or delivered.close else delivered.status,
            at=self.world.now(),
            batch=target.commands,
            params=tuple(request.params),
            token_in=token_places(request),
            error=_error_in(delivered),
            faults=tuple(fault.kind for fault in faults),
        )

    def _pause(self, seconds: float) -> None:
        self.closing.wait(seconds)


def _apply(
    faults: list[Fault], when: str, request: Request, real: Response | None, pause: Pause
) -> Response | None:
    for fault in faults:
        if fault.when != when:
            continue
        answer = fault.respond(request, real, pause)
        if answer is not None:
            return answer
    return None


def _skipped(faults: list[Fault]) -> frozenset[str]:
    """Returns the methods that return `true` this time and do nothing."""
    return frozenset(
        fault.method.lower()
        for fault in faults
        if fault.kind == Kind.TRUE_WITHOUT_PAYMENT and fault.method is not None
    )


def _error_in(delivered: Response | None) -> str | int | None:
    if delivered is None or not delivered.body.startswith(b'{"error"'):
        return None
    error = json.loads(delivered.body)["error"]
    code: str | int = error["code"] if isinstance(error, dict) else error
    return code
