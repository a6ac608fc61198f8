"""Limits of requests to a portal: the documentation's `limits.md`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.api.faults import Fault
from sandbox.wire.http import Request
from tests.sandbox.wire import TIMEOUT, Wire, a_method, in_process

METHOD = "test.limits.nothing"


@pytest.fixture
def wire() -> Iterator[Wire]:
    with a_method(METHOD, lambda _: True):
        yield in_process()


def _burst(wire: Wire) -> int:
    token, taken = wire.token(), 0
    while wire.call(METHOD, token=token).ok:
        taken += 1
    return taken


def test_after_fifty_requests_at_once_the_next_gets_503(wire: Wire) -> None:
    wire.alpha.bucket_drain = 0
    assert _burst(wire) == 50
    answer = wire.call(METHOD)
    assert answer.status_code == 503
    assert answer.json() == {
        "error": "QUERY_LIMIT_EXCEEDED",
        "error_description": "Too many requests",
    }


def test_two_requests_leak_out_in_a_second(wire: Wire) -> None:
    wire.alpha.bucket_size = 3
    moment = wire.sandbox.world.now()
    wire.sandbox.world.now = lambda: moment  # type: ignore[method-assign]
    assert _burst(wire) == 3
    moment += 1
    assert _burst(wire) == 2


def test_a_batch_counts_as_one_request_and_each_portal_has_its_own_bucket(wire: Wire) -> None:
    wire.alpha.bucket_size, wire.alpha.bucket_drain = 1, 0
    assert wire.call("batch", {"cmd": [METHOD] * 50}).ok
    assert wire.call(METHOD).status_code == 503
    token = wire.token(member_id=wire.beta.member_id)
    other = wire.session.post(
        f"{wire.beta.url}/rest/{METHOD}", json={"auth": token.access}, timeout=TIMEOUT
    )
    assert other.ok


def test_each_source_address_has_its_own_bucket(wire: Wire) -> None:
    wire.alpha.bucket_size, wire.alpha.bucket_drain = 1, 0
    assert wire.call(METHOD).ok
    elsewhere = Request(
        "POST", "alpha.example.com", f"/rest/{METHOD}",
        form={"auth": wire.token().access}, address="127.0.0.2",
    )  # fmt: skip
    assert wire.sandbox.respond(elsewhere, lambda _: None).status == 200


def test_requests_with_an_invalid_token_are_not_counted(wire: Wire) -> None:
    """`rest.php`: checkAuth comes before the limiter."""
    wire.alpha.bucket_size, wire.alpha.bucket_drain = 1, 0
    for _ in range(3):
        wire.session.post(f"{wire.alpha.url}/rest/{METHOD}", timeout=TIMEOUT)
    assert wire.call(METHOD).ok


def test_operating_time_is_429(wire: Wire) -> None:
    """`rest/lib/engine/access/loadlimiter.php`; the sandbox plays it by a fault."""
    wire.sandbox.faults.add(Fault("operation_limit", METHOD))
    answer = wire.call(METHOD)
    assert answer.status_code == 429
    assert answer.json() == {
        "error": "OPERATION_TIME_LIMIT",
        "error_description": "Method is blocked due to operation time limit.",
    }
