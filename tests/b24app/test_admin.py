"""The publisher's admin: everything can be read, nothing changed; no secret, no frame."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from b24app import models
from b24app.errors import SessionExpired
from b24app.models import EventReceipt, RemovalClaim, RestCall, UserToken
from payments.attempts.pay import pay
from payments.models import Attempt, Erasure
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install, opening_fields, post
from tests.payments import stage
from tests.payments.frames import Frame, offer_in

pytestmark = pytest.mark.django_db

NAME, PASSWORD = "publisher", "correct horse battery staple"
TABLES: dict[str, Any] = {
    "b24app/portal": models.Portal,
    "b24app/eventreceipt": EventReceipt,
    "b24app/restcall": RestCall,
    "b24app/removalclaim": RemovalClaim,
    "payments/attempt": Attempt,
    "payments/erasure": Erasure,
}


@pytest.fixture
def admin() -> Client:
    """The publisher, who has signed in by the form, as a browser does."""
    User.objects.create_superuser(NAME, password=PASSWORD)
    browser = Client(enforce_csrf_checks=True)
    form = browser.get("/admin/login/", secure=True).content.decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    assert found is not None
    fields = {"username": NAME, "password": PASSWORD, "csrfmiddlewaretoken": found[1]}
    answer = browser.post(
        "/admin/login/?next=/admin/",
        fields,
        secure=True,
        headers={"referer": "https://testserver/admin/login/"},
    )
    assert answer.status_code == 302, answer.content.decode()
    return browser


@pytest.fixture
def kept(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    """Stores a row in every table."""
    portal = install(client, sandbox, alpha)
    manager = stage.person(sandbox, portal, seed.MANAGER)
    pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    EventReceipt.objects.create(portal=portal, event="ONAPPUPDATE", fingerprint="f" * 64)
    RemovalClaim.objects.create(portal=portal, state=RemovalClaim.State.REFUSED)
    Erasure.objects.create(
        member_id="0" * 32,
        what=Erasure.What.ALL,
        attempts=1,
        open_attempts=0,
        entries=2,
        last_number=2,
        last_hash="e" * 64,
    )
    RestCall.objects.create(
        portal=portal,
        at=timezone.now(),
        host="alpha.example.com",
        method="profile",
        status=200,
        milliseconds=12,
        asked={"auth": "***"},
        answered={"result": {"ID": 3}},
        request_id="0af7651916cd43dd8448eb211c80319c",
    )
    assert all(table.objects.exists() for table in TABLES.values())
    return portal


def page(admin: Client, path: str, **query: str) -> str:
    answer = admin.get(path, query, secure=True)
    assert answer.status_code == 200, path
    content: str = answer.content.decode()
    return content


def pages(admin: Client) -> dict[str, str]:
    paths = ["/admin/", *(f"/admin/{name}/" for name in TABLES)]
    for name, table in TABLES.items():
        for pk in table.objects.values_list("pk", flat=True):
            paths += [f"/admin/{name}/{pk}/change/", f"/admin/{name}/{pk}/history/"]
    return {path: page(admin, path) for path in paths}


def test_every_table_and_row_can_be_read(admin: Client, kept: models.Portal) -> None:
    shown = pages(admin)
    for name in TABLES:
        assert f"/admin/{name}/" in shown["/admin/"]
    assert "alpha.example.com" in shown["/admin/b24app/portal/"]
    assert "serves the portal" in shown[f"/admin/b24app/portal/{kept.pk}/change/"]


def test_the_admin_stays_in_utc_and_says_so(admin: Client, kept: models.Portal) -> None:
    at = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
    models.Portal.objects.update(time_zone="Asia/Tokyo", installed_at=at)
    for path in ("/admin/", "/admin/b24app/portal/"):
        assert "times in UTC" in page(admin, path)
    assert "Nov. 20, 2026, 10:30 p.m." in page(admin, "/admin/b24app/portal/")


def test_no_page_shows_a_secret(admin: Client, kept: models.Portal, sandbox: Sandbox) -> None:
    secrets = [kept.application_token, seed.OUR_SECRET, "f" * 64, PASSWORD]
    for token in sandbox.world.tokens.values():
        secrets += [token.access, token.refresh]
    for row in UserToken.objects.all():
        secrets += [row.access, row.refresh]
    assert all(secrets)
    for path, content in pages(admin).items():
        assert not [secret for secret in secrets if secret in content], path


def test_nothing_else_is_in_it(admin: Client, kept: models.Portal) -> None:
    for name in ("b24app/usertoken", "auth/user", "auth/group", "sessions/session"):
        assert admin.get(f"/admin/{name}/", secure=True).status_code == 404


@pytest.mark.parametrize("name", TABLES)
def test_nothing_can_be_changed(admin: Client, kept: models.Portal, name: str) -> None:
    before = list(TABLES[name].objects.values())
    pk = TABLES[name].objects.get().pk
    token = admin.cookies["csrftoken"].value
    for path in ("add/", f"{pk}/change/", f"{pk}/delete/", ""):
        fields = {"csrfmiddlewaretoken": token, "post": "yes", "action": "delete_selected"}
        answer = admin.post(
            f"/admin/{name}/{path}",
            {**fields, "_selected_action": str(pk), "domain": "evil.example.com"},
            secure=True,
            headers={"referer": "https://testserver/admin/"},
        )
        assert answer.status_code in (200, 302, 403)
    assert list(TABLES[name].objects.values()) == before


@pytest.mark.parametrize(
    ("name", "query", "found"),
    [
        ("b24app/portal", "alpha", True),
        ("b24app/portal", seed.ALPHA, True),
        ("b24app/portal", "beta", False),
        ("b24app/restcall", "0af7651916cd43dd8448eb211c80319c", True),
        ("b24app/restcall", "profile", True),
        ("b24app/restcall", "batch", False),
        ("b24app/eventreceipt", "ONAPPUPDATE", True),
        ("payments/attempt", str(seed.PAYMENT), True),
        ("payments/attempt", "no number", False),
    ],
)
def test_rows_are_searched_for(
    admin: Client, kept: models.Portal, name: str, query: str, found: bool
) -> None:
    pk = TABLES[name].objects.get().pk
    assert (f"/admin/{name}/{pk}/change/" in page(admin, f"/admin/{name}/", q=query)) is found


@pytest.mark.parametrize(
    ("name", "filters"),
    [
        ("b24app/portal", {"status__exact": "X"}),
        ("b24app/eventreceipt", {"handled_at__isempty": "0"}),
        ("b24app/restcall", {"status__exact": "500"}),
        ("payments/attempt", {"state__exact": "unknown"}),
    ],
)
def test_rows_are_filtered(
    admin: Client, kept: models.Portal, name: str, filters: dict[str, str]
) -> None:
    pk = TABLES[name].objects.get().pk
    assert f"/admin/{name}/{pk}/change/" not in page(admin, f"/admin/{name}/", **filters)


def test_no_frame_shows_it_not_even_its_errors(admin: Client) -> None:
    for path, status in (("/admin/", 200), ("/admin/nowhere/", 404), ("/admin/b24app/x/", 404)):
        answer = admin.get(path, secure=True)
        assert answer.status_code == status
        assert answer["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


def test_its_pages_need_no_exception_from_the_policy(admin: Client, kept: models.Portal) -> None:
    for path, content in pages(admin).items():
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", content), path
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style", content), path


def test_a_stranger_is_asked_to_sign_in(client: Client, kept: models.Portal) -> None:
    for name in TABLES:
        answer = client.get(f"/admin/{name}/", secure=True)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/admin/login/")


def test_a_forged_form_is_refused() -> None:
    User.objects.create_superuser(NAME, password=PASSWORD)
    browser = Client(enforce_csrf_checks=True)
    fields = {"username": NAME, "password": PASSWORD}
    assert browser.post("/admin/login/", fields, secure=True).status_code == 403


def test_cookies_are_for_the_admin_alone(admin: Client) -> None:
    assert {"sessionid", "csrftoken"} <= set(admin.cookies)
    for name in ("sessionid", "csrftoken"):
        cookie = admin.cookies[name]
        assert (cookie["path"], cookie["samesite"]) == ("/admin/", "Strict")
        assert cookie["secure"]
        assert cookie["httponly"]


def test_no_answer_in_a_frame_sets_a_cookie_or_depends_on_one(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    frame = Frame(client, sandbox, alpha, seed.MANAGER)
    fields = {"offer": offer_in(frame.tab()), "pay_system_id": str(seed.ACME_PAY)}
    answers: list[Any] = [
        client.get("/"),
        client.get("/install/"),
        post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER)),
        post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER, member_id="unknown")),
        frame.get(),
        frame.post("/payments/question/", **fields),
        frame.post("/payments/pay/", **fields),
        client.post("/event/"),
        client.get("/nowhere/"),
        client.get("/healthz/"),
        client.get("/metrics"),
    ]
    assert client.cookies == {}
    for answer in answers:
        assert not answer.cookies
        assert "Cookie" not in answer.get("Vary", "")
        # Nor is there anything by which a view could set or read one.
        assert not hasattr(answer.wsgi_request, "session")
        assert not hasattr(answer.wsgi_request, "user")


def test_the_admins_cookie_is_not_a_session_of_a_frame(
    admin: Client, kept: models.Portal, client: Client
) -> None:
    answer = admin.post("/payments/check/", {}, secure=True)
    assert answer.status_code == SessionExpired("x").status
