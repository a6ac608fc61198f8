"""The sandbox on real ports, and its control addresses."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from sandbox.api.faults import Fault
from sandbox.api.registry import Call
from sandbox.server.ports import PortServers
from sandbox.world import seed
from tests.sandbox.wire import TIMEOUT, Wire, a_method, over_ports

RING = "test.ports.ring"


@pytest.fixture
def rung() -> Iterator[list[int]]:
    rung: list[int] = []

    def ring(call: Call) -> Any:
        rung.append(call.user.id)
        return len(rung)

    with a_method(RING, ring):
        yield rung


@pytest.fixture
def wire(rung: list[int]) -> Iterator[Wire]:
    with over_ports() as wire:
        yield wire


def test_a_connection_is_kept_and_its_number_is_in_the_log(wire: Wire) -> None:
    for _ in range(3):
        assert wire.call(RING).ok
    with requests.Session() as another:
        another.post(f"{wire.alpha.url}/rest/{RING}", timeout=TIMEOUT)
    connections = [call.connection for call in wire.sandbox.log]
    assert len(set(connections[:3])) == 1
    assert connections[3] != connections[0]


def test_each_port_serves_its_own_host(wire: Wire) -> None:
    for portal in (wire.alpha, wire.beta):
        token = wire.token(member_id=portal.member_id)
        url = f"{portal.url}/rest/{RING}"
        assert wire.session.post(url, json={"auth": token.access}, timeout=TIMEOUT).ok
    pair = wire.grant(grant_type="refresh_token", refresh_token=wire.token().refresh).json()
    assert pair["client_endpoint"] == f"{wire.alpha.url}/rest/"
    assert [call.host for call in wire.sandbox.log] == [
        url.removeprefix("http://")
        for url in (wire.alpha.url, wire.beta.url, wire.sandbox.world.oauth_url)
    ]


def test_a_webhook_over_plain_http_is_refused(wire: Wire) -> None:
    """`_includes/system-errors.md`, INVALID_REQUEST."""
    url = f"{wire.alpha.url}/rest/{seed.ADMIN}/{seed.WEBHOOK_CODE}/{RING}"
    assert wire.session.post(url, timeout=TIMEOUT).json()["error"] == "INVALID_REQUEST"


@pytest.mark.parametrize(("when", "effects"), [("before", 0), ("after", 1)])
def test_a_drop_closes_the_connection(wire: Wire, rung: list[int], when: str, effects: int) -> None:
    wire.sandbox.faults.add(Fault("drop", RING, when=when))
    with pytest.raises(requests.ConnectionError):
        wire.call(RING)
    assert len(rung) == effects
    assert wire.call(RING).ok
    assert [call.status for call in wire.sandbox.log] == [0, 200]


def test_a_cut_comes_after_the_effect_and_its_delay(wire: Wire, rung: list[int]) -> None:
    wire.sandbox.faults.add(Fault("cut", RING, seconds=0.1))
    started = time.monotonic()
    with pytest.raises(requests.ConnectionError):
        wire.call(RING)
    assert time.monotonic() - started >= 0.1
    assert len(rung) == 1


def test_the_effect_remains_after_a_client_times_out(wire: Wire, rung: list[int]) -> None:
    carried_out = threading.Event()
    wire.sandbox.faults.add(Fault("delay", RING, when="after", on_hit=carried_out))
    with pytest.raises(requests.ReadTimeout):
        wire.call(RING, timeout=0.2)
    assert carried_out.wait(5)
    assert len(rung) == 1


def test_concurrent_calls_run_concurrently(wire: Wire) -> None:
    at_once = 6
    barrier = threading.Barrier(at_once)
    wire.sandbox.faults.add(
        Fault("delay", RING, seconds=0, times=at_once, on_hit=lambda: barrier.wait(5))
    )
    with ThreadPoolExecutor(at_once) as pool:
        statuses = list(pool.map(lambda _: wire.call(RING).status_code, range(at_once)))
    assert statuses == [200] * at_once


def test_closing_does_not_wait_for_held_calls(rung: list[int]) -> None:
    held, slow = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        with over_ports() as wire:
            wire.sandbox.faults.add(Fault("hold", RING, on_hit=held))
            wire.sandbox.faults.add(Fault("delay", "profile", on_hit=slow))
            calls = [pool.submit(wire.call, name, timeout=30) for name in (RING, "profile")]
            assert held.wait(5)
            assert slow.wait(5)
            started = time.monotonic()
        assert time.monotonic() - started < 5
        for call in calls:
            call.exception(5)


def test_a_taken_port_raises_and_closes_all_others() -> None:
    first = PortServers((0,))
    try:
        with pytest.raises(OSError, match="in use"):
            PortServers((0, first.ports[0]))
    finally:
        first.close()


# --- the control addresses ---


def _control(wire: Wire, verb: str, path: str, **options: Any) -> requests.Response:
    url = f"{wire.sandbox.world.oauth_url}/_sandbox/{path}"
    return wire.session.request(verb, url, timeout=TIMEOUT, **options)


def test_the_log_is_read_from_a_given_call_on(wire: Wire) -> None:
    wire.call(RING)
    wire.call("batch", {"cmd": {"a": RING}})
    first = _control(wire, "GET", "log").json()
    assert [call["method"] for call in first["calls"]] == [RING, "batch"]
    assert first["calls"][1]["batch"] == [RING]
    assert first["next"] == 2
    wire.call(RING)
    rest = _control(wire, "GET", "log", params={"since": first["next"]}).json()
    assert (len(rest["calls"]), rest["next"]) == (1, 3)
    assert _control(wire, "GET", "log", params={"since": "x"}).status_code == 400


def test_faults_are_switched_on_and_off(wire: Wire) -> None:
    fault = {"kind": "status500", "method": RING, "times": 5}
    assert _control(wire, "POST", "faults", json=fault).ok
    assert wire.call(RING).status_code == 500
    shown = _control(wire, "GET", "faults").json()["faults"]
    assert [(one["kind"], one["hits"]) for one in shown] == [("status500", 1)]
    assert _control(wire, "DELETE", "faults").ok
    assert wire.call(RING).ok


@pytest.mark.parametrize(
    "body",
    [
        '{"kind": "flood"}',
        '{"kind": "drop", "on_hit": 1}',
        "{}",
        "[1]",
        '{"kind": "dro',
        '{"kind": "drop", "times": "many"}',
        '{"kind": "drop", "seconds": []}',
    ],
)
def test_an_invalid_fault_is_refused(wire: Wire, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = _control(wire, "POST", "faults", data=body, headers=headers)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert wire.sandbox.faults.waiting() == []


def test_a_payment_is_returned_as_the_portal_has_it(wire: Wire) -> None:
    query = {"portal": seed.ALPHA, "id": str(seed.PAYMENT)}
    shown = _control(wire, "GET", "payment", params=query).json()
    assert (shown["paid"], shown["times_paid"], shown["emp_paid_id"]) == (False, 0, None)
    assert (shown["sum"], shown["currency"]) == ("12500.00", "EUR")
    by_host = {**query, "portal": wire.alpha.url.removeprefix("http://")}
    assert _control(wire, "GET", "payment", params=by_host).json() == shown
    assert _control(wire, "GET", "payment", params={**query, "id": "1"}).status_code == 404
    assert _control(wire, "GET", "payment", params={"id": "1"}).status_code == 400


def test_the_clock_is_moved_forward(wire: Wire) -> None:
    token = wire.token()
    assert _control(wire, "POST", "advance?seconds=3601").ok
    assert wire.call(RING, token=token).json()["error"] == "expired_token"
    assert _control(wire, "POST", "advance?seconds=soon").status_code == 400


def test_the_replies_after_a_removal_can_be_chosen(wire: Wire) -> None:
    token = wire.token()
    replies = {"portal": seed.ALPHA, "rest": "error_oauth", "oauth": "invalid_client"}
    assert _control(wire, "POST", "removal", json=replies).ok
    wire.alpha.installations[seed.OUR_CLIENT_ID].removed = True
    assert wire.call(RING, token=token).json()["error"] == "ERROR_OAUTH"
    answer = wire.grant(grant_type="refresh_token", refresh_token=token.refresh)
    assert answer.json()["error"] == "invalid_client"
    assert _control(wire, "POST", "removal", json={"portal": "nowhere"}).status_code == 400
    odd = {"portal": seed.ALPHA, "rest": "none of them"}
    assert _control(wire, "POST", "removal", json=odd).status_code == 400


def test_only_the_oauth_port_has_the_control_addresses(wire: Wire) -> None:
    assert wire.session.get(f"{wire.alpha.url}/_sandbox/log", timeout=TIMEOUT).status_code == 404
    assert _control(wire, "GET", "secrets").status_code == 404
