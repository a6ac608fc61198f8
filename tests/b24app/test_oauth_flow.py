"""Signing in outside the frame, through the portal's own authorization page and back."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.core import signing
from django.test import Client, override_settings

from b24app import models
from b24app.identity import sign_in
from b24app.models import UserToken
from b24app.rest import transport
from b24app.tokens import oauth as oauth_module
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    return install(client, sandbox, alpha)


def start(client: Client, domain: str = "alpha.example.com") -> Any:
    return client.get("/oauth/start/", {"domain": domain})


def authorize(sandbox: Sandbox, address: str, user_id: int) -> dict[str, str]:
    """Follows the address in the person's browser, where they are logged in; returns the
    redirect."""
    with requests.Session() as browser:
        browser.mount("https://", transport.mounted_adapter())
        answer = browser.get(address, cookies={"user": str(user_id)}, allow_redirects=False)
    assert answer.status_code == 302
    back = urlsplit(answer.headers["Location"])
    assert back.netloc == "pay.example.com"
    return {name: values[0] for name, values in parse_qs(back.query).items()}


def test_a_manager_signs_in(client: Client, sandbox: Sandbox, portal: models.Portal) -> None:
    began = start(client)
    assert began.status_code == 302
    assert began["Location"].startswith("https://alpha.example.com/oauth/authorize/?")
    back = authorize(sandbox, began["Location"], seed.MANAGER)
    done = client.get("/oauth/callback/", back)
    assert done.status_code == 200
    row = UserToken.objects.get(portal=portal, user_id=seed.MANAGER)
    assert not row.serves_portal
    assert sandbox.world.tokens[row.access].user_id == seed.MANAGER
    assert row.access not in done.content.decode()
    assert not done.cookies[sign_in.COOKIE].value
    # A page of the whole window: it cannot be framed.
    assert "frame-ancestors 'none'" in done["Content-Security-Policy"]


def test_the_state_is_bound_to_the_browser_by_a_cookie_for_the_callback_alone(
    client: Client, sandbox: Sandbox, portal: models.Portal
) -> None:
    cookie = start(client).cookies[sign_in.COOKIE]
    assert cookie["secure"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/oauth/callback/"
    assert cookie["max-age"] == 600
    with override_settings(APP_URL="http://localhost:8000"):
        assert not start(client).cookies[sign_in.COOKIE]["secure"]


def refused(answer: Any) -> bool:
    return answer.status_code == 403 and "Start again" in answer.content.decode()


def test_a_state_is_good_once(client: Client, sandbox: Sandbox, portal: models.Portal) -> None:
    began = start(client)
    back = authorize(sandbox, began["Location"], seed.MANAGER)
    assert client.get("/oauth/callback/", back).status_code == 200
    kept = stored()
    client.cookies[sign_in.COOKIE] = began.cookies[sign_in.COOKIE].value
    again = authorize(sandbox, began["Location"], seed.MANAGER)
    assert refused(client.get("/oauth/callback/", again))
    assert stored() == kept


@pytest.mark.parametrize(
    "cookie",
    ["", "nonsense", signing.dumps({"state": "s", "portal": 1})],
    ids=["none", "nonsense", "another salt"],  # the last holds the time, so workers would differ
)
def test_a_forged_state_is_refused(
    client: Client, sandbox: Sandbox, portal: models.Portal, cookie: str
) -> None:
    back = authorize(sandbox, start(client)["Location"], seed.MANAGER)
    client.cookies[sign_in.COOKIE] = cookie
    kept = stored()
    sandbox.log.clear()
    assert refused(client.get("/oauth/callback/", back))
    assert stored() == kept
    assert sandbox.log == []


def test_the_answer_to_another_browsers_question_is_refused(
    client: Client, sandbox: Sandbox, portal: models.Portal
) -> None:
    """An attacker's code in a victim's browser would keep the attacker's tokens as theirs."""
    attacker = Client()
    back = authorize(sandbox, start(attacker)["Location"], seed.READER)
    assert refused(client.get("/oauth/callback/", back))
    start(client)
    assert refused(client.get("/oauth/callback/", back))


