"""The language of a frame: the portal names it once, and every later page uses it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import signing
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils import timezone, translation
from django.utils.translation import gettext

from b24app.identity import session
from b24app.identity.session import Person
from b24app.localization import languages
from b24app.rest.pool import run_all
from b24app.web import middleware
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import FORM, install, opening_fields


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("en", "en"),
        ("ru", "ru"),
        ("de", "de"),
        ("la", "es"),
        ("es", "es"),
        ("br", "pt-br"),
        ("pt_BR", "pt-br"),
        ("fr", "fr"),
        ("pl", "pl"),
        ("tr", "tr"),
        ("DE", "de"),
        ("ua", "en"),
        ("ja", "en"),
        ("", "en"),
        ("xx", "en"),
        ("../../etc/passwd", "en"),
        ("de\r\nX-Header: 1", "en"),
        ("d" * 100_000, "en"),
    ],
)
def test_a_portals_code_means_one_of_the_apps_languages(code: str, language: str) -> None:
    assert languages.of_portal(code) == language


def asked(path: str = "/", *, browser: str = "", value: str = "", **query: str) -> HttpRequest:
    headers = {"Accept-Language": browser, session.HEADER: value}
    return RequestFactory().get(path, query, headers={k: v for k, v in headers.items() if v})


def test_outside_a_portal_the_browser_is_asked_inside_the_portal() -> None:
    assert middleware.language_of(asked(browser="fr-CH, fr;q=0.9")) == "fr"
    assert middleware.language_of(asked(browser="fr", LANG="la")) == "es"
    assert middleware.language_of(asked(browser="fr", LANG="ua")) == "en"
    assert middleware.language_of(asked(browser="xx")) == "en"
    assert middleware.language_of(asked("/admin/", browser="fr")) == "en"
    assert middleware.language_of(asked(browser="fr", value="forged:value")) == "fr"


def opened(client: Client, path: str, fields: dict[str, str], language: str) -> Any:
    return client.post(
        f"{path}?{urlencode({'LANG': language})}",
        urlencode(fields),
        content_type=FORM,
        headers={"Accept-Language": "fr"},
    )


@pytest.fixture
def german(client: Client, sandbox: Sandbox, alpha: Portal) -> str:
    """A session that began in a German portal."""
    install(client, sandbox, alpha)
    page = opened(client, "/", opening_fields(sandbox, alpha, seed.MANAGER), "de")
    assert page.status_code == 200
    assert '<html lang="de">' in page.content.decode()
    value: str = page.context["frame_session"]
    return value


def german_words(english: str) -> str:
    with translation.override("de"):
        return gettext(english)


@pytest.mark.django_db
def test_the_session_keeps_the_language_whatever_the_browser_prefers(
    client: Client, german: str
) -> None:
    headers = {session.HEADER: german, "HX-Request": "true", "Accept-Language": "fr"}
    answer = client.get("/payments/", headers=headers)
    assert answer.status_code == 200
    assert answer["Content-Language"] == "de"


@pytest.mark.django_db
def test_a_session_in_a_field_brings_its_language_too(client: Client, german: str) -> None:
    for path in ("/payments/history/export/", "/payments/history/print/"):
        answer = client.post(path, {session.FIELD: german}, headers={"Accept-Language": "fr"})
        assert answer.status_code == 200
        assert answer["Content-Language"] == "de"
        if answer.streaming:  # An export holds the portal's one place until it is read.
            b"".join(answer)


@pytest.mark.django_db
def test_a_file_that_is_read_after_its_request_is_in_the_language_of_its_request(
    client: Client, german: str
) -> None:
    answer = client.post("/payments/history/export/", {session.FIELD: german})
    assert translation.get_language() == "en"
    text = b"".join(answer).decode()
    assert german_words("Payment system") in text.splitlines()[0]
    assert translation.get_language() == "en"


@pytest.mark.django_db
def test_a_renewed_session_goes_on_in_its_language(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    person = Person(portal, seed.ADMIN, proved_at=timezone.now())
    with translation.override("ru"):
        old = session.sign(person, issued_at=timezone.now() - timedelta(minutes=11))
    answer = client.post("/install/finish/", headers={session.HEADER: old})
    assert session.language_in(answer[session.HEADER]) == "ru"


@pytest.mark.django_db
def test_a_session_that_is_over_is_reopened_in_its_language(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    person = Person(portal, seed.MANAGER, proved_at=timezone.now() - timedelta(hours=13))
    with translation.override("pl"):
        over = session.sign(person, issued_at=timezone.now() - timedelta(hours=13))
    refused = client.post("/install/finish/", headers={session.HEADER: over})
    assert refused.status_code == 401
    assert refused["Content-Language"] == "pl"
    answer = client.post(
        "/session/", opening_fields(sandbox, alpha, seed.MANAGER), headers={session.HEADER: over}
    )
    assert session.language_in(answer.json()["session"]) == "pl"


@pytest.mark.django_db
def test_a_session_of_an_older_version_is_over(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    now = int(timezone.now().timestamp())
    old = signing.Signer(salt="b24app.session").sign_object([portal.pk, seed.ADMIN, now, now, 0])
    answer = client.post("/install/finish/", headers={session.HEADER: old})
    assert answer.status_code == 401


@pytest.mark.django_db
def test_a_tab_is_named_in_each_persons_language(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    alpha.language = "de"
    install(client, sandbox, alpha)
    titles = {row["title"] for row in alpha.installations[seed.OUR_CLIENT_ID].placements}
    assert titles == {german_words("Payments"), german_words("Pay…")}


@pytest.mark.django_db
def test_errors_are_in_the_language_as_pages_fragments_and_json(
    client: Client, german: str
) -> None:
    page = opened(client, "/", {"AUTH_ID": "nonsense"}, "de")
    assert page.status_code == 400
    assert '<html lang="de">' in page.content.decode()
    assert german_words("This did not work") in page.content.decode()
    missing = client.get("/nothing/", headers={session.HEADER: german, "HX-Request": "true"})
    assert missing.status_code == 404
    sentence = "There is no such page. Open the app from the menu of your Bitrix24."
    assert german_words(sentence) in missing.content.decode()
    told = client.post("/session/", {}, headers={session.HEADER: german})
    assert told.status_code == 400
    assert told["Content-Language"] == "de"
    assert told.json()["sentence"] == german_words(
        "This request is not complete. Nothing was done. Reload the page."
    )


@pytest.mark.django_db
def test_no_language_is_left_behind_for_the_next_request(client: Client, german: str) -> None:
    client.raise_request_exception = False
    for path in ("/payments/", "/nothing/", "/payments/pay/"):
        client.get(path, headers={session.HEADER: german})
        assert translation.get_language() == "en"
    assert client.get("/nothing/")["Content-Language"] == "en"


def test_what_runs_beside_a_request_speaks_its_language() -> None:
    heard: dict[str, tuple[str, str]] = {}

    def listen(name: str) -> None:
        barrier.wait(timeout=10)
        heard[name] = (translation.get_language(), threading.current_thread().name)

    barrier = threading.Barrier(2)
    with translation.override("tr"):
        run_all([lambda: listen("first"), lambda: listen("second")])
    assert {language for language, _thread in heard.values()} == {"tr"}
    assert len({thread for _language, thread in heard.values()}) == 2
