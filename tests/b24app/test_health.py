"""Tests the two health checks, which call no portal."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection
from django.test import Client

from sandbox.server.app import Sandbox


def test_the_process_answers_without_a_database(client: Client, sandbox: Sandbox) -> None:
    assert client.get("/healthz/").json() == {"status": "ok"}
    assert sandbox.log == []


@pytest.mark.django_db
def test_the_database_answers(client: Client, sandbox: Sandbox) -> None:
    assert client.get("/readyz/").status_code == 200
    assert client.head("/readyz/").status_code == 200
    assert sandbox.log == []


@pytest.mark.django_db
def test_it_reports_when_the_database_does_not(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise DatabaseError("could not connect to 10.0.0.5")

    monkeypatch.setattr(connection, "cursor", broken)
    answer = client.get("/readyz/")
    assert answer.status_code == 503
    assert "10.0.0.5" not in answer.content.decode()
    assert client.get("/healthz/").status_code == 200
