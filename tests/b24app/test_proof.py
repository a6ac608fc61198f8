"""The answers that a portal and the OAuth server may give to a proof."""

from __future__ import annotations

import pytest
from django.test import Client, RequestFactory

from b24app import models
from b24app.identity.opening import read_opening
from b24app.rest import transport
from sandbox.api.faults import Fault
from sandbox.api.registry import METHODS, Method
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install, opening_fields, post, stored

pytestmark = pytest.mark.django_db

OAUTH = "oauth.bitrix.info"


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    return install(client, sandbox, alpha)


def telling(monkeypatch: pytest.MonkeyPatch, method: str, result: object) -> None:
    """Makes the portal return this result to every caller."""
    monkeypatch.setitem(METHODS, method, Method(method, None, lambda call: result))


PROFILES: list[tuple[object, int]] = [
    ({}, 401),  # Of a dismissed user.
    ([], 401),
    (None, 504),
    ("text", 504),
    ([1], 504),
    ({"ID": "1"}, 504),
    ({"ID": None, "ADMIN": True}, 504),
    ({"ID": "1", "ADMIN": "Y"}, 504),
    ({"ID": "one", "ADMIN": True}, 504),
    ({"ID": "-1", "ADMIN": True}, 504),
    ({"ID": 0, "ADMIN": True}, 504),
    ({"ID": "1\x00", "ADMIN": True}, 504),
    ({"ID": "٣", "ADMIN": True}, 504),
    ({"ID": 10**30, "ADMIN": True}, 504),
]


@pytest.mark.parametrize(("result", "status"), PROFILES, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("path", ["/session/", "/", "/install/"])
def test_an_unclear_profile_is_refused(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    result: object,
    status: int,
) -> None:
    telling(monkeypatch, "profile", result)
    kept = stored()
    answer = post(client, path, opening_fields(sandbox, alpha, seed.ADMIN))
    assert answer.status_code == status
    assert stored() == kept


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        {},
        {"ID": 1},
        {"ID": "one", "CODE": "x"},
        {"ID": 10**30, "CODE": "x"},
        {"ID": 1, "CODE": None},
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.parametrize("path", ["/session/", "/install/"])
def test_an_app_that_says_nothing_clear_is_not_ours(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    result: object,
) -> None:
    telling(monkeypatch, "app.info", result)
    kept = stored()
    assert post(client, path, opening_fields(sandbox, alpha, seed.ADMIN)).status_code == 504
    assert stored() == kept


def test_a_proof_is_made_of_two_answers(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    fields = opening_fields(sandbox, alpha, seed.MANAGER)
    opening = read_opening(RequestFactory().post("/session/", fields))
    with pytest.raises(RuntimeError, match="add_proof"):
        opening.prove()


def test_a_portal_that_is_away_and_has_not_moved_is_an_outage(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
    adapter = transport.mounted_adapter()
    assert isinstance(adapter, SandboxAdapter)
    adapter.unreachable_hosts.add("alpha.example.com")
    kept = stored()
    answer = post(client, "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert (answer.status_code, answer.json()["error"]) == (503, "never_sent")
    assert stored() == kept


def test_a_redirect_of_a_portal_that_has_not_moved_is_reported_and_not_followed(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    sandbox.faults.add(Fault("redirect", host="alpha.example.com", times=None))
    sandbox.log.clear()
    kept = stored()
    answer = post(client, "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert (answer.status_code, answer.json()["error"]) == (504, "portal_moved")
    assert [call.host for call in sandbox.log] == ["alpha.example.com", OAUTH]
    assert stored() == kept


def test_a_throttled_oauth_server_is_not_a_refusal(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """Also where it is asked because the portal knows the app by another number."""
    alpha.installations[seed.OUR_CLIENT_ID].id += 1
    sandbox.faults.add(Fault("query_limit", method="app.info", host=OAUTH, times=None))
    answer = post(client, "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert (answer.status_code, answer.json()["error"]) == (429, "QUERY_LIMIT_EXCEEDED")
