"""The licence agreement and the privacy policy: public, in eight languages, with the publisher."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django.utils import timezone, translation

from b24app.settings import BASE_DIR
from b24app.web.legal import TITLES, language_for

LANGUAGES = dict(settings.LANGUAGES)
PUBLISHER = {
    "PUBLISHER_NAME": "Nordlicht & Söhne",
    "PUBLISHER_ADDRESS": "3 Made-up Road",
    "PUBLISHER_EMAIL": "law@example.com",
}


@pytest.mark.parametrize("kind", TITLES)
@pytest.mark.parametrize("code", LANGUAGES)
def test_each_opens_in_a_plain_browser_and_names_the_publisher(kind: str, code: str) -> None:
    with override_settings(**PUBLISHER):
        answer = Client().get(f"/legal/{kind}/", {"lang": code})
    text = answer.content.decode()
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert answer["Content-Language"] == code
    assert f'<html lang="{code}">' in text
    with translation.override(code):
        assert str(TITLES[kind]) in text
    for said in ("Nordlicht &amp; Söhne", "3 Made-up Road", "law@example.com", "Pay for Bitrix24"):
        assert said in text
    others = set(re.findall(r'hreflang="([a-z-]+)"', text))
    assert others == set(LANGUAGES) - {code}
    assert not answer.cookies


def test_each_text_has_the_same_sections_in_every_language() -> None:
    for kind in TITLES:
        folder = Path(BASE_DIR, "templates/b24app/web/legal", kind)
        sections = {code: (folder / f"{code}.html").read_text().count("<h2>") for code in LANGUAGES}
        assert len(set(sections.values())) == 1, sections


@pytest.mark.parametrize(
    "asked, accepted, code",
    [
        ("de", "fr", "de"),
        ("la", "", "es"),
        ("br", "", "pt-br"),
        ("", "pt-PT,en;q=0.5", "pt-br"),
        ("", "nl, tr;q=0.8, en;q=0.4", "tr"),
        ("../../etc", "", "en"),
        ("", "", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_or_accepted(
    asked: str, accepted: str, code: str
) -> None:
    assert language_for(asked=asked, accepted=accepted) == code
    headers = {"Accept-Language": accepted}
    answer = Client().get("/legal/privacy/", {"lang": asked}, headers=headers)
    assert answer["Content-Language"] == code


def test_how_long_is_what_the_settings_say() -> None:
    with override_settings(
        B24_HISTORY_DAYS=700, B24_LEDGER_RETENTION_DAYS=41, B24_REMOVAL_GRACE_DAYS=9
    ):
        text = Client().get("/legal/privacy/").content.decode()
    assert "700 days" in text
    assert "41 days" in text
    assert "9 days" in text
    with override_settings(B24_HISTORY_DAYS=0):
        assert "as long as the app" in Client().get("/legal/privacy/").content.decode()


def test_there_is_no_other_kind() -> None:
    assert Client().get("/legal/nothing/").status_code == 404
    assert Client().post("/legal/privacy/").status_code == 405
    assert Client().head("/legal/license/").status_code == 200


def test_security_txt_says_whom_to_write_to() -> None:
    with override_settings(SECURITY_CONTACT="mailto:security@example.com"):
        answer = Client().get("/.well-known/security.txt")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    fields = dict(line.split(": ", 1) for line in answer.content.decode().splitlines())
    assert fields["Contact"] == "mailto:security@example.com"
    assert fields["Canonical"] == "https://pay.example.com/.well-known/security.txt"
    left = datetime.fromisoformat(fields["Expires"]) - timezone.now()
    assert timedelta(days=30) < left < timedelta(days=365)
    assert Client().get("/.well-known/security.txt").status_code == 404
