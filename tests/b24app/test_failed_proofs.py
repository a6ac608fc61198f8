"""Openings that cannot be proved: what they may cost a portal and the OAuth server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from b24app import failed_proofs
from b24app.models import FailedProof, QuestionPace
from sandbox import seed
from sandbox.app import Sandbox
from sandbox.faults import Fault
from sandbox.world import Portal
from tests.b24app.portal_posts import install, opening_fields, post

pytestmark = pytest.mark.django_db

OAUTH = "oauth.bitrix.info"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_proofs, "pause", lambda seconds: None)


def forged(sandbox: Sandbox, alpha: Portal, number: int) -> dict[str, str]:
    return opening_fields(sandbox, alpha, seed.MANAGER, AUTH_ID=f"garbage{number}")


def test_a_flood_of_garbage_spends_nothing_of_the_portals_token(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    post(client, "/", forged(sandbox, alpha, 0))
    sandbox.log.clear()
    for number in range(1, 30):
        assert post(client, "/", forged(sandbox, alpha, number)).status_code == 403
    assert {call.host for call in sandbox.log} == {OAUTH}
    assert len(sandbox.log) == 29


def test_real_people_open_the_app_meanwhile(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    post(client, "/", forged(sandbox, alpha, 0))
    answer = post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert answer.status_code == 200
    assert "163/1" in answer.content.decode()


def test_after_some_minutes_the_screen_is_read_beside_the_proof_again(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    post(client, "/", forged(sandbox, alpha, 0))
    FailedProof.objects.update(last_at=timezone.now() - failed_proofs.LATELY)
    portal.refresh_from_db()
    assert not failed_proofs.lately(portal)
    sandbox.log.clear()
    post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert OAUTH not in {call.host for call in sandbox.log}


def test_one_network_may_cause_so_many_questions_and_no_more(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    for number in range(2):
        post(client, "/", forged(sandbox, alpha, number))
    pace = QuestionPace.objects.latest("free_at")
    limit = failed_proofs.BURST * failed_proofs.INTERVAL + failed_proofs.LONGEST_WAIT
    QuestionPace.objects.filter(pk=pace.pk).update(free_at=timezone.now() + limit * 2)
    sandbox.log.clear()
    answer = post(client, "/", forged(sandbox, alpha, 2))
    assert answer.status_code == 429
    assert "Too many openings" in answer.content.decode()
    assert sandbox.log == []


def test_a_proved_opening_gives_its_turn_back(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    for number in range(2):
        post(client, "/", forged(sandbox, alpha, number))
    pace = QuestionPace.objects.latest("free_at")
    QuestionPace.objects.filter(pk=pace.pk).update(free_at=pace.free_at + timedelta(minutes=1))
    answer = post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert answer.status_code == 200
    before, pace = pace, QuestionPace.objects.get(pk=pace.pk)
    assert pace.free_at == before.free_at + timedelta(minutes=1)


def test_a_portal_that_did_not_fail_is_not_slowed(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal
) -> None:
    install(client, sandbox, alpha)
    other = install(client, sandbox, beta)
    post(client, "/", forged(sandbox, alpha, 0))
    other.refresh_from_db()
    assert not failed_proofs.lately(other)
    assert FailedProof.objects.get().portal.member_id == seed.ALPHA


def test_a_throttled_oauth_server_is_told_as_too_many_requests(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    post(client, "/", forged(sandbox, alpha, 0))
    sandbox.faults.add(Fault("query_limit", "app.info", host=OAUTH, times=None))
    answer = post(client, "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert answer.status_code == 429
    assert answer.json()["error"] != "opening_refused"
