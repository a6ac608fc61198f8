"""Checks the files of the repository: locks, settings, sizes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_lock_files_name_hashes_and_no_download_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-bench.lock"):
        text = (ROOT / name).read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text
        assert "index-url" not in text


def test_the_locks_agree() -> None:
    pin = re.compile(r"^([a-z0-9-]+(?:\[[a-z,]+\])?==\S+)", re.MULTILINE)
    runtime = set(pin.findall((ROOT / "requirements.lock").read_text()))
    development = set(pin.findall((ROOT / "requirements-dev.lock").read_text()))
    bench = set(pin.findall((ROOT / "requirements-bench.lock").read_text()))
    assert runtime
    assert runtime <= development <= bench


def settings_read_from_the_environment() -> set[str]:
    text = (ROOT / "b24app" / "settings.py").read_text()
    return set(re.findall(r"env\.\w+\(\s*\"([A-Z0-9_]+)\"", text))


@pytest.mark.parametrize("document", [".env.example", "README.md"])
def test_every_setting_is_documented(document: str) -> None:
    text = (ROOT / document).read_text()
    missing = {name for name in settings_read_from_the_environment() if name not in text}
    assert not missing


def test_modules_stay_small() -> None:
    """A module above 400 lines holds two things; tests and migrations may be longer."""
    too_long = {
        str(path.relative_to(ROOT)): count
        for path in tracked_files()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] in ("b24app", "payments", "sandbox")
        and "migrations" not in path.parts
        and (count := path.read_text().count("\n")) > 400
    }
    assert not too_long
