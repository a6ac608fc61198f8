"""A portal's time zone: found from its answers, chosen by name, checked by the doctor."""

from __future__ import annotations

import io
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from b24app import models
from b24app.localization import zones
from b24app.rest.clock import offset_of
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests import clocks
from tests.b24app.portal_posts import install, opening_fields, post, session_of
from tests.clocks import Clock

SUMMER = Clock(datetime(2026, 7, 1, 12, tzinfo=UTC), clocks.BERLIN)
WINTER = Clock(datetime(2026, 12, 1, 12, tzinfo=UTC), clocks.BERLIN)
HALF_PAST = timezone(timedelta(hours=5, minutes=30))


def opened(client: Client, sandbox: Sandbox, alpha: Portal, user_id: int) -> models.Portal:
    session_of(client, sandbox, alpha, user_id)
    return models.Portal.objects.get(member_id=alpha.member_id)


def doctor() -> tuple[str, bool]:
    """Returns the doctor's line about the zone, and whether it is in order."""
    said = io.StringIO()
    with suppress(SystemExit):
        call_command("doctor", "alpha.example.com", stdout=said)
    line, advice = said.getvalue().split("Time zone: ")[1].partition("\n")[::2]
    before = said.getvalue().split("Time zone: ")[0].splitlines()[-1]
    return f"{line} {advice.splitlines()[0].strip() if advice else ''}".strip(), "ok" in before


# ---- names


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Europe/Moscow", "Europe/Moscow (UTC+3)"),
        ("Asia/Kathmandu", "Asia/Kathmandu (UTC+5:45)"),
        ("America/Sao_Paulo", "America/Sao_Paulo (UTC-3)"),
        ("UTC+03:00", "UTC+3"),
        ("UTC-09:30", "UTC-9:30"),
        ("UTC+14:00", "UTC+14"),
        ("UTC", "UTC"),
    ],
)
def test_a_zone_is_found_by_its_name_and_has_words(name: str, words: str) -> None:
    zone = zones.find(name)
    assert zone is not None
    assert zones.words(zone) == words


@pytest.mark.parametrize(
    "name",
    ["", " ", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "localtime", "Factory",
     "UTC+15:00", "UTC-12:30", "UTC+3", "UTC+03:60", "utc+03:00", "UTC+03:00\n", "E" * 500, "\x00"],
)  # fmt: skip
def test_other_text_is_no_zone(name: str) -> None:
    assert zones.find(name) is None


@pytest.mark.parametrize("minutes", [-720, -570, -180, 0, 60, 330, 345, 765, 840])
def test_an_offset_alone_has_a_name_that_means_it(minutes: int) -> None:
    offset = timedelta(minutes=minutes)
    zone = zones.find(zones.fixed_name(offset))
    assert zone is not None
    assert zones.offset_of(zone) == offset


def test_the_list_has_every_common_zone_by_offset_and_the_stored_one() -> None:
    listed = zones.choices("Antarctica/Troll")
    assert {*zones.COMMON, "Antarctica/Troll"} == {name for name, _words in listed}
    offsets = [zones.offset_of(zone) for name, _ in listed if (zone := zones.find(name))]
    assert offsets == sorted(offsets)
    assert len(offsets) == len(listed)


@pytest.mark.parametrize(
    ("time", "offset"),
    [
        ({"start": 1, "date_start": "2026-03-01T15:00:00+03:00"}, timedelta(hours=3)),
        ({"date_start": "2026-03-01T15:00:00-09:30"}, timedelta(hours=-9, minutes=-30)),
        ({"date_start": "2026-03-01T15:00:00+23:59"}, None),
        ({"date_start": "2026-03-01T15:00:00+03:00:01"}, None),
        ({"date_start": "2026-03-01T15:00:00"}, None),
        ({"start": 1}, None),
        ({"date_start": None}, None),
        ([], None),
        (None, None),
    ],
)
def test_the_offset_is_read_where_it_can_be_one(time: object, offset: timedelta | None) -> None:
    assert offset_of(time) == offset


# ---- found from answers


@pytest.mark.django_db
@pytest.mark.parametrize("clock", [SUMMER, WINTER], indirect=True, ids=str)
@pytest.mark.parametrize(
    ("server", "profile", "found"),
    [
        (clocks.BERLIN, "Europe/Berlin", "Europe/Berlin"),
        (clocks.EAST, "Europe/Moscow", "Europe/Moscow"),
        (HALF_PAST, "Asia/Kolkata", "Asia/Kolkata"),
        # The person's zone is another than the server's: the offset alone is known.
        (clocks.EAST, "America/New_York", "UTC+03:00"),
        (HALF_PAST, "", "UTC+05:30"),
        (clocks.WEST, "", "UTC-03:00"),
        (clocks.FAR_EAST, "Mars/Olympus", "UTC+12:00"),
        (UTC, "../../etc/passwd", "UTC"),
    ],
)
def test_an_installation_finds_the_zone_that_person_and_server_agree_on(
    client: Client, sandbox: Sandbox, alpha: Portal, server: timezone, profile: str, found: str
) -> None:
    alpha.zone, alpha.users[seed.ADMIN].time_zone = server, profile
    portal = install(client, sandbox, alpha)
    assert (portal.time_zone, portal.time_zone_found) == ("", found)
    offset = datetime.now(UTC).astimezone(server).utcoffset()
    assert offset is not None
    assert portal.utc_offset == offset // timedelta(minutes=1)


