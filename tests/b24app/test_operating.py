"""A method that Bitrix24 has blocked for its operating time is not called before the block ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from b24app.errors import B24Error, Refused
from b24app.rest import operating
from b24app.rest.client import Client, Query
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.installing import begin_installation
from sandbox.world.world import Portal
from tests.b24app.rows import calls

PROFILE, CURRENT = "profile", "user.current"
MANY_SECONDS = 430.0


class OneToken:
    """Credentials of a token that is valid for an hour."""

    def __init__(self, token: str) -> None:
        self._token = token

    def access_token(self) -> str:
        return self._token

    def renew(self, stale: str) -> str:
        raise AssertionError("the token is valid")


@pytest.fixture
def client(sandbox: Sandbox, alpha: Portal) -> Client:
    begin_installation(sandbox.world, alpha, seed.OUR_CLIENT_ID).finished = True
    token = sandbox.world.issue(seed.OUR_CLIENT_ID, alpha.member_id, seed.MANAGER)
    return Client(f"{alpha.url}/rest/", OneToken(token.access))


def _result(method: str) -> Query[Any]:
    return Query(method, parse=lambda answer: answer.result)


def _in_batch(client: Client, *methods: str) -> list[object]:
    """Returns each method's result, or its error."""
    batch = client.batch()
    pendings = [batch.add(_result(method)) for method in methods]
    batch.run()
    outcomes: list[object] = []
    for pending in pendings:
        try:
            outcomes.append(pending.get())
        except B24Error as error:
            outcomes.append(error)
    return outcomes


def _blocked(client: Client, method: str) -> None:
    with pytest.raises(Refused) as refusal:
        client.read(_result(method))
    assert refusal.value.code == operating.CODE


@pytest.mark.parametrize("bans", [False, True])
def test_a_blocked_method_is_called_again_only_when_the_block_is_over(
    client: Client, sandbox: Sandbox, alpha: Portal, bans: bool
) -> None:
    alpha.bans_for_operating = bans
    alpha.seconds_of = {PROFILE: MANY_SECONDS}
    client.read(_result(PROFILE))
    _blocked(client, PROFILE)
    assert calls(sandbox, PROFILE) == 2
    _blocked(client, PROFILE)
    assert calls(sandbox, PROFILE) == 2
    assert client.read(_result(CURRENT))
    alpha.seconds_of = {}
    # Both are right on each build: the later of the reset time and five minutes.
    for minutes, asked in ((9, 2), (11, 3)):
        with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
            if asked == 2:
                _blocked(client, PROFILE)
            else:
                assert client.read(_result(PROFILE))
        assert calls(sandbox, PROFILE) == asked


def test_only_the_blocked_command_is_left_out_of_a_batch(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    alpha.seconds_of = {PROFILE: MANY_SECONDS}
    assert _in_batch(client, PROFILE, CURRENT)
    blocked, found = _in_batch(client, PROFILE, CURRENT)
    assert isinstance(blocked, Refused) and blocked.code == operating.CODE
    assert isinstance(found, dict)
    before = len(sandbox.log)
    blocked, found = _in_batch(client, PROFILE, CURRENT)
    assert isinstance(blocked, Refused) and isinstance(found, dict)
    assert [call.method for call in sandbox.log[before:]] == [CURRENT]


def test_a_blocked_batch_is_not_sent(client: Client, sandbox: Sandbox, alpha: Portal) -> None:
    """The newest servers count `batch` as a method, with half its time."""
    alpha.bans_for_operating = True
    alpha.seconds_of = {"batch": 2 * MANY_SECONDS}
    assert all(not isinstance(each, B24Error) for each in _in_batch(client, PROFILE, CURRENT))
    for _time in range(2):
        assert all(isinstance(each, Refused) for each in _in_batch(client, PROFILE, CURRENT))
    assert calls(sandbox, "batch") == 2
    assert client.read(_result(PROFILE))


def test_other_portals_are_not_blocked(client: Client, alpha: Portal, beta: Portal) -> None:
    operating.block(client.endpoint, PROFILE)
    assert operating.refusal(f"{alpha.url}/rest/", PROFILE)
    assert operating.refusal(f"{beta.url}/rest/", PROFILE) is None


@pytest.mark.parametrize(
    "time",
    [
        None,
        [],
        {"operating": "500", "operating_reset_at": 10**12, "finish": 1},
        {"operating": True, "operating_reset_at": 10**12, "finish": 1},
        {"operating": 500, "operating_reset_at": "x", "finish": 1},
        {"operating": 500, "operating_reset_at": 10**12},
        {"operating": 12.5, "operating_reset_at": 10**12, "finish": 1},
        {"operating": 500.0, "operating_reset_at": 10**17, "finish": 1.0},
    ],
)
def test_an_odd_time_never_makes_a_block_longer_than_ten_minutes(time: object) -> None:
    operating.note("https://alpha.example.com/rest/", PROFILE, time)
    operating.block("https://alpha.example.com/rest/", PROFILE)
    with time_machine.travel(timezone.now() + timedelta(seconds=operating.LONGEST_BLOCK + 1)):
        assert operating.refusal("https://alpha.example.com/rest/", PROFILE) is None
