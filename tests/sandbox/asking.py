"""Calls REST methods and returns results or refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from sandbox.world import seed
from tests.sandbox.wire import TIMEOUT, Wire

ANSWERED = 200


@dataclass(frozen=True)
class Refusal:
    """An error reply; equal to another with the same status, code and text."""

    status: int
    code: str | int
    text: str


def ask(wire: Wire, method: str, params: dict[str, Any] | None = None, *, user: int) -> Any:
    """Calls a method as `user` on the alpha portal and returns its result."""
    return envelope(wire, method, params, user=user)["result"]


def envelope(
    wire: Wire, method: str, params: dict[str, Any] | None = None, *, user: int
) -> dict[str, Any]:
    """Calls a method and returns the whole envelope, with `total` and `next`."""
    response = wire.call(method, params, token=wire.token(user))
    assert response.status_code == ANSWERED, response.text
    answer: dict[str, Any] = response.json()
    return answer


def refused(wire: Wire, method: str, params: dict[str, Any] | None = None, *, user: int) -> Refusal:
    return refusal_in(wire.call(method, params, token=wire.token(user)))


def refusal_in(response: requests.Response) -> Refusal:
    answer = response.json()
    assert "result" not in answer, answer
    return Refusal(response.status_code, answer["error"], answer["error_description"])


def by_webhook(wire: Wire, method: str, params: dict[str, Any] | None = None) -> requests.Response:
    """Calls a method by the administrator's incoming webhook."""
    path = f"rest/{seed.ADMIN}/{seed.WEBHOOK_CODE}/{method}"
    return wire.session.post(f"{wire.alpha.url}/{path}", json=params or {}, timeout=TIMEOUT)


def by_other_application(
    wire: Wire, method: str, params: dict[str, Any], *, user: int
) -> requests.Response:
    token = wire.sandbox.world.issue(seed.OTHER_CLIENT_ID, seed.ALPHA, user)
    return wire.call(method, params, token=token)
