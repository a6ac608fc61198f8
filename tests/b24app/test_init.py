"""`manage.py init`: a .env with new keys that the app accepts, and never in place of another."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from b24app.settings import BASE_DIR

URL = "https://pay.example.com"


def init(path: Path, *arguments: str) -> str:
    said = io.StringIO()
    call_command("init", URL, "--file", str(path), *arguments, stdout=said)
    return said.getvalue()


def values(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[name] = value
    return found


def test_the_file_has_new_keys_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    said = init(tmp_path / "one", "--client-id", "local.1")
    init(tmp_path / "two")
    one, two = values(tmp_path / "one"), values(tmp_path / "two")
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600
    assert (one["APP_URL"], one["B24_CLIENT_ID"], two["B24_CLIENT_ID"]) == (URL, "local.1", "")
    for name in ("SECRET_KEY", "B24_TOKEN_KEYS", "B24_METRICS_TOKEN"):
        assert len(one[name]) >= 40
        assert one[name] != two[name]
        assert one[name] not in said
    assert one["B24_CLIENT_SECRET"] == ""


def test_a_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("SECRET_KEY=old")
    with pytest.raises(CommandError, match="stays"):
        init(path)
    assert path.read_text() == "SECRET_KEY=old"


@pytest.mark.parametrize(
    "url", ["http://pay.example.com", "pay.example.com", f"{URL}/path", "https://"]
)
def test_an_address_that_bitrix24_would_not_open_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(CommandError, match="without a path"):
        call_command("init", url, "--file", str(tmp_path / ".env"))
    assert not (tmp_path / ".env").exists()


def test_the_app_accepts_the_file_once_the_secret_is_filled_in(tmp_path: Path) -> None:
    init(tmp_path / ".env", "--client-id", "local.1")
    filled = {
        **values(tmp_path / ".env"),
        "B24_CLIENT_SECRET": "secret",
        "PUBLISHER_NAME": "A",
        "PUBLISHER_ADDRESS": "B",
        "PUBLISHER_EMAIL": "c@example.com",
        "DJANGO_SETTINGS_MODULE": "b24app.settings",
        "PATH": os.environ["PATH"],
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
    }
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=BASE_DIR,
        env=filled,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
