"""The moderation's checklist as a program: every line is tried, and one that fails is told."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from b24app import install, moderation
from sandbox.app_process import ROOT
from sandbox.moderation.__main__ import LINES

# The program has under a minute on a machine of its own; a busy one takes longer.
SECONDS = 400


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def automatic_lines() -> list[str]:
    text = (ROOT / "docs" / "moderation.md").read_text()
    return re.findall(r"^\| (D\d\.\d) \| A \|", text, re.MULTILINE)


def test_the_document_and_the_program_have_the_same_lines() -> None:
    assert sorted(automatic_lines()) == sorted(line.name for line in LINES)
    assert {verdict.line for verdict in moderation.verdicts()} <= set(automatic_lines())


def test_the_tests_that_lines_lean_on_exist() -> None:
    for line in LINES:
        for test in line.tests:
            path, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / path).read_text(), test


def test_what_the_app_can_try_by_itself_passes() -> None:
    assert [verdict for verdict in moderation.verdicts() if not verdict.passed] == []


def test_a_scope_that_is_not_documented_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderation, "NEEDED_SCOPES", (*install.NEEDED_SCOPES, "user"))
    failed = {each.line for each in moderation.verdicts() if not each.passed}
    assert failed == {"D3.1"}


@pytest.mark.timeout(SECONDS)
def test_every_line_passes_against_the_running_app() -> None:
    done = program("manage.py", "moderation_check", "--no-tests")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.findall(r"^pass  (D\d\.\d)", done.stdout, re.MULTILINE)
    assert sorted(passed) == sorted(automatic_lines())


def test_options_that_go_together_are_asked_for_together() -> None:
    done = program("manage.py", "moderation_check", "--app", "http://localhost:8000")
    assert done.returncode == 1
    assert "go together" in done.stderr
