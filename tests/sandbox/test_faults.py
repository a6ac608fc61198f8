"""Faults, each before and after the effect, for a client in the same process.

What each one imitates: `limits.md` (503, 429, the cut at 60 seconds), `change-domen.md` (302),
`auto-renewal.md` (expired token), `rest/lib/engine` (500), and any network (the rest).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import RemoteDisconnected
from typing import Any

import pytest
import requests
from urllib3.exceptions import NameResolutionError, NewConnectionError, ProtocolError

from sandbox.api.altering import Verbatim
from sandbox.api.faults import Fault
from sandbox.api.registry import Call
from sandbox.server.adapter import SandboxAdapter
from sandbox.world import seed
from tests.sandbox.wire import ALPHA_URL, OAUTH_URL, Wire, a_method, in_process

PAY, OTHER = "test.faults.pay", "test.faults.other"


class Effect:
    """A method that counts its calls."""

    def __init__(self) -> None:
        self.count = 0

    def run(self, _: Call) -> Any:
        self.count += 1
        return {"count": self.count}


@pytest.fixture
def effect() -> Iterator[Effect]:
    effect = Effect()
    with a_method(PAY, effect.run), a_method(OTHER, lambda _: "other"):
        yield effect


@pytest.fixture
def wire() -> Wire:
    return in_process()


Check = Callable[[Callable[[], requests.Response]], None]


def _is(status: int, error: str) -> Check:
    def check(call: Callable[[], requests.Response]) -> None:
        answer = call()
        assert (answer.status_code, answer.json()["error"]) == (status, error)

    return check


def _is_html(call: Callable[[], requests.Response]) -> None:
    answer = call()
    assert answer.status_code == 502
    assert "html" in answer.headers["Content-Type"]


def _is_moved(call: Callable[[], requests.Response]) -> None:
    answer = call()
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"https://moved.example.com/rest/{PAY}"


def _is_broken(call: Callable[[], requests.Response]) -> None:
    answer = call()
    assert answer.status_code == 200
    assert answer.text.startswith('{"result":')
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def _is_dropped(call: Callable[[], requests.Response]) -> None:
    with pytest.raises(requests.ConnectionError) as caught:
        call()
    cause = caught.value.args[0]
    assert isinstance(cause, ProtocolError)
    assert isinstance(cause.args[1], RemoteDisconnected)


def _is_timeout(call: Callable[[], requests.Response]) -> None:
    started = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        call()
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("status500", _is(500, "INTERNAL_SERVER_ERROR")),
        ("html502", _is_html),
        ("query_limit", _is(503, "QUERY_LIMIT_EXCEEDED")),
        ("operation_limit", _is(429, "OPERATION_TIME_LIMIT")),
        ("expired_token", _is(401, "expired_token")),
        ("redirect", _is_moved),
        ("broken_json", _is_broken),
        ("drop", _is_dropped),
        ("delay", _is_timeout),
    ],
)
def test_a_fault_hits_once_before_or_after_the_effect(
    wire: Wire, effect: Effect, kind: str, when: str, check: Check
) -> None:
    wire.sandbox.faults.add(Fault(kind, PAY, when=when))
    assert wire.call(OTHER).json()["result"] == "other"
    check(lambda: wire.call(PAY))
    assert effect.count == (1 if when == "after" else 0)
    assert wire.call(PAY).json()["result"] == {"count": effect.count}


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_cloud_cuts_a_request_after_a_minute_but_runs_it(
    wire: Wire, effect: Effect, when: str
) -> None:
    """limits.md: a request of more than 60 seconds is ended."""
    wire.sandbox.faults.add(Fault("cut", PAY, when=when, times=2))
    _is_timeout(lambda: wire.call(PAY, timeout=30))
    _is_dropped(lambda: wire.call(PAY, timeout=65))
    assert effect.count == 2


def test_true_without_payment_returns_true_and_does_nothing(wire: Wire, effect: Effect) -> None:
    """`sale/lib/paysystem/service.php` logs failures of setPaid and save and returns true."""
    wire.sandbox.faults.add(Fault("true_without_payment", PAY, times=2))
    assert wire.call(PAY).json()["result"] is True
    inside = wire.call("batch", {"cmd": {"a": PAY, "b": OTHER}}).json()["result"]
    assert inside["result"] == {"a": True, "b": "other"}
    assert effect.count == 0


def test_a_short_delay_really_waits(wire: Wire, effect: Effect) -> None:
    wire.sandbox.faults.add(Fault("delay", PAY, seconds=0.02))
    started = time.monotonic()
    assert wire.call(PAY).ok
    assert time.monotonic() - started >= 0.02


def test_times_counts_requests_and_none_means_no_limit(wire: Wire, effect: Effect) -> None:
    wire.sandbox.faults.add(Fault("status500", PAY, times=2))
    assert [wire.call(PAY).status_code for _ in range(3)] == [500, 500, 200]
    wire.sandbox.faults.add(Fault("status500", PAY, times=None))
    assert [wire.call(PAY).status_code for _ in range(3)] == [500, 500, 500]
    wire.sandbox.faults.clear()
    assert wire.call(PAY).ok


def test_a_fault_hits_the_whole_batch_with_its_method(wire: Wire, effect: Effect) -> None:
    wire.sandbox.faults.add(Fault("query_limit", PAY))
    assert wire.call("batch", {"cmd": [OTHER]}).ok
    assert wire.call("batch", {"cmd": [OTHER, f"{PAY.upper()}?a=1"]}).status_code == 503
    assert effect.count == 0


def test_a_fault_may_be_for_one_person_or_one_host(wire: Wire, effect: Effect) -> None:
    wire.sandbox.faults.add(Fault("status500", user_id=seed.READER))
    wire.sandbox.faults.add(Fault("status500", host="beta.example.com"))
    assert wire.call(PAY).ok
    assert wire.call(PAY, token=wire.token(seed.READER)).status_code == 500
    assert wire.session.post("https://beta.example.com/rest/profile").status_code == 500


def test_a_lost_response_of_the_oauth_server_has_spent_the_token(wire: Wire) -> None:
    wire.sandbox.faults.add(Fault("drop", "oauth.token", when="after"))
    token = wire.token()
    refresh = {"grant_type": "refresh_token", "refresh_token": token.refresh}
    _is_dropped(lambda: wire.grant(**refresh))
    assert wire.grant(**refresh).json()["error"] == "invalid_grant"
    wire.sandbox.faults.add(Fault("html502", "app.info", host="oauth.bitrix.info"))
    assert wire.session.get(f"{OAUTH_URL}/rest/app.info").status_code == 502


@pytest.mark.parametrize(("when", "count"), [("before", 0), ("after", 1)])
def test_a_held_call_waits_for_the_test_and_holds_no_lock(
    wire: Wire, effect: Effect, when: str, count: int
) -> None:
    arrived = threading.Event()
    hold = wire.sandbox.faults.add(Fault("hold", PAY, when=when, on_hit=arrived))
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(wire.call, PAY)
        assert arrived.wait(5)
        assert effect.count == count
        assert wire.call(OTHER).ok
        assert not held.done()
        hold.release.set()
        assert held.result(5).json()["result"] == {"count": 1}


def test_clearing_the_faults_releases_held_calls(wire: Wire, effect: Effect) -> None:
    arrived = threading.Event()
    wire.sandbox.faults.add(Fault("hold", PAY, on_hit=arrived))
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(wire.call, PAY)
        assert arrived.wait(5)
        wire.sandbox.faults.clear()
        assert held.result(5).ok


def test_a_hook_may_change_the_world_before_the_call(wire: Wire, effect: Effect) -> None:
    def sell_out() -> None:
        wire.alpha.payments[seed.PAYMENT].paid = True

    wire.sandbox.faults.add(Fault("delay", PAY, seconds=0, on_hit=sell_out))
    assert wire.call(PAY).ok
    assert wire.alpha.payments[seed.PAYMENT].paid


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "flood"},
        {"kind": "drop", "when": "never"},
        {"kind": "true_without_payment"},
        {"kind": "alter", "method": PAY},
        {"kind": "alter", "alter": lambda answer: answer},
    ],
)
def test_an_invalid_fault_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"flood|never|method"):
        Fault(**wrong)


def test_the_log_has_the_faults_and_the_status_the_client_saw(wire: Wire, effect: Effect) -> None:
    wire.sandbox.faults.add(Fault("delay", PAY, seconds=0))
    wire.sandbox.faults.add(Fault("drop", PAY, when="after"))
    wire.sandbox.faults.add(Fault("status500", PAY))
    with pytest.raises(requests.ConnectionError):
        wire.call(PAY)
    wire.call(PAY)
    wire.call(PAY, {"PAYMENT_ID": 1})
    dropped, failed, good = wire.sandbox.log
    assert (dropped.status, dropped.faults) == (0, ("delay", "drop"))
    assert (failed.status, failed.faults) == (500, ("status500",))
    assert failed.error == "INTERNAL_SERVER_ERROR"
    assert (good.status, good.faults, good.error) == (200, (), None)
    assert (good.method, good.user_id, good.client_id, good.member_id) == (
        PAY, seed.MANAGER, seed.OUR_CLIENT_ID, seed.ALPHA,
    )  # fmt: skip
    assert (good.params, good.token_in) == (("PAYMENT_ID", "auth"), ("body",))


def test_unknown_hosts_fail_like_an_unreachable_network(wire: Wire) -> None:
    adapter = wire.session.get_adapter(ALPHA_URL)
    assert isinstance(adapter, SandboxAdapter)
    with pytest.raises(requests.ConnectionError) as unknown:
        wire.session.get("https://evil.example.com/rest/profile")
    assert isinstance(unknown.value.args[0].reason, NameResolutionError)
    assert adapter.refused_hosts == ["evil.example.com"]
    adapter.unreachable_hosts.add("alpha.example.com")
    with pytest.raises(requests.ConnectionError) as down:
        wire.call("profile")
    assert isinstance(down.value.args[0].reason, NewConnectionError)
    assert wire.sandbox.log == []


def test_a_methods_response_is_altered_alone_and_in_a_batch(wire: Wire, effect: Effect) -> None:
    def spoil(envelope: Any) -> Any:
        return {**envelope, "result": ["\ud800\0", Verbatim("-0.0"), Verbatim("1" * 5000)]}

    wire.sandbox.faults.add(Fault("alter", PAY, times=2, alter=spoil))
    sent = f'["\\ud800\\u0000", -0.0, {"1" * 5000}]'
    assert f'"result": {sent}' in wire.call(PAY).text
    inside = wire.call("batch", {"cmd": {"a": PAY, "b": OTHER}}).text
    assert f'"a": {sent}' in inside
    assert '"b": "other"' in inside
    assert effect.count == 2


def test_altering_may_turn_a_command_into_an_error_or_an_error_into_a_success(
    wire: Wire, effect: Effect
) -> None:
    wire.sandbox.faults.add(Fault("alter", PAY, alter=lambda envelope: {"error": {"odd": 1}}))
    wire.sandbox.faults.add(Fault("alter", "no.method", alter=lambda envelope: True))
    first = wire.call("batch", {"cmd": {"a": PAY, "b": OTHER}}).json()["result"]
    assert first["result_error"] == {"a": {"error": {"odd": 1}}}
    second = wire.call("batch", {"cmd": {"a": "no.method", "b": OTHER}}).json()["result"]
    assert second["result"] == {"a": True, "b": "other"}
