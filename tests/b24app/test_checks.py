"""Settings that are well-formed and cannot work are found at start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings
from django.utils import timezone

from b24app import models
from b24app.checks import keys_open_what_is_stored, settings_can_work
from b24app.settings import BASE_DIR, EXAMPLE_PUBLISHER, INSECURE_SECRET_KEY, INSECURE_TOKEN_KEY

OTHER_KEY = "b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItMDE="

KEEP_A_TOKEN = """
from b24app.models import Portal, UserToken
from django.utils import timezone
portal = Portal.objects.create(member_id="m")
UserToken.objects.create(
    portal=portal, user_id=1, access="a", refresh="r", expires_at=timezone.now()
)
"""


def found(**changes: Any) -> list[str]:
    with override_settings(**changes):
        return [str(message.id) for message in settings_can_work(None)]


@pytest.mark.django_db
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


def test_a_published_app_without_a_publisher_is_told() -> None:
    example_publisher = {"PUBLISHER_NAME": EXAMPLE_PUBLISHER}
    assert found(**example_publisher) == ["b24app.W011"]
    assert found(PUBLISHER_EMAIL="") == ["b24app.W011"]
    assert found(APP_URL="http://localhost:8000", **example_publisher) == []


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
        ({"B24_REMOVAL_GRACE_DAYS": 0}, "b24app.E012"),
        ({"B24_REMOVAL_GRACE_DAYS": -1}, "b24app.E012"),
        ({"B24_REMOVAL_GRACE_DAYS": 31}, "b24app.E012"),
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
        {"B24_REMOVAL_GRACE_DAYS": 1},
        {"B24_REMOVAL_GRACE_DAYS": 30},
        {"B24_PRIVATE_NETWORKS": ["10.0.0.0/8", "fd00::/8"]},
    ],
    ids=str,
)
def test_what_can_work_is_not(changes: dict[str, Any]) -> None:
    assert found(**changes) == []


def started(**environment: str) -> subprocess.CompletedProcess[str]:
    """Loads the WSGI module in a process of its own, as a server does."""
    return subprocess.run(
        [sys.executable, "-c", "import b24app.wsgi"],
        cwd=BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "b24app.settings", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.servers
def test_a_server_does_not_start_with_settings_that_cannot_work() -> None:
    run = started(APP_URL="http://pay.example.com", B24_TOKEN_KEYS="short")
    assert run.returncode != 0
    assert "ImproperlyConfigured: These settings cannot work" in run.stderr
    assert "b24app.E002" in run.stderr
    assert "b24app.E007" in run.stderr


def test_a_server_starts_with_those_that_can() -> None:
    run = started()
    assert run.returncode == 0, run.stderr


def keep_a_token() -> None:
    portal = models.Portal.objects.create(member_id=f"m{models.Portal.objects.count()}")
    models.UserToken.objects.create(
        portal=portal, user_id=1, access="a", refresh="r", expires_at=timezone.now()
    )


def found_in_the_database(*keys: str) -> list[str]:
    with override_settings(B24_TOKEN_KEYS=list(keys)):
        messages = keys_open_what_is_stored(None, databases=["default"])
        return [str(message.id) for message in messages]


@pytest.mark.django_db
def test_keys_that_do_not_open_what_is_stored_are_found() -> None:
    assert found_in_the_database(OTHER_KEY) == []  # an empty database
    with override_settings(B24_TOKEN_KEYS=[OTHER_KEY]):
        keep_a_token()
    assert found_in_the_database(OTHER_KEY) == []
    assert found_in_the_database(INSECURE_TOKEN_KEY, OTHER_KEY) == []
    assert found_in_the_database(INSECURE_TOKEN_KEY) == ["b24app.E010"]
    assert found_in_the_database("short") == []  # E007 tells of that


@pytest.mark.django_db
def test_an_old_key_removed_before_the_rotation_is_found() -> None:
    for keys in ([INSECURE_TOKEN_KEY], [OTHER_KEY, INSECURE_TOKEN_KEY]):
        with override_settings(B24_TOKEN_KEYS=keys):
            keep_a_token()
    assert found_in_the_database(OTHER_KEY) == ["b24app.E010"]


@pytest.mark.servers
def test_a_server_does_not_start_with_a_key_that_opens_nothing(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    assert started(**environment).returncode == 0  # before the first migration
    for command in ("migrate", "shell"):
        subprocess.run(
            [sys.executable, "manage.py", command, "-v0"],
            input=KEEP_A_TOKEN,
            cwd=BASE_DIR,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "b24app.settings", **environment},
            text=True,
            check=True,
        )
    assert started(**environment).returncode == 0

    run = started(**environment, B24_TOKEN_KEYS=OTHER_KEY)
    assert run.returncode != 0
    assert "b24app.E010" in run.stderr
    assert "B24_TOKEN_KEYS does not decrypt the tokens in the database" in run.stderr
