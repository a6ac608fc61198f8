"""What Prometheus reads, summed over all processes, and who else may."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from b24app.models import EventReceipt
from b24app.monitoring import metrics
from b24app.tokens import oauth
from payments.attempts.pay import pay
from payments.models import State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.rows import pair_of
from tests.payments import stage

pytestmark = pytest.mark.django_db

TOKEN = "metrics-token-of-the-tests"

with_token = override_settings(B24_METRICS_TOKEN=TOKEN)


def scrape(client: Client) -> dict[str, float]:
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    return figures(answer.content.decode())


def figures(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Returns what was counted in between; other tests count in this process as well."""
    return {
        name: value - before.get(name, 0)
        for name, value in after.items()
        if value != before.get(name, 0) and "_total{" in name
    }


@with_token
def test_a_payment_is_counted(client: Client, sandbox: Sandbox, alpha: Portal) -> None:
    manager = stage.person(sandbox, stage.install(sandbox, alpha), seed.MANAGER)
    offer = stage.offer_of(manager)
    before = scrape(client)

    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID

    after = scrape(client)
    counted = grown(before, after)
    assert counted['pay_attempts_total{outcome="paid"}'] == 1
    assert counted[f'pay_rest_calls_total{{code="ok",method="{stage.PAY}"}}'] == 1
    timed = f'pay_rest_seconds_count{{method="{stage.PAY}"}}'
    assert after[timed] - before.get(timed, 0) == 1


@with_token
def test_an_attempt_left_open_is_counted(client: Client, sandbox: Sandbox, alpha: Portal) -> None:
    manager = stage.person(sandbox, stage.install(sandbox, alpha), seed.MANAGER)
    offer = stage.offer_of(manager)
    no_read_back = Fault("drop", stage.READ_BACK, times=9)
    sandbox.faults.add(Fault("drop", stage.PAY, on_hit=lambda: sandbox.faults.add(no_read_back)))
    before = scrape(client)
    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert attempt.state == State.UNKNOWN
    assert grown(before, scrape(client))['pay_attempts_total{outcome="unknown"}'] == 1


@with_token
def test_errors_are_counted_by_their_code(client: Client, sandbox: Sandbox, alpha: Portal) -> None:
    stage.install(sandbox, alpha)
    before = scrape(client)
    refresh = pair_of(sandbox, alpha, seed.MANAGER).refresh
    oauth.refresh(refresh)
    with pytest.raises(Exception, match="invalid_grant"):
        oauth.refresh(refresh)
    assert grown(before, scrape(client)) == {
        'pay_rest_calls_total{code="ok",method="oauth.token"}': 1,
        'pay_rest_calls_total{code="invalid_grant",method="oauth.token"}': 1,
        'pay_token_refreshes_total{result="ok"}': 1,
        'pay_token_refreshes_total{result="invalid_grant"}': 1,
    }


@with_token
def test_the_queue_is_counted_when_asked_for(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    assert scrape(client)["pay_events_waiting"] == 0
    EventReceipt.objects.create(
        portal=stage.install(sandbox, alpha),
        event="ONPAYMENTENTITYSAVED",
        fingerprint="1",
        due_at=timezone.now(),
    )
    assert scrape(client)["pay_events_waiting"] == 1


def test_odd_codes_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_codes_seen", set())
    words = {
        metrics._label(f"CODE_{'A' * (number % 50)}_{number % 1000}") for number in range(5000)
    }
    assert len(words) == metrics.CODES_KEPT + 1
    assert metrics.OTHER in words


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer \u00fc"},
    ],
)
@with_token
def test_other_requests_are_refused(client: Client, headers: dict[str, str]) -> None:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 401
    assert not answer.content


@with_token
def test_the_token_in_the_address_does_not_count(client: Client) -> None:
    assert client.get("/metrics", {"token": TOKEN, "access_token": TOKEN}).status_code == 401


def test_without_a_token_there_is_no_page(client: Client) -> None:
    for headers in ({}, {"Authorization": "Bearer "}):
        assert client.get("/metrics", headers=headers).status_code == 404


@with_token
def test_no_frame_shows_them(client: Client) -> None:
    right: dict[str, Any] = {"Authorization": f"Bearer {TOKEN}"}
    for headers in ({}, right):
        policy = client.get("/metrics", headers=headers)["Content-Security-Policy"]
        assert re.search(r"frame-ancestors 'none'", policy)


def test_all_workers_are_summed(tmp_path: Path) -> None:
    """Each in a process of its own, as gunicorn starts them; the last one is asked."""
    program = (
        "import django; django.setup(); from b24app.monitoring import metrics;"
        "metrics._gauges.clear();"
        "metrics.attempt_ended('paid'); print(metrics.exposition().decode())"
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        metrics.DIRECTORY: str(tmp_path),
    }
    for worker in (1, 2, 3):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert figures(done.stdout)['pay_attempts_total{outcome="paid"}'] == worker
