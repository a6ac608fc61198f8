"""The Makefile says in words what a machine lacks, and leaves no half environment behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_repository import ROOT


def make_environment(folder: Path, python: str) -> str:
    """Makes the environment of an empty folder; returns what make says as it fails."""
    ended = subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), ".venv/bin/python", f"PYTHON={python}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode != 0
    assert not (folder / ".venv").exists()
    return ended.stderr


def python_that(folder: Path, line: str) -> str:
    """Returns a Python that runs this line before anything else."""
    program = folder / "python"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n{line}\n"
        "if sys.argv[1] == '-c': exec(sys.argv[2])\nelse: raise SystemExit('a venv was begun')\n"
    )
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sys.version_info = (3, 10)", "Python 3.11 or newer is needed"),
        ("sys.modules['ensurepip'] = None", "apt-get install python3.{minor}-venv"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, line: str, words: str) -> None:
    said = make_environment(tmp_path, python_that(tmp_path, line))
    assert words.format(minor=sys.version_info.minor) in said


def test_a_machine_without_python_is_told_which_package(tmp_path: Path) -> None:
    said = make_environment(tmp_path, "no-such-python")
    assert "apt-get install python3 python3-venv" in said
