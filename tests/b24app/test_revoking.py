"""`manage.py revoke`: a portal's tokens and sessions end, and how they come back."""

from __future__ import annotations

import logging
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from b24app import models
from b24app.checks import keys_open_what_is_stored
from b24app.identity import session
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install, opening_fields, post, session_of, stored

pytestmark = pytest.mark.django_db

LOST_KEY = "bG9zdC1sb3N0LWxvc3QtbG9zdC1sb3N0LWxvc3QtMDE="


def revoke(name: str) -> str:
    output = StringIO()
    call_command("revoke", name, stdout=output)
    return output.getvalue()


def listed(client: Client, value: str) -> int:
    return client.get("/payments/", headers={session.HEADER: value}).status_code


@pytest.mark.parametrize("name", ["alpha.example.com", "Alpha.Example.com", seed.ALPHA])
def test_tokens_are_gone_and_sessions_are_refused_at_once(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    portal = install(client, sandbox, alpha)
    value = session_of(client, sandbox, alpha, seed.MANAGER)
    assert listed(client, value) == 200
    kept = stored()["UserToken"]

    with caplog.at_level(logging.WARNING, "b24app.security"):
        told = revoke(name)

    assert "alpha.example.com: 2 pairs of tokens deleted" in told
    assert len(kept) == 2
    assert not portal.tokens.exists()
    portal.refresh_from_db()
    assert portal.application_token == ""
    assert listed(client, value) == 401
    # Also once the person has opened the app again: the old page stays refused.
    again = session_of(client, sandbox, alpha, seed.MANAGER)
    assert (listed(client, again), listed(client, value)) == (200, 401)
    said = [record.message for record in caplog.records if record.name == "b24app.security"]
    assert f"portal revoked: 2 pairs deleted (member_id {seed.ALPHA})" in said


def test_another_portal_does_not_notice(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal
) -> None:
    install(client, sandbox, alpha)
    other = install(client, sandbox, beta)
    value = session_of(client, sandbox, beta, seed.MANAGER)
    revoke("alpha.example.com")
    assert listed(client, value) == 200
    other.refresh_from_db()
    assert other.application_token


def test_an_administrators_opening_makes_it_whole_again(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    revoke(seed.ALPHA)
    assert post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER)).status_code == 200
    assert not portal.tokens.filter(serves_portal=True).exists()

    assert post(client, "/", opening_fields(sandbox, alpha, seed.ADMIN)).status_code == 200
    assert portal.tokens.get(serves_portal=True).user_id == seed.ADMIN
    portal.refresh_from_db()
    assert portal.application_token


def test_it_works_where_the_keys_are_lost(
    client: Client, sandbox: Sandbox, alpha: Portal, settings: Settings
) -> None:
    install(client, sandbox, alpha)
    settings.B24_TOKEN_KEYS = [LOST_KEY]
    assert [found.id for found in keys_open_what_is_stored(None, ["default"])] == ["b24app.E010"]
    revoke(seed.ALPHA)
    assert keys_open_what_is_stored(None, ["default"]) == []
    assert post(client, "/", opening_fields(sandbox, alpha, seed.ADMIN)).status_code == 200


def test_a_name_that_is_nobodys_or_two_portals_is_refused(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    with pytest.raises(CommandError, match="No portal"):
        revoke("gamma.example.com")
    # Renamed away, and another portal took the name.
    models.Portal.objects.create(
        member_id="second", domain=portal.domain, installed_at=timezone.now()
    )
    with pytest.raises(CommandError, match="More than one portal") as told:
        revoke(portal.domain)
    assert seed.ALPHA in str(told.value)
    assert portal.tokens.exists()