def test_a_state_lasts_ten_minutes(
    client: Client,
    sandbox: Sandbox,
    portal: models.Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    back = authorize(sandbox, start(client)["Location"], seed.MANAGER)
    later = SimpleNamespace(time=lambda: time.time() + 601)
    monkeypatch.setattr(signing, "time", later)
    assert refused(client.get("/oauth/callback/", back))


@pytest.mark.parametrize(
    "domain", ["evil.example.com", "beta.example.com", "169.254.169.254", "localhost:5432"]
)
def test_no_one_is_sent_to_a_portal_without_the_app(
    client: Client, sandbox: Sandbox, portal: models.Portal, domain: str
) -> None:
    answer = start(client, domain)
    assert answer.status_code == 403
    assert "not installed in this Bitrix24" in answer.content.decode()
    assert "Location" not in answer


@pytest.mark.parametrize(
    "domain",
    [
        "",
        "https://alpha.example.com",
        "alpha.example.com/path",
        "alpha.example.com?x",
        "user@alpha.example.com",
        "alpha..example.com",
        "-alpha.example.com",
        "alpha.example.com:port",
        "a" * 300,
        "alpha.example.com\nevil",
        "[::1]",
    ],
)
def test_what_is_no_host_is_a_bad_request(
    client: Client, portal: models.Portal, domain: str
) -> None:
    assert start(client, domain).status_code == 400


def test_case_and_spaces_do_not_matter(client: Client, portal: models.Portal) -> None:
    assert start(client, " Alpha.Example.COM ").status_code == 302


def test_a_code_of_another_portal_is_refused(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal, portal: models.Portal
) -> None:
    install(client, sandbox, beta)
    state = parse_qs(urlsplit(start(client)["Location"]).query)["state"][0]
    other = start(Client(), "beta.example.com")["Location"]
    code = authorize(sandbox, other, seed.MANAGER)["code"]
    answer = client.get("/oauth/callback/", {"code": code, "state": state})
    assert answer.status_code == 403
    assert not UserToken.objects.filter(user_id=seed.MANAGER).exists()


@pytest.mark.parametrize("code", ["unknown", "two words", ""])
def test_a_wrong_code_keeps_nothing(
    client: Client, sandbox: Sandbox, portal: models.Portal, code: str
) -> None:
    state = parse_qs(urlsplit(start(client)["Location"]).query)["state"][0]
    answer = client.get("/oauth/callback/", {"code": code, "state": state})
    assert answer.status_code in (400, 401)
    assert UserToken.objects.count() == 1


@pytest.mark.parametrize(("seconds", "kept"), [(25, True), (31, False)])
def test_a_code_lasts_thirty_seconds(
    client: Client, sandbox: Sandbox, portal: models.Portal, seconds: int, kept: bool
) -> None:
    back = authorize(sandbox, start(client)["Location"], seed.MANAGER)
    sandbox.world.advance(seconds)
    answer = client.get("/oauth/callback/", back)
    assert UserToken.objects.filter(user_id=seed.MANAGER).exists() is kept
    assert answer.status_code == (200 if kept else 401)
    # A page of its own, which has no frame to close: it advises to start again.
    assert kept or "Start again." in answer.content.decode()


def test_a_code_that_was_used_says_so(
    client: Client, sandbox: Sandbox, portal: models.Portal
) -> None:
    """The state is new and good, the code is not: it was used before."""
    used = authorize(sandbox, start(client)["Location"], seed.MANAGER)["code"]
    state = parse_qs(urlsplit(start(client)["Location"]).query)["state"][0]
    oauth_module.exchange_code(used)
    answer = client.get("/oauth/callback/", {"code": used, "state": state})
    assert answer.status_code == 401
    assert "Start again." in answer.content.decode()
    assert not UserToken.objects.filter(user_id=seed.MANAGER).exists()


def test_one_state_sent_twice_at_once_is_good_once(
    client: Client, sandbox: Sandbox, portal: models.Portal
) -> None:
    """The second one comes while the first still waits for the OAuth server."""
    back = authorize(sandbox, start(client)["Location"], seed.MANAGER)
    answers: list[Any] = []

    def again() -> None:
        answers.append(client.get("/oauth/callback/", back))

    sandbox.faults.add(Fault("delay", method="oauth.token", seconds=0, on_hit=again))
    answers.append(client.get("/oauth/callback/", back))
    assert sorted(answer.status_code for answer in answers) == [200, 403]
    assert UserToken.objects.filter(user_id=seed.MANAGER).count() == 1


def test_an_outage_is_reported(client: Client, sandbox: Sandbox, portal: models.Portal) -> None:
    back = authorize(sandbox, start(client)["Location"], seed.MANAGER)
    sandbox.faults.add(Fault("drop", method="oauth.token"))
    assert client.get("/oauth/callback/", back).status_code == 504
    assert UserToken.objects.count() == 1


def test_a_code_at_the_apps_own_address_is_sent_on(
    client: Client, sandbox: Sandbox, portal: models.Portal
) -> None:
    """Bitrix24 returns people to the one address that a local application has."""
    back = authorize(sandbox, start(client)["Location"], seed.MANAGER)
    answer: Any = client.get("/install/", back, follow=True)
    assert answer.redirect_chain[0][0].startswith("/oauth/callback/?code=")
    assert answer.status_code == 200
    assert UserToken.objects.filter(portal=portal, user_id=seed.MANAGER).exists()
