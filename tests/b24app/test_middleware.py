"""Middleware: who may frame an answer, and how an error looks to each kind of reader."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import include, path

from b24app import errors
from b24app.errors import B24Error, error_from_answer
from b24app.errors.messages import SENTENCES
from b24app.identity import session
from b24app.models import Portal as KnownPortal
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install, opening_fields, post, session_of

pytestmark = pytest.mark.django_db

FAILURES: dict[str, Exception] = {
    "missing": errors.Missing("payment 271 of another portal"),
    "unknown": errors.OutcomeUnknown("the connection was dropped by 10.0.0.5"),
    "never-sent": errors.NeverSent("no route"),
    "forbidden-address": errors.AddressForbidden("10.0.0.5"),
    "limit": errors.QueryLimit("QUERY_LIMIT_EXCEEDED", "Too many requests", 503),
    "not-found": Http404("no such thing"),
    "denied": PermissionDenied("internal reason"),
    "suspicious": SuspiciousOperation("internal reason"),
    "bug": ZeroDivisionError("secret-in-a-traceback"),
    "server-text": errors.Refused("<b>CODE</b>" * 50, "<script>alert(1)</script>", 400),
}


def fail(request: HttpRequest, name: str) -> HttpResponse:
    raise FAILURES[name]


urlpatterns = [path("fail/<str:name>/", fail), path("", include("b24app.urls"))]
handler400 = "b24app.web.error_pages.bad_request"
handler403 = "b24app.web.error_pages.forbidden"
handler404 = "b24app.web.error_pages.not_found"
handler500 = "b24app.web.error_pages.server_error"

with_failures = pytest.mark.urls(__name__)


@pytest.fixture
def browser(client: Client) -> Client:
    client.raise_request_exception = False
    return client


def ancestors(answer: Any) -> str:
    found = re.search(r"frame-ancestors ([^;]*)", answer["Content-Security-Policy"])
    assert found is not None
    return found[1]


def test_only_the_persons_own_portal_frames_their_page(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal
) -> None:
    for portal in (alpha, beta):
        install(client, sandbox, portal)
        answer = post(client, "/", opening_fields(sandbox, portal, seed.MANAGER))
        assert ancestors(answer) == portal.url
        assert "X-Frame-Options" not in answer
        assert answer["Cache-Control"] == "no-store"


def test_a_portal_on_this_machine_is_named_with_its_scheme_and_port(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    value = session_of(client, sandbox, alpha, seed.ADMIN)
    KnownPortal.objects.update(client_endpoint="http://127.0.0.1:8001/rest/")
    answer = client.post("/install/finish/", headers={session.HEADER: value})
    assert ancestors(answer) == "http://127.0.0.1:8001"


def test_an_opening_that_is_refused_can_be_read_wherever_it_is_framed(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.MANAGER, AUTH_ID="f" * 70)
    answer = post(client, "/", fields)
    assert answer.status_code == 403
    assert ancestors(answer) == "*"


def test_pages_outside_the_frame_are_not_framed(client: Client) -> None:
    assert ancestors(client.get("/healthz/")) == "'none'"


def test_the_policy_allows_no_inline_script_and_no_style(client: Client) -> None:
    policy = client.get("/")["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert client.get("/")["Referrer-Policy"] == "no-referrer"


@with_failures
@pytest.mark.parametrize(
    "name, status, code, retry",
    [
        ("missing", 404, "missing", False),
        ("unknown", 504, "outcome_unknown", True),
        ("never-sent", 503, "never_sent", True),
        ("forbidden-address", 503, "address_forbidden", False),
        ("limit", 429, "QUERY_LIMIT_EXCEEDED", True),
        ("not-found", 404, "not_found", False),
        ("denied", 403, "forbidden", False),
        ("suspicious", 400, "bad_request", False),
        ("bug", 500, "server_error", True),
    ],
)
def test_every_failure_becomes_a_page_or_a_fragment(
    browser: Client, name: str, status: int, code: str, retry: bool
) -> None:
    page: Any = browser.post(f"/fail/{name}/")
    fragment: Any = browser.post(f"/fail/{name}/", headers={"hx-request": "true"})
    for answer, template in ((page, "error.html"), (fragment, "error_message.html")):
        assert answer.status_code == status
        assert answer.templates[0].name == f"b24app/web/{template}"
        assert (answer.context["code"], answer.context["status"]) == (code, status)
        assert answer.context["retry"] is retry
        assert str(answer.context["sentence"]) in unescape(answer.content.decode())
        assert ancestors(answer) == "*"
    assert "<html" in page.content.decode()
    assert "<html" not in fragment.content.decode()
    assert ("data-retry" in page.content.decode()) is retry
    # Only what a portal has posted can be posted again.
    assert "data-retry" not in browser.get(f"/fail/{name}/").content.decode()


@with_failures
@pytest.mark.parametrize("name", sorted(FAILURES))
def test_no_page_says_more_than_it_should(browser: Client, name: str) -> None:
    shown = browser.get(f"/fail/{name}/").content.decode()
    for inside in ("Traceback", "10.0.0.5", "internal reason", "secret-in-a-traceback", "271"):
        assert inside not in shown
    assert "<script>alert" not in shown
    assert "<b>CODE" not in shown


@with_failures
def test_an_unknown_address_and_an_unknown_host(browser: Client) -> None:
    assert browser.get("/wp-login.php").status_code == 404
    assert browser.get("/", headers={"host": "evil.example.com"}).status_code == 400


def test_a_wrong_method_is_reported_too(client: Client) -> None:
    answer = client.put("/install/")
    assert answer.status_code == 405
    assert answer["Allow"] == "GET, HEAD, POST"
    assert "cannot be opened like this" in answer.content.decode()


@pytest.mark.parametrize("path_", ["/session/", "/install/finish/", "/event/"])
def test_programs_are_answered_in_json(client: Client, path_: str) -> None:
    for answer in (client.post(path_), client.get(path_)):
        assert answer["Content-Type"] == "application/json"
        assert set(answer.json()) == {"error", "sentence"}


@with_failures
def test_limits_and_denials_are_in_the_security_log(
    browser: Client, caplog: pytest.LogCaptureFixture
) -> None:
    browser.get("/fail/limit/")
    browser.post("/install/finish/")
    browser.get("/fail/unknown/")
    told = [record.getMessage() for record in caplog.records if record.name == "b24app.security"]
    assert any("QueryLimit" in line for line in told)
    assert any("SessionExpired" in line for line in told)
    assert not any("OutcomeUnknown" in line for line in told)


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_every_known_code_has_its_message(
    browser: Client, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error: B24Error = error_from_answer(code, "the server's own text", 400)
    monkeypatch.setitem(FAILURES, "known", error)
    with override_settings(ROOT_URLCONF=__name__):
        answer = browser.get("/fail/known/", headers={"hx-request": "true"})
    assert answer.status_code == error.status
    assert "the server's own text" not in answer.content.decode()


def test_the_answer_carries_no_cookie_and_no_code_sets_one() -> None:
    """Only the sign-in outside the frame has a cookie."""
    setters = {
        file.name
        for package in ("b24app", "payments")
        for file in (Path(settings.BASE_DIR) / package).rglob("*.py")
        if "set_cookie" in file.read_text() or "set_signed_cookie" in file.read_text()
    }
    assert setters == {"sign_in.py"}
