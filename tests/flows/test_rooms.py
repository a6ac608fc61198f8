"""The room of a feature can be deleted: one line in urls.py, and the rest still runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.tools.app_process import ROOT

SECONDS = 60
RUNNING = (
    "b24app",
    "payments",
    "sandbox",
    "templates",
    "static",
    "locale",
    "manage.py",
    "requirements.lock",
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in RUNNING:
        found = ROOT / name
        if found.is_dir():
            shutil.copytree(found, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(found, tmp_path)
    return tmp_path


@pytest.mark.parametrize("room", ["approvals", "history"])
def test_without_a_feature_people_still_pay(copy: Path, room: str) -> None:
    shutil.rmtree(copy / "payments" / room)
    shutil.rmtree(copy / "templates/payments" / room)
    urls = copy / "payments/urls.py"
    lines = urls.read_text().splitlines()
    kept = [line for line in lines if f"payments.{room}.urls" not in line]
    assert len(lines) - len(kept) == 1
    urls.write_text("\n".join(kept))
    run = subprocess.run(
        [sys.executable, "-m", "sandbox.tools.smoke"],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
