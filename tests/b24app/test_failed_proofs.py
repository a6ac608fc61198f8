"""Bounds what a flood of forged openings costs a portal, the OAuth server and genuine people."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db.models import F
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from b24app import models
from b24app.identity import client_address, failed_proofs
from b24app.models import FailedProof, QuestionPace
from b24app.rest import transport
from sandbox.api.faults import Fault
from sandbox.api.registry import METHODS, Method
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import begin, install, opening_fields, post

pytestmark = pytest.mark.django_db

DEAL_TAB = {
    "PLACEMENT": "CRM_DEAL_DETAIL_TAB",
    "PLACEMENT_OPTIONS": json.dumps({"ID": str(seed.DEAL)}),
}
OAUTH = "oauth.bitrix.info"


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(failed_proofs, "pause", seconds.append)
    return seconds


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    row = install(client, sandbox, alpha)
    QuestionPace.objects.all().delete()
    return row


def forged(sandbox: Sandbox, portal: Portal, number: int, **changes: str) -> dict[str, str]:
    return opening_fields(sandbox, portal, seed.ADMIN, AUTH_ID=f"{number:070}", **changes)


def hosts(sandbox: Sandbox) -> list[str]:
    return [call.host for call in sandbox.log]


def users_at_the_portal(sandbox: Sandbox) -> set[int | None]:
    return {call.user_id for call in sandbox.log if call.host == "alpha.example.com"}


@pytest.mark.parametrize("place", [{}, DEAL_TAB], ids=["main page", "deal tab"])
def test_a_flood_costs_one_question_each_and_nothing_of_the_portal(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, place: dict[str, str]
) -> None:
    assert post(client, "/", forged(sandbox, alpha, 0, **place)).status_code == 403
    sandbox.log.clear()
    for number in range(1, 96):
        assert post(client, "/", forged(sandbox, alpha, number, **place)).status_code == 403
    assert hosts(sandbox) == [OAUTH] * 95


def test_people_open_the_app_during_a_flood(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    alpha.bucket_size = 20
    for number in range(30):
        post(client, "/", forged(sandbox, alpha, number))
    for user_id in (seed.MANAGER, seed.ADMIN):
        sandbox.log.clear()
        answer = post(client, "/", opening_fields(sandbox, alpha, user_id))
        assert answer.status_code == 200
        assert f'data-payment="{seed.PAYMENT}"' in answer.content.decode()
        assert hosts(sandbox)[0] == OAUTH
        assert hosts(sandbox).count(OAUTH) == 1


def test_a_minute_later_in_another_process_the_portal_is_still_proved_first(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """Nothing of it is in this process: what is remembered is a row."""
    FailedProof.objects.create(portal=portal, last_at=timezone.now() - timedelta(minutes=1))
    sandbox.log.clear()
    assert post(client, "/", forged(sandbox, alpha, 1)).status_code == 403
    assert hosts(sandbox) == [OAUTH]


def test_after_some_minutes_a_screen_takes_no_round_trip_more(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    post(client, "/", forged(sandbox, alpha, 1))
    FailedProof.objects.update(last_at=timezone.now() - failed_proofs.LATELY)
    sandbox.log.clear()
    assert post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER)).status_code == 200
    assert OAUTH not in hosts(sandbox)


def test_another_portal_is_as_fast_as_before(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal, portal: models.Portal
) -> None:
    install(client, sandbox, beta)
    post(client, "/", forged(sandbox, alpha, 1))
    sandbox.log.clear()
    assert post(client, "/", opening_fields(sandbox, beta, seed.ADMIN)).status_code == 200
    assert set(hosts(sandbox)) == {"beta.example.com"}


def expired(sandbox: Sandbox, alpha: Portal, beta: Portal) -> dict[str, str]:
    fields = opening_fields(sandbox, alpha, seed.READER)
    sandbox.world.tokens[fields["AUTH_ID"]].expires = sandbox.world.now() - 1
    return fields


def of_another_app(sandbox: Sandbox, alpha: Portal, beta: Portal) -> dict[str, str]:
    return opening_fields(sandbox, alpha, seed.READER, client_id=seed.OTHER_CLIENT_ID)


def of_another_portal(sandbox: Sandbox, alpha: Portal, beta: Portal) -> dict[str, str]:
    begin(sandbox, beta)
    return opening_fields(sandbox, beta, seed.ADMIN, member_id=alpha.member_id)


def without_access(sandbox: Sandbox, alpha: Portal, beta: Portal) -> dict[str, str]:
    alpha.installations[seed.OUR_CLIENT_ID].allowed_users = frozenset({seed.MANAGER})
    return opening_fields(sandbox, alpha, seed.READER)


def turned_away(sandbox: Sandbox, alpha: Portal, beta: Portal) -> dict[str, str]:
    fields = opening_fields(sandbox, alpha, seed.READER)
    sandbox.faults.add(Fault("query_limit", user_id=seed.READER, times=None))
    return fields


@pytest.mark.parametrize(
    "forge", [expired, of_another_app, of_another_portal, without_access, turned_away]
)
@pytest.mark.parametrize("path", ["/", "/session/"])
def test_each_way_to_fail_a_proof_closes_the_parallel_way(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    beta: Portal,
    portal: models.Portal,
    monkeypatch: pytest.MonkeyPatch,
    forge: Any,
    path: str,
) -> None:
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
    fields = forge(sandbox, alpha, beta)
    assert post(client, path, fields).status_code in (401, 403, 429)
    sandbox.log.clear()
    assert post(client, "/", forged(sandbox, alpha, 1)).status_code == 403
    assert hosts(sandbox) == [OAUTH]


def test_an_opening_that_cannot_be_read_is_refused_before_any_question(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    failed_proofs.record(portal)
    sandbox.log.clear()
    fields = opening_fields(sandbox, alpha, seed.ADMIN, **{**DEAL_TAB, "PLACEMENT_OPTIONS": "[]"})
    assert post(client, "/", fields).status_code == 400
    assert sandbox.log == []


@pytest.mark.parametrize("kind", ["drop", "html502", "broken_json", "unreachable"])
def test_without_the_oauth_server_people_get_in_and_forgeries_use_no_stored_token(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, kind: str
) -> None:
    failed_proofs.record(portal)
    if kind == "unreachable":
        adapter = transport.mounted_adapter()
        assert isinstance(adapter, SandboxAdapter)
        adapter.unreachable_hosts.add(OAUTH)
    else:
        sandbox.faults.add(Fault(kind, host=OAUTH, times=None))
    sandbox.log.clear()
    assert post(client, "/", forged(sandbox, alpha, 1)).status_code == 403
    assert users_at_the_portal(sandbox) == {None}
    assert post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER)).status_code == 200


def test_without_the_oauth_server_another_apps_token_is_no_proof(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    failed_proofs.record(portal)
    sandbox.faults.add(Fault("html502", host=OAUTH, times=None))
    sandbox.log.clear()
    fields = opening_fields(sandbox, alpha, seed.READER, client_id=seed.OTHER_CLIENT_ID)
    assert post(client, "/", fields).status_code == 504
    assert users_at_the_portal(sandbox) == {seed.READER}


@pytest.mark.parametrize("path", ["/", "/install/"])
def test_a_throttled_oauth_server_is_too_many_requests(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, path: str
) -> None:
    """That proves nothing about the token, so it must not look like a refusal."""
    failed_proofs.record(portal)
    sandbox.faults.add(Fault("query_limit", method="app.info", host=OAUTH, times=None))
    answer = post(client, path, opening_fields(sandbox, alpha, seed.ADMIN))
    assert answer.status_code == 429
    assert "Too many requests" in answer.content.decode()


def test_the_person_whom_the_portal_names_must_be_the_tokens(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, monkeypatch: Any
) -> None:
    failed_proofs.record(portal)
    admin = {"ID": str(seed.ADMIN), "ADMIN": True, "NAME": "Ada", "LAST_NAME": "Admin"}
    monkeypatch.setitem(METHODS, "profile", Method("profile", None, lambda call: admin))
    answer = post(client, "/session/", opening_fields(sandbox, alpha, seed.READER))
    assert answer.status_code == 403


def test_a_portal_that_moved_is_found_by_the_first_question(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    failed_proofs.record(portal)
    alpha.url = "https://renamed.example.com"
    sandbox.log.clear()
    assert post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER)).status_code == 200
    assert (hosts(sandbox)[0], set(hosts(sandbox)[1:])) == (OAUTH, {"renamed.example.com"})


# How many questions one network may cause


def flood(client: Client, sandbox: Sandbox, alpha: Portal, path: str, network: str) -> list[int]:
    """Returns the statuses of more forged openings at once than may be asked about."""
    headers = {"x-forwarded-for": network}
    statuses = []
    with time_machine.travel(timezone.now(), tick=False):
        for number in range(failed_proofs.BURST + 20):
            fields = forged(sandbox, alpha, number)
            statuses.append(client.post(path, fields, headers=headers).status_code)
    return statuses


@pytest.mark.parametrize("path", ["/session/", "/install/"])
def test_a_network_causes_a_bounded_number_of_questions(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    waited: list[float],
    path: str,
) -> None:
    failed_proofs.record(portal)
    sandbox.log.clear()
    statuses = flood(client, sandbox, alpha, path, "192.0.2.7")
    assert hosts(sandbox) == [OAUTH] * statuses.count(403)
    assert waited == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert statuses == [403] * (failed_proofs.BURST + 1 + len(waited)) + [429] * 13
    # People elsewhere are not in that queue.
    answer = client.post(
        "/session/",
        opening_fields(sandbox, alpha, seed.MANAGER),
        headers={"x-forwarded-for": "198.51.100.1"},
    )
    assert answer.status_code == 200


def test_people_of_the_same_network_get_their_turn_soon(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    failed_proofs.record(portal)
    flood(client, sandbox, alpha, "/session/", "192.0.2.7")
    headers = {"x-forwarded-for": "192.0.2.7"}
    fields = opening_fields(sandbox, alpha, seed.MANAGER)
    QuestionPace.objects.update(free_at=F("free_at") + timedelta(minutes=5))
    told = client.post("/session/", fields, headers=headers)
    assert (told.status_code, told.json()["error"]) == (429, "too_many_openings")
    later = timezone.now() + failed_proofs.BURST * failed_proofs.INTERVAL
    QuestionPace.objects.update(free_at=later + failed_proofs.LONGEST_WAIT)
    assert client.post("/session/", fields, headers=headers).status_code == 200


def test_genuine_openings_do_not_count(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    failed_proofs.record(portal)
    before = timezone.now()
    for _ in range(5):
        fields = opening_fields(sandbox, alpha, seed.MANAGER)
        assert post(client, "/session/", fields).status_code == 200
    assert QuestionPace.objects.get().free_at <= timezone.now()
    assert QuestionPace.objects.get().free_at >= before - timedelta(seconds=5)


def test_counters_are_pruned_and_hold_no_address(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    failed_proofs.record(portal)
    headers = {"x-forwarded-for": "192.0.2.7"}
    client.post("/session/", forged(sandbox, alpha, 1), headers=headers)
    assert "192.0.2.7" not in str(list(QuestionPace.objects.values()))
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
