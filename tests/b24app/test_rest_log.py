"""The log of calls: each call and its answer, for some days, in the database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client, override_settings
from django.utils import timezone

from b24app import models
from b24app.errors import NeverSent, OutcomeUnknown
from b24app.models import EventReceipt, RestCall
from b24app.monitoring import rest_log, trace
from b24app.monitoring.exchange import Exchange
from b24app.rest import transport
from b24app.signals import portal_uninstalled, pruning
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install, opening_fields, post
from tests.b24app.rows import installed, pair_of

# Written by another thread, which sees only what is committed.
pytestmark = pytest.mark.django_db(transaction=True)

ENDPOINT = "https://alpha.example.com/rest/"
TIMEOUT = (1.0, 1.0)


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    with override_settings(B24_REST_LOG_DAYS=3):
        yield
    rest_log.flush()


def noted() -> list[RestCall]:
    rest_log.flush()
    return list(RestCall.objects.order_by("pk"))


def called(sandbox: Sandbox, portal: Portal, method: str, **params: Any) -> RestCall:
    """Returns the log's row of one call, made as the manager."""
    token = pair_of(sandbox, portal, seed.MANAGER).access
    with suppress(NeverSent, OutcomeUnknown):
        transport.post_json(
            f"{portal.url}/rest/{method}", {**params, "auth": token}, token=token, timeout=TIMEOUT
        )
    return noted()[-1]


def test_an_opening_is_noted_call_by_call(client: Client, sandbox: Sandbox, alpha: Portal) -> None:
    portal = install(client, sandbox, alpha)
    since, known = len(sandbox.log), len(noted())

    answer = post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))

    calls = noted()[known:]
    assert sorted(call.method for call in calls) == sorted(c.method for c in sandbox.log[since:])
    asked = {name for call in calls for name in call.commands.split(",")}
    assert {"app.info", "profile", "sale.payment.list"} <= asked
    for call in calls:
        assert call.portal_id == portal.pk
        assert call.host == "alpha.example.com"
        assert call.user_id == seed.MANAGER
        assert call.request_id == answer[trace.HEADER]
        assert (call.status, call.code) == (200, "")
        assert call.asked["auth"] == "***"


def test_a_call_of_the_oauth_server_belongs_to_the_portal_it_was_made_for(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.MANAGER)
    models.Portal.objects.update(app_code="changed")
    post(client, "/", fields)
    last = [call for call in noted() if call.host == "oauth.bitrix.info"][-1]
    assert (last.method, last.portal_id) == ("app.info", portal.pk)


def test_the_answer_can_be_read_but_for_what_is_private(sandbox: Sandbox, alpha: Portal) -> None:
    installed(sandbox, alpha)
    call = called(sandbox, alpha, "profile")
    assert call.answered["result"]["ID"] == str(seed.MANAGER)
    assert call.answered["result"]["NAME"] == "***"


def test_an_error_is_noted_with_its_code(sandbox: Sandbox, alpha: Portal) -> None:
    installed(sandbox, alpha)
    sandbox.faults.add(Fault("query_limit", "profile"))
    call = called(sandbox, alpha, "profile")
    assert (call.status, call.code) == (503, "QUERY_LIMIT_EXCEEDED")


@pytest.mark.parametrize(
    ("kind", "status", "code"), [("drop", 0, "OutcomeUnknown"), ("html502", 502, "HTTP 502")]
)
def test_a_call_without_an_answer_is_noted(
    sandbox: Sandbox, alpha: Portal, kind: str, status: int, code: str
) -> None:
    installed(sandbox, alpha)
    sandbox.faults.add(Fault(kind, "profile"))
    call = called(sandbox, alpha, "profile")
    assert (call.status, call.code) == (status, code)
    assert set(call.answered) == {"bytes"}


def test_the_secret_in_a_webhooks_address_is_not_noted(sandbox: Sandbox, alpha: Portal) -> None:
    transport.post_json(f"{alpha.url}/rest/1/{seed.WEBHOOK_CODE}/profile.json", {}, timeout=TIMEOUT)
    call = noted()[-1]
    assert (call.host, call.method) == ("alpha.example.com", "profile")
    assert seed.WEBHOOK_CODE not in str(vars(call))


