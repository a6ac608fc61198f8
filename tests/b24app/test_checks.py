"""Settings that are well-formed and cannot work are found before anybody opens the app."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from b24app.checks import settings_can_work
from b24app.settings import BASE_DIR, INSECURE_SECRET_KEY, INSECURE_TOKEN_KEY

OTHER_KEY = "b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItMDE="


def found(**changes: Any) -> list[str]:
    with override_settings(**changes):
        return [str(message.id) for message in settings_can_work(None)]


def test_the_tests_own_settings_are_fine() -> None:
    assert found() == []
    assert not [message for message in run_checks() if message.is_serious()]


def test_a_fresh_clone_starts_on_this_machine() -> None:
    fresh = {
        "SECRET_KEY": INSECURE_SECRET_KEY,
        "B24_TOKEN_KEYS": [INSECURE_TOKEN_KEY],
        "B24_CLIENT_ID": "",
        "B24_CLIENT_SECRET": "",
        "B24_ALLOW_HTTP": False,
    }
    assert found(APP_URL="http://localhost:8000", **fresh) == []
    assert found(APP_URL="https://pay.example.com", **fresh) == [
        "b24app.E003",
        "b24app.E004",
        "b24app.E008",
    ]


@pytest.mark.parametrize(
    "changes, identifier",
    [
        ({"APP_URL": ""}, "b24app.E001"),
        ({"APP_URL": "pay.example.com"}, "b24app.E001"),
        ({"APP_URL": "https://pay.example.com/app"}, "b24app.E001"),
        ({"APP_URL": "https://pay.example.com:port"}, "b24app.E001"),
        ({"APP_URL": "http://pay.example.com"}, "b24app.E002"),
        ({"APP_URL": "http://10.0.0.1"}, "b24app.E002"),
        ({"SECRET_KEY": INSECURE_SECRET_KEY}, "b24app.E003"),
        ({"B24_TOKEN_KEYS": [OTHER_KEY, INSECURE_TOKEN_KEY]}, "b24app.E004"),
        ({"B24_OAUTH_URL": "http://oauth.example.com"}, "b24app.E005"),
        ({"B24_OAUTH_URL": "ftp://oauth.example.com"}, "b24app.E005"),
        ({"B24_JS_URL": "http://api.example.com/api/v1/"}, "b24app.E005"),
        ({"B24_OAUTH_URL": "http://127.0.0.1:9000", "B24_ALLOW_HTTP": False}, "b24app.E006"),
        ({"B24_TOKEN_KEYS": []}, "b24app.E007"),
        ({"B24_TOKEN_KEYS": [""]}, "b24app.E007"),
        ({"B24_TOKEN_KEYS": [OTHER_KEY, "short"]}, "b24app.E007"),
        ({"B24_TOKEN_KEYS": ["ключ"]}, "b24app.E007"),
        ({"B24_CLIENT_ID": ""}, "b24app.E008"),
        ({"B24_CLIENT_SECRET": ""}, "b24app.E008"),
        ({"B24_PRIVATE_NETWORKS": ["10.0.0.0/8", "office"]}, "b24app.E009"),
        ({"B24_PRIVATE_NETWORKS": ["10.0.0.1/8"]}, "b24app.E009"),
    ],
    ids=str,
)
def test_what_cannot_work_is_found(changes: dict[str, Any], identifier: str) -> None:
    assert found(**changes) == [identifier]


@pytest.mark.parametrize(
    "changes",
    [
        {"APP_URL": "http://127.0.0.1:8000"},
        {"APP_URL": "http://[::1]:8000"},
        {"APP_URL": "http://app.localhost:8000"},
        {"B24_OAUTH_URL": "http://127.0.0.1:9000", "B24_ALLOW_HTTP": True},
        {"B24_JS_URL": "http://127.0.0.1:9001/api/v1/"},
        {"B24_TOKEN_KEYS": [OTHER_KEY]},
        {"B24_PRIVATE_NETWORKS": ["10.0.0.0/8", "fd00::/8"]},
    ],
    ids=str,
)
def test_what_can_work_is_not(changes: dict[str, Any]) -> None:
    assert found(**changes) == []


def started(**environment: str) -> subprocess.CompletedProcess[str]:
    """The WSGI module, loaded as a server loads it: in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "import b24app.wsgi"],
        cwd=BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "b24app.settings", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_server_does_not_start_with_settings_that_cannot_work() -> None:
    run = started(APP_URL="http://pay.example.com", B24_TOKEN_KEYS="short")
    assert run.returncode != 0
    assert "ImproperlyConfigured: These settings cannot work" in run.stderr
    assert "b24app.E002" in run.stderr
    assert "b24app.E007" in run.stderr


def test_a_server_starts_with_those_that_can() -> None:
    run = started()
    assert run.returncode == 0, run.stderr
