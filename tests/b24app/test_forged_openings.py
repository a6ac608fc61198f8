"""Openings that no portal sent: no other server is called, nothing is stored, the page refuses.

Everything that a portal posts can be posted by anybody. Each test here runs behind a guard that
writes down every host beyond the sandbox that the app tries to reach, by whichever way.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.test import Client
from requests.adapters import BaseAdapter

from b24app.models import Portal as KnownPortal
from b24app.rest import transport
from sandbox.api.registry import METHODS, Method
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import begin, install, opening_fields, post, stored
from tests.conftest import ALPHA_URL, BETA_URL, OAUTH_URL

pytestmark = pytest.mark.django_db

SANDBOX = {urlsplit(url).netloc for url in (OAUTH_URL, ALPHA_URL, BETA_URL)}

# Hosts that an attacker wants the app to call: their own, the cloud's metadata, internal ones.
ELSEWHERE = [
    "evil.example.com",
    "alpha.example.com.evil.example.com",
    "alpha.example.com@evil.example.com",
    "169.254.169.254",
    "127.0.0.1",
    "127.0.0.1:5432",
    "localhost",
    "[::1]",
    "0x7f000001",
    "10.0.0.1",
]


class Guard(BaseAdapter):
    """Leads sandbox hosts to the sandbox, and all others the way they go in production."""

    def __init__(self, inside: SandboxAdapter) -> None:
        super().__init__()
        self.inside = inside
        self.reached: list[str] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        host = urlsplit(request.url or "").netloc
        if host in SANDBOX:
            return self.inside.send(request, **options)
        self.reached.append(host)
        return transport.ADAPTER.send(request, **options)

    def close(self) -> None:
        self.inside.close()


@pytest.fixture
def reached(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Records every attempt to reach another host than the sandbox's, and blocks it."""
    guard = Guard(SandboxAdapter(sandbox))

    def refuse(*address: Any, **_: Any) -> None:
        guard.reached.append(str(address[-1] if len(address) > 1 else address))
        raise OSError("no test reaches the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    with transport.use_adapter(guard):
        yield guard.reached


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal) -> KnownPortal:
    """Alpha has the app; on Beta it is added, so that its people have tokens of it."""
    begin(sandbox, beta)
    return install(client, sandbox, alpha)


Forgery = Callable[[Sandbox, Portal, Portal], dict[str, str]]


def other_apps_token(sandbox: Sandbox, alpha: Portal, beta: Portal) -> dict[str, str]:
    return opening_fields(sandbox, alpha, seed.ADMIN, client_id=seed.OTHER_CLIENT_ID)


def other_portals_token(sandbox: Sandbox, alpha: Portal, beta: Portal) -> dict[str, str]:
    return opening_fields(sandbox, beta, seed.ADMIN, member_id=alpha.member_id)


def invented_token(sandbox: Sandbox, alpha: Portal, beta: Portal) -> dict[str, str]:
    return opening_fields(sandbox, alpha, seed.ADMIN, AUTH_ID="f" * 70)


def token_of_no_shape(sandbox: Sandbox, alpha: Portal, beta: Portal) -> dict[str, str]:
    return opening_fields(sandbox, alpha, seed.ADMIN, AUTH_ID="undefined")


def revoked_token(sandbox: Sandbox, alpha: Portal, beta: Portal) -> dict[str, str]:
    fields = opening_fields(sandbox, alpha, seed.ADMIN)
    sandbox.world.tokens[fields["AUTH_ID"]].revoked = True
    return fields


def unknown_portal(sandbox: Sandbox, alpha: Portal, beta: Portal) -> dict[str, str]:
    return opening_fields(sandbox, alpha, seed.ADMIN, member_id="0" * 32)


FORGERIES: list[Forgery] = [
    other_apps_token,
    other_portals_token,
    invented_token,
    token_of_no_shape,
    revoked_token,
    unknown_portal,
]