def test_the_thread_writes_by_itself(sandbox: Sandbox, alpha: Portal) -> None:
    written = threading.Event()
    rows = RestCall.objects.bulk_create

    def save(*args: Any, **kwargs: Any) -> Any:
        written.set()
        return rows(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RestCall.objects, "bulk_create", save)
        transport.post_json(f"{alpha.url}/rest/profile", {}, timeout=TIMEOUT)
        assert written.wait(10)
    assert len(noted()) == 1


def test_what_does_not_fit_is_dropped_and_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_log, "WAITING_CALLS", 3)
    monkeypatch.setattr(rest_log.Writer, "_run", lambda writer: None)
    writer = rest_log.Writer()
    for _ in range(5):
        writer.put(Exchange(ENDPOINT, {}))
    with caplog.at_level(logging.WARNING):
        writer.flush()
    assert "2 calls are not in it" in caplog.text
    assert RestCall.objects.count() == 3


def test_large_answers_count_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_log, "WAITING_BYTES", 100)
    monkeypatch.setattr(rest_log.Writer, "_run", lambda writer: None)
    writer = rest_log.Writer()
    for _ in range(3):
        writer.put(Exchange(ENDPOINT, {}, body=b"x" * 60))
    writer.flush()
    assert [call.answered for call in RestCall.objects.all()] == [{"bytes": 60}]


def test_a_fault_of_the_log_does_not_fail_the_call(
    sandbox: Sandbox, alpha: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(exchange: Exchange) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(rest_log._writer, "put", broken)
    reply = transport.post_json(f"{alpha.url}/rest/profile", {}, timeout=TIMEOUT)
    assert reply.status


@override_settings(B24_REST_LOG_DAYS=0)
def test_nothing_is_kept_where_the_publisher_says_so(sandbox: Sandbox, alpha: Portal) -> None:
    transport.post_json(f"{alpha.url}/rest/profile", {}, timeout=TIMEOUT)
    assert noted() == []


def test_people_are_forgotten_with_their_portal(sandbox: Sandbox, alpha: Portal) -> None:
    portal = installed(sandbox, alpha)
    kept_call(portal=portal, user_id=seed.MANAGER)
    portal_uninstalled.send(sender=models.Portal, portal=portal, clean=False)
    assert list(RestCall.objects.values_list("portal", "user_id")) == [(portal.pk, None)]


def kept_call(*, days: float = 0, **values: Any) -> RestCall:
    values = {"host": "alpha.example.com", "method": "profile", "status": 200, **values}
    return RestCall.objects.create(
        at=timezone.now() - timedelta(days=days),
        milliseconds=1,
        asked={},
        answered={},
        **values,
    )


def receipt(portal: models.Portal, name: str, *, days: float, handled: bool) -> None:
    at = timezone.now() - timedelta(days=days)
    EventReceipt.objects.create(
        portal=portal,
        event=name,
        fingerprint=name,
        received_at=at,
        handled_at=at if handled else None,
    )


def test_prune_deletes_what_is_past_its_time(
    sandbox: Sandbox, alpha: Portal, capsys: pytest.CaptureFixture[str]
) -> None:
    portal = installed(sandbox, alpha)
    young = kept_call(days=2.9)
    RestCall.objects.bulk_create(
        RestCall(
            at=timezone.now() - timedelta(days=3.1),
            host="h",
            method="m",
            status=200,
            milliseconds=1,
            asked={},
            answered={},
        )
        for _ in range(2500)
    )
    receipt(portal, "OLD", days=100, handled=True)
    receipt(portal, "YOUNG", days=80, handled=True)
    receipt(portal, "WAITS", days=100, handled=False)

    call_command("prune")

    assert list(RestCall.objects.all()) == [young]
    assert set(EventReceipt.objects.values_list("event", flat=True)) == {"YOUNG", "WAITS"}
    said = capsys.readouterr().out
    assert "REST log: 2500 calls deleted." in said
    assert "Events: 1 receipts deleted." in said


def test_others_prune_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    def of_others(**kwargs: Any) -> str:
        assert kwargs["now"] <= timezone.now()
        return "Others: 7 deleted."

    def broken(**kwargs: Any) -> str:
        raise ZeroDivisionError

    pruning.connect(broken)
    pruning.connect(of_others)
    try:
        with pytest.raises(CommandError, match="ZeroDivisionError"):
            call_command("prune")
    finally:
        pruning.disconnect(broken)
        pruning.disconnect(of_others)
    assert "Others: 7 deleted." in capsys.readouterr().out