@pytest.mark.django_db
def test_an_opening_tells_of_the_zone_without_a_request_or_a_statement_more(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    models.Portal.objects.update(time_zone_found="", utc_offset=None)

    def cost(user_id: int) -> tuple[int, int]:
        fields, since = opening_fields(sandbox, alpha, user_id), len(sandbox.log)
        with CaptureQueriesContext(connection) as queries:
            assert post(client, "/", fields).status_code == 200
        zone_writes = [q for q in queries if "SET" in q["sql"] and "time_zone_found" in q["sql"]]
        return len(sandbox.log) - since, len(zone_writes)

    first, again = cost(seed.MANAGER), cost(seed.MANAGER)
    assert (first[1], again[1]) == (1, 0)
    assert first[0] >= again[0]
    assert models.Portal.objects.get().time_zone_found == "UTC+03:00"
    alpha.zone = clocks.FAR_EAST
    assert cost(seed.MANAGER)[1] == 1
    assert models.Portal.objects.get().time_zone_found == "UTC+12:00"


@pytest.mark.django_db
@pytest.mark.parametrize("clock", [SUMMER], indirect=True, ids=str)
def test_only_an_administrators_profile_names_the_zone_and_a_name_stays(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    alpha.users[seed.ADMIN].time_zone = ""
    install(client, sandbox, alpha)
    alpha.users[seed.MANAGER].time_zone = "Africa/Johannesburg"
    assert opened(client, sandbox, alpha, seed.MANAGER).time_zone_found == "UTC+02:00"
    alpha.users[seed.ADMIN].time_zone = "Europe/Berlin"
    assert opened(client, sandbox, alpha, seed.ADMIN).time_zone_found == "Europe/Berlin"
    alpha.users[seed.ADMIN].time_zone, alpha.zone = "Asia/Tokyo", ZoneInfo("Asia/Tokyo")
    portal = opened(client, sandbox, alpha, seed.ADMIN)
    assert (portal.time_zone_found, portal.utc_offset) == ("Europe/Berlin", 540)


@pytest.mark.django_db
def test_another_portal_keeps_its_own_zone(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal
) -> None:
    beta.zone = clocks.WEST
    here, there = install(client, sandbox, alpha), install(client, sandbox, beta)
    assert (here.time_zone_found, there.time_zone_found) == ("UTC+03:00", "UTC-03:00")


@pytest.mark.django_db
def test_answers_without_a_time_change_nothing(
    client: Client, sandbox: Sandbox, alpha: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(client, sandbox, alpha)
    before = models.Portal.objects.values().get()
    monkeypatch.setattr("sandbox.api.envelopes._iso", lambda moment: "soon")
    opened(client, sandbox, alpha, seed.MANAGER)
    after = models.Portal.objects.values().get()
    assert after["time_zone_found"] == before["time_zone_found"] == "UTC+03:00"


# ---- checked by the doctor


@pytest.mark.django_db
def test_the_doctor_tells_the_zone_and_when_a_found_one_no_longer_fits(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    alpha.users[seed.ADMIN].time_zone = "Europe/Moscow"
    install(client, sandbox, alpha)
    said, is_ok = doctor()
    assert said.startswith("Times are those of Europe/Moscow (UTC+3).")
    assert is_ok
    alpha.zone = clocks.FAR_EAST
    said, is_ok = doctor()
    assert "Europe/Moscow (UTC+3); the answers of Bitrix24 show UTC+12." in said
    assert "an administrator chooses the time zone in Rules" in said
    assert not is_ok


@pytest.mark.django_db
@pytest.mark.parametrize("clock", [SUMMER, WINTER], indirect=True, ids=str)
def test_a_chosen_zone_is_in_order_also_if_the_server_has_another(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    alpha.zone = clocks.EAST
    install(client, sandbox, alpha)
    models.Portal.objects.update(time_zone="Europe/Berlin")
    said, is_ok = doctor()
    assert "Europe/Berlin (UTC+" in said
    assert "show UTC+3." in said
    assert "in Rules" in said
    assert is_ok


@pytest.mark.django_db
def test_without_a_known_zone_times_are_in_utc_and_that_is_not_a_problem(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    models.Portal.objects.update(time_zone_found="", utc_offset=None)
    said, is_ok = doctor()
    assert "times are in UTC" in said
    assert is_ok