@pytest.mark.parametrize("path", ["/", "/session/", "/install/"])
@pytest.mark.parametrize("forge", FORGERIES)
@pytest.mark.parametrize("domain", ["alpha.example.com", "evil.example.com", "169.254.169.254"])
def test_a_forged_opening_is_refused_and_leaves_no_trace(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    beta: Portal,
    portal: KnownPortal,
    reached: list[str],
    caplog: pytest.LogCaptureFixture,
    path: str,
    forge: Forgery,
    domain: str,
) -> None:
    fields = forge(sandbox, alpha, beta)
    kept = stored()
    with caplog.at_level(logging.WARNING, "b24app.security"):
        answer = post(client, path, fields, domain=domain)
    assert answer.status_code == 403
    assert stored() == kept
    assert reached == []
    assert "X-Frame-Session" not in answer
    told = [record for record in caplog.records if record.name == "b24app.security"]
    assert told
    assert fields["AUTH_ID"] not in caplog.text
    assert fields["REFRESH_ID"] not in caplog.text
    if path != "/session/":
        assert 'data-session="' not in answer.content.decode()
        assert "did not confirm" in answer.content.decode()


@pytest.mark.parametrize("path", ["/", "/session/", "/install/"])
@pytest.mark.parametrize("host", ELSEWHERE)
def test_no_posted_address_is_called_even_with_a_genuine_token(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: KnownPortal,
    reached: list[str],
    path: str,
    host: str,
) -> None:
    fields = opening_fields(sandbox, alpha, seed.ADMIN)
    # Lets the app ask the OAuth server, which is where SERVER_ENDPOINT would lead it.
    alpha.installations[seed.OUR_CLIENT_ID].id += 1
    sandbox.log.clear()
    for endpoint in (f"https://{host}/rest/", f"http://{host}/rest/"):
        fields["SERVER_ENDPOINT"] = endpoint
        answer = post(client, path, fields | {"DOMAIN": host}, domain=host)
        assert answer.status_code in (200, 400)
    assert reached == []
    assert {call.host for call in sandbox.log} <= {"alpha.example.com", "oauth.bitrix.info"}
    portal.refresh_from_db()
    assert portal.client_endpoint == "https://alpha.example.com/rest/"


@pytest.mark.parametrize("path", ["/", "/session/", "/install/"])
@pytest.mark.parametrize("host", ELSEWHERE)
def test_a_forged_token_with_a_forged_address_is_refused(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    beta: Portal,
    portal: KnownPortal,
    reached: list[str],
    path: str,
    host: str,
) -> None:
    """The attacker's host would call the token good, if only it were asked."""
    fields = other_apps_token(sandbox, alpha, beta)
    fields["SERVER_ENDPOINT"] = f"https://{host}/rest/"
    kept = stored()
    answer = post(client, path, fields | {"DOMAIN": host}, domain=host)
    assert answer.status_code in (400, 403)
    assert reached == []
    assert stored() == kept


def test_another_portals_person_of_the_same_number_stays_on_their_portal(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal, reached: list[str]
) -> None:
    """User ids repeat: Beta's administrator is number 1, like Alpha's."""
    on_alpha, _on_beta = (install(client, sandbox, portal) for portal in (alpha, beta))
    fields = opening_fields(sandbox, beta, seed.MANAGER)
    kept = stored()
    assert post(client, "/session/", fields | {"member_id": seed.ALPHA}).status_code == 403
    assert stored() == kept
    assert post(client, "/session/", fields).status_code == 200
    assert not on_alpha.tokens.filter(user_id=seed.MANAGER).exists()
    assert reached == []


@pytest.mark.parametrize("path", ["/", "/session/", "/install/"])
def test_a_portal_that_lies_about_the_person_is_not_believed(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: KnownPortal,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    """Where the OAuth server has to be asked, its word on whose token this is counts."""
    alpha.installations[seed.OUR_CLIENT_ID].id += 1
    admin = {"ID": str(seed.ADMIN), "ADMIN": True, "NAME": "Ada", "LAST_NAME": "Admin"}
    monkeypatch.setitem(METHODS, "profile", Method("profile", None, lambda call: admin))
    kept = stored()
    answer = post(client, path, opening_fields(sandbox, alpha, seed.MANAGER))
    assert answer.status_code == 403
    assert stored() == kept


def test_the_guard_would_see_a_call(sandbox: Sandbox, reached: list[str]) -> None:
    """Proves the guard: with the production adapter, these calls do try to connect."""
    for host in ("evil.example.com", "127.0.0.1"):
        with pytest.raises(Exception):  # noqa: B017 - which one is the transport's own test
            transport.post_json(f"http://{host}/rest/profile", {}, timeout=(1, 1))
    assert "evil.example.com" in reached
    assert "127.0.0.1" in reached
