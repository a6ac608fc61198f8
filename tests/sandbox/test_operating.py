"""Operating time: added up over ten minutes for each method and application of a portal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.world import seed
from sandbox.world.installing import begin_installation
from tests.sandbox.wire import Wire, a_method, in_process

METHOD = "test.operating.nothing"
MINUTE = 60


@pytest.fixture
def wire() -> Iterator[Wire]:
    with a_method(METHOD, lambda _: True):
        wire = in_process()
        wire.alpha.seconds_of = {METHOD: 200.0}
        yield wire


def _statuses(wire: Wire, count: int) -> list[int]:
    return [wire.call(METHOD).status_code for _ in range(count)]


def test_the_call_that_crosses_the_limit_is_finished_and_the_next_is_refused(wire: Wire) -> None:
    assert _statuses(wire, 4) == [200, 200, 200, 429]
    assert wire.call(METHOD).json() == {
        "error": "OPERATION_TIME_LIMIT",
        "error_description": "Method is blocked due to operation time limit.",
    }
    assert wire.call("profile").ok


def test_an_answer_says_how_much_was_used_and_when_the_oldest_minute_falls_out(wire: Wire) -> None:
    began = wire.sandbox.world.now()
    first = wire.call(METHOD).json()["time"]
    wire.sandbox.world.advance(3 * MINUTE)
    second = wire.call(METHOD).json()["time"]
    assert (first["operating"], second["operating"]) == (200.0, 400.0)
    assert first["operating_reset_at"] == second["operating_reset_at"]
    assert began + 599 <= first["operating_reset_at"] <= began + 605


@pytest.mark.parametrize(("bans", "minutes"), [(False, 10), (True, 5)])
def test_the_block_ends(wire: Wire, bans: bool, minutes: int) -> None:
    wire.alpha.bans_for_operating = bans
    assert _statuses(wire, 4)[-1] == 429
    wire.sandbox.world.advance(minutes * MINUTE - 5)
    assert _statuses(wire, 1) == [429]
    wire.sandbox.world.advance(10)
    assert _statuses(wire, 1) == [200]


@pytest.mark.parametrize(("bans", "counted"), [(False, 0.0), (True, 100.0)])
def test_a_batch_counts_its_commands_and_on_newer_builds_half_of_itself(
    wire: Wire, bans: bool, counted: float
) -> None:
    wire.alpha.bans_for_operating = bans
    wire.alpha.seconds_of["batch"] = 200.0
    answer = wire.call("batch", {"cmd": {"a": METHOD}}).json()
    assert answer["result"]["result_time"]["a"]["operating"] == 200.0
    assert answer["time"]["operating"] == counted
    _statuses(wire, 2)
    assert wire.call("batch", {"cmd": {"a": METHOD}}).json()["result"]["result_error"]["a"] == {
        "error": "OPERATION_TIME_LIMIT",
        "error_description": "Method is blocked due to operation time limit.",
    }


def test_people_of_a_portal_share_the_time_and_applications_do_not(wire: Wire) -> None:
    assert _statuses(wire, 4)[-1] == 429
    assert wire.call(METHOD, token=wire.token(seed.ADMIN)).status_code == 429
    world = wire.sandbox.world
    begin_installation(world, wire.alpha, seed.OTHER_CLIENT_ID).finished = True
    other = world.issue(seed.OTHER_CLIENT_ID, wire.alpha.member_id, seed.MANAGER)
    assert wire.call(METHOD, token=other).ok
