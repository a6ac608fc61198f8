"""Bounds what a flood of forged openings costs a portal, the OAuth server and genuine people."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from b24app.identity import client_address, failed_proofs
from b24app.models import FailedProof, QuestionPace
from b24app.rest import transport
from sandbox.api.faults import Fault
from sandbox.api.registry import METHODS, Method
from sandbox.server.adapter import SandboxAdapter
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.installed_app import InstalledApp
from tests.b24app.portal_posts import begin, install, opening_fields, post

pytestmark = pytest.mark.django_db

DEAL_TAB = {
    "PLACEMENT": "CRM_DEAL_DETAIL_TAB",
    "PLACEMENT_OPTIONS": json.dumps({"ID": str(seed.DEAL)}),
}
OAUTH = "oauth.bitrix.info"
NETWORK = "192.0.2.7"


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(failed_proofs, "pause", seconds.append)
    return seconds


@pytest.fixture
def app(app: InstalledApp) -> InstalledApp:
    QuestionPace.objects.all().delete()
    return app


@pytest.fixture
def failed(app: InstalledApp) -> InstalledApp:
    """A proof has failed lately, so the OAuth server is asked first."""
    failed_proofs.record(app.portal)
    return app


def forged(app: InstalledApp, number: int = 1, **changes: str) -> Any:
    return app.post("/", seed.ADMIN, AUTH_ID=f"{number:070}", **changes)


def hosts(app: InstalledApp) -> list[str]:
    return [call.host for call in app.sandbox.log]


def users_at_the_portal(app: InstalledApp) -> set[int | None]:
    return {call.user_id for call in app.sandbox.log if call.host == "alpha.example.com"}


@pytest.mark.parametrize("place", [{}, DEAL_TAB], ids=["main page", "deal tab"])
def test_a_flood_costs_one_question_each_and_nothing_of_the_portal(
    app: InstalledApp, place: dict[str, str]
) -> None:
    assert forged(app, 0, **place).status_code == 403
    app.sandbox.log.clear()
    for number in range(1, 96):
        assert forged(app, number, **place).status_code == 403
    assert hosts(app) == [OAUTH] * 95


def test_people_open_the_app_during_a_flood(app: InstalledApp) -> None:
    app.alpha.bucket_size = 20
    for number in range(30):
        forged(app, number)
    for user_id in (seed.MANAGER, seed.ADMIN):
        app.sandbox.log.clear()
        answer = app.post("/", user_id)
        assert answer.status_code == 200
        assert f'data-payment="{seed.PAYMENT}"' in answer.content.decode()
        assert hosts(app)[0] == OAUTH
        assert hosts(app).count(OAUTH) == 1


def test_a_minute_later_in_another_process_the_portal_is_still_proved_first(
    app: InstalledApp,
) -> None:
    """Nothing of it is in this process: what is remembered is a row."""
    FailedProof.objects.create(portal=app.portal, last_at=timezone.now() - timedelta(minutes=1))
    app.sandbox.log.clear()
    assert forged(app).status_code == 403
    assert hosts(app) == [OAUTH]


def test_after_some_minutes_a_screen_takes_no_round_trip_more(app: InstalledApp) -> None:
    forged(app)
    FailedProof.objects.update(last_at=timezone.now() - failed_proofs.LATELY)
    app.sandbox.log.clear()
    assert app.post("/", seed.MANAGER).status_code == 200
    assert OAUTH not in hosts(app)


def test_another_portal_is_as_fast_as_before(app: InstalledApp, beta: Portal) -> None:
    install(app.client, app.sandbox, beta)
    forged(app)
    app.sandbox.log.clear()
    assert post(app.client, "/", opening_fields(app.sandbox, beta, seed.ADMIN)).status_code == 200
    assert set(hosts(app)) == {"beta.example.com"}


def expired(app: InstalledApp, beta: Portal) -> dict[str, str]:
    fields = opening_fields(app.sandbox, app.alpha, seed.READER)
    app.sandbox.world.tokens[fields["AUTH_ID"]].expires = app.sandbox.world.now() - 1
    return fields


def of_another_app(app: InstalledApp, beta: Portal) -> dict[str, str]:
    return opening_fields(app.sandbox, app.alpha, seed.READER, client_id=seed.OTHER_CLIENT_ID)


def of_another_portal(app: InstalledApp, beta: Portal) -> dict[str, str]:
    begin(app.sandbox, beta)
    return opening_fields(app.sandbox, beta, seed.ADMIN, member_id=app.alpha.member_id)


def without_access(app: InstalledApp, beta: Portal) -> dict[str, str]:
    app.alpha.installations[seed.OUR_CLIENT_ID].allowed_users = frozenset({seed.MANAGER})
    return opening_fields(app.sandbox, app.alpha, seed.READER)


def turned_away(app: InstalledApp, beta: Portal) -> dict[str, str]:
    app.sandbox.faults.add(Fault("query_limit", user_id=seed.READER, times=None))
    return opening_fields(app.sandbox, app.alpha, seed.READER)


@pytest.mark.parametrize(
    "forge", [expired, of_another_app, of_another_portal, without_access, turned_away]
)
@pytest.mark.parametrize("path", ["/", "/session/"])
def test_each_way_to_fail_a_proof_closes_the_parallel_way(
    app: InstalledApp, beta: Portal, monkeypatch: pytest.MonkeyPatch, forge: Any, path: str
) -> None:
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
    assert post(app.client, path, forge(app, beta)).status_code in (401, 403, 429)
    app.sandbox.log.clear()
    assert forged(app).status_code == 403
    assert hosts(app) == [OAUTH]


def test_an_opening_that_cannot_be_read_is_refused_before_any_question(
    failed: InstalledApp,
) -> None:
    failed.sandbox.log.clear()
    answer = failed.post("/", seed.ADMIN, **{**DEAL_TAB, "PLACEMENT_OPTIONS": "[]"})
    assert answer.status_code == 400
    assert failed.sandbox.log == []


@pytest.mark.parametrize("kind", ["drop", "html502", "broken_json", "unreachable"])
def test_without_the_oauth_server_people_get_in_and_forgeries_use_no_stored_token(
    failed: InstalledApp, kind: str
) -> None:
    if kind == "unreachable":
        adapter = transport.mounted_adapter()
        assert isinstance(adapter, SandboxAdapter)
        adapter.unreachable_hosts.add(OAUTH)
    else:
        failed.sandbox.faults.add(Fault(kind, host=OAUTH, times=None))
    failed.sandbox.log.clear()
    assert forged(failed).status_code == 403
    assert users_at_the_portal(failed) == {None}
    assert failed.post("/", seed.MANAGER).status_code == 200


def test_without_the_oauth_server_another_apps_token_is_no_proof(failed: InstalledApp) -> None:
    failed.sandbox.faults.add(Fault("html502", host=OAUTH, times=None))
    failed.sandbox.log.clear()
    answer = failed.post("/", seed.READER, client_id=seed.OTHER_CLIENT_ID)
    assert answer.status_code == 504
    assert users_at_the_portal(failed) == {seed.READER}


@pytest.mark.parametrize("path", ["/", "/install/"])
def test_a_throttled_oauth_server_is_too_many_requests(failed: InstalledApp, path: str) -> None:
    """That proves nothing about the token, so it must not look like a refusal."""
    failed.sandbox.faults.add(Fault("query_limit", method="app.info", host=OAUTH, times=None))
    answer = failed.post(path, seed.ADMIN)
    assert answer.status_code == 429
    assert "Too many requests" in answer.content.decode()


def test_the_person_whom_the_portal_names_must_be_the_tokens(
    failed: InstalledApp, monkeypatch: Any
) -> None:
    admin = {"ID": str(seed.ADMIN), "ADMIN": True, "NAME": "Ada", "LAST_NAME": "Admin"}
    monkeypatch.setitem(METHODS, "profile", Method("profile", None, lambda call: admin))
    answer = failed.post("/session/", seed.READER)
    assert answer.status_code == 403


def test_a_portal_that_moved_is_found_by_the_first_question(failed: InstalledApp) -> None:
    failed.alpha.url = "https://renamed.example.com"
    failed.sandbox.log.clear()
    assert failed.post("/", seed.MANAGER).status_code == 200
    assert (hosts(failed)[0], set(hosts(failed)[1:])) == (OAUTH, {"renamed.example.com"})


# How many questions one network may cause


def post_from(
    network: str, app: InstalledApp, user_id: int, *, path: str = "/session/", **changes: str
) -> Any:
    fields = opening_fields(app.sandbox, app.alpha, user_id, **changes)
    return app.client.post(path, fields, headers={"x-forwarded-for": network})


def forged_from(network: str, app: InstalledApp, number: int, *, path: str = "/session/") -> Any:
    return post_from(network, app, seed.ADMIN, path=path, AUTH_ID=f"{number:070}")


def flood(app: InstalledApp, path: str = "/session/") -> list[int]:
    """Returns the statuses of more forged openings at once than may be asked about."""
    with time_machine.travel(timezone.now(), tick=False):
        return [
            forged_from(NETWORK, app, number, path=path).status_code
            for number in range(failed_proofs.BURST + 20)
        ]


@pytest.mark.parametrize("path", ["/session/", "/install/"])
def test_a_network_causes_a_bounded_number_of_questions(
    failed: InstalledApp, waited: list[float], path: str
) -> None:
    failed.sandbox.log.clear()
    statuses = flood(failed, path)
    assert hosts(failed) == [OAUTH] * statuses.count(403)
    assert waited == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert statuses == [403] * (failed_proofs.BURST + 1 + len(waited)) + [429] * 13
    # Those that were refused do not lengthen the queue.
    turns = failed_proofs.BURST * failed_proofs.INTERVAL + failed_proofs.LONGEST_WAIT
    assert QuestionPace.objects.get().free_at <= timezone.now() + turns + failed_proofs.INTERVAL
    # People elsewhere are not in that queue.
    waited.clear()
    assert post_from("198.51.100.1", failed, seed.MANAGER).status_code == 200
    assert waited == []


def test_people_of_the_same_network_get_their_turn_soon(failed: InstalledApp) -> None:
    flood(failed)
    QuestionPace.objects.update(free_at=F("free_at") + timedelta(minutes=5))
    told = post_from(NETWORK, failed, seed.MANAGER)
    assert (told.status_code, told.json()["error"]) == (429, "too_many_openings")
    later = timezone.now() + failed_proofs.BURST * failed_proofs.INTERVAL
    QuestionPace.objects.update(free_at=later + failed_proofs.LONGEST_WAIT)
    assert post_from(NETWORK, failed, seed.MANAGER).status_code == 200


def test_genuine_openings_do_not_count(failed: InstalledApp) -> None:
    before = timezone.now()
    for _ in range(5):
        assert failed.opening(seed.MANAGER) == 200
    assert QuestionPace.objects.get().free_at <= timezone.now()
    assert QuestionPace.objects.get().free_at >= before - timedelta(seconds=5)


def test_counters_are_pruned_and_hold_no_address(failed: InstalledApp) -> None:
    forged_from(NETWORK, failed, 1)
    assert NETWORK not in str(list(QuestionPace.objects.values()))
    call_command("prune")
    assert (QuestionPace.objects.count(), FailedProof.objects.count()) == (1, 1)
    QuestionPace.objects.update(free_at=timezone.now() - failed_proofs.KEPT_FOR)
    FailedProof.objects.update(last_at=timezone.now() - failed_proofs.KEPT_FOR)
    call_command("prune")
    assert (QuestionPace.objects.count(), FailedProof.objects.count()) == (0, 0)


# Whose address it is


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        (0, "192.0.2.7", "127.0.0.1"),
        (1, None, "127.0.0.1"),
        (1, "192.0.2.7", "192.0.2.7"),
        (1, "203.0.113.9, 192.0.2.7", "192.0.2.7"),
        (1, "203.0.113.9,", "127.0.0.1"),
        (1, "unknown", "127.0.0.1"),
        (1, "192.0.2.7\x00", "127.0.0.1"),
        (2, "192.0.2.7", "127.0.0.1"),
        (2, "203.0.113.9, 192.0.2.7, 10.0.0.1", "192.0.2.7"),
        (1, "2001:DB8::1", "2001:db8::1"),
    ],
)
def test_only_what_our_own_proxies_wrote_is_believed(
    rf: Any, settings: Settings, trusted: int, forwarded: str | None, address: str
) -> None:
    settings.TRUSTED_PROXIES = trusted
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    assert client_address.of_request(rf.get("/", headers=headers)) == address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
    ],
)
def test_an_ipv6_customer_is_one_network(rf: Any, address: str, network: str) -> None:
    request = rf.get("/", headers={"x-forwarded-for": address})
    assert client_address.network_of(request) == network


def test_without_a_peer_there_is_no_address(rf: Any) -> None:
    request = rf.get("/")
    request.META["REMOTE_ADDR"] = ""
    assert client_address.network_of(request) == ""
