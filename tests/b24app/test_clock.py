"""The portal's clock, as its answers show it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from b24app.rest import transport
from b24app.rest.answers import Answer
from b24app.rest.client import Client, Query
from b24app.rest.clock import moment_of, skew_of
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.installing import begin_installation
from sandbox.world.world import Portal
from tests.b24app.servers import Telling

TIME = Query("server.time", lambda answer: answer)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "moment"),
    [
        ({"start": Decimal("1772366400.5")}, NOON + timedelta(seconds=0.5)),
        ({"start": 1772366400, "date_start": "1999-01-01T00:00:00+00:00"}, NOON),
        ({"date_start": "2026-03-01T15:00:00+03:00"}, NOON),
        ({"start": "soon", "date_start": "2026-03-01T12:00:00+00:00"}, NOON),
        ({"start": 10**30, "date_start": "2026-03-01T12:00:00+00:00"}, NOON),
        ({"start": True}, None),
        ({"date_start": "2026-03-01T12:00:00"}, None),
        ({"date_start": "noon"}, None),
        ({"date_start": None}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_the_moment_is_read_from_any_place_and_never_guessed(
    time: object, moment: datetime | None
) -> None:
    assert moment_of(time) == moment


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("time", "skew"),
    [
        # The server worked for 20 seconds; its answer arrived at NOON by our clock.
        ({"start": 1772366382, "finish": Decimal("1772366402.9")}, 2.9 * SECOND),
        ({"start": 1772366382.5}, 2.5 * SECOND),
        ({"finish": 10**30, "start": 1772366380}, timedelta()),
        ({"finish": True}, None),
        ({"finish": "soon"}, None),
        (None, None),
    ],
)
def test_the_end_of_an_answer_tells_the_difference_of_the_clocks(
    time: object, skew: timedelta | None
) -> None:
    assert skew_of(time, asked_at=NOON - 20 * SECOND, received_at=NOON) == skew


class Given:
    """Credentials that are one token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def access_token(self) -> str:
        return self._token

    def renew(self, stale: str) -> str:
        raise NotImplementedError


@pytest.fixture
def client(sandbox: Sandbox, alpha: Portal) -> Client:
    begin_installation(sandbox.world, alpha, seed.OUR_CLIENT_ID).finished = True
    token = sandbox.world.issue(seed.OUR_CLIENT_ID, alpha.member_id, seed.MANAGER)
    return Client(f"{alpha.url}/rest/", Given(token.access))


def is_about(skew: timedelta | None, ahead: int) -> bool:
    """Returns whether this is the difference; the newest build tells whole seconds only."""
    return skew is not None and -1.5 < skew.total_seconds() - ahead < 0.5


@pytest.mark.parametrize("older_build", [False, True])
@pytest.mark.parametrize("ahead", [-400, 0, 90])
def test_an_answer_tells_how_far_the_portals_clock_is_ahead(
    sandbox: Sandbox, alpha: Portal, client: Client, ahead: int, older_build: bool
) -> None:
    alpha.older_build = older_build
    sandbox.world.advance(ahead)

    answer = client.read(TIME)

    assert is_about(answer.skew, ahead)
    assert answer.at is not None
    assert abs(answer.at.timestamp() - sandbox.log[0].at) < 1.5


@pytest.mark.parametrize("count", [1, 2])
def test_a_batch_tells_it_too(sandbox: Sandbox, client: Client, count: int) -> None:
    sandbox.world.advance(-90)
    batch = client.batch()
    asked = [batch.add(TIME) for _ in range(count)]
    assert batch.skew is None

    batch.run()

    assert is_about(batch.skew, -90)
    assert all(isinstance(one.get(), Answer) and one.get().at for one in asked)


@pytest.mark.parametrize("count", [1, 2])
def test_answers_without_a_time_tell_nothing(count: int) -> None:
    body = {"result": {"result": {"q0": 1, "q1": 2}, "result_error": [], "result_time": []}}
    batch = Client("https://alpha.example.com/rest/", Given("a-token")).batch()
    for _ in range(count):
        batch.add(TIME)
    with transport.use_adapter(Telling(body)):
        batch.run()
    assert batch.skew is None
