"""Tries each line of the moderators' checklist that a machine can try."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from b24app.install import installation
from sandbox.tools.app_process import ROOT
from sandbox.tools.moderation.__main__ import LINES
from tests.moderation import checks

# The program needs under a minute on an idle machine, several on a busy one.
SECONDS = 400


def automatic_lines() -> list[str]:
    text = (ROOT / "docs" / "moderation.md").read_text()
    return re.findall(r"^\| (D\d\.\d) \| A \|", text, re.MULTILINE)


@pytest.mark.django_db
def test_the_document_and_the_program_have_the_same_lines() -> None:
    assert sorted(automatic_lines()) == sorted(line.name for line in LINES)
    assert {verdict.line for verdict in checks.verdicts()} <= set(automatic_lines())


def test_the_tests_that_lines_name_exist() -> None:
    for line in LINES:
        for test in line.tests:
            path, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / path).read_text(), test


@pytest.mark.django_db
def test_each_line_about_settings_and_documents_passes() -> None:
    assert [verdict for verdict in checks.verdicts() if not verdict.passed] == []


@pytest.mark.django_db
def test_an_undocumented_scope_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "NEEDED_SCOPES", (*installation.NEEDED_SCOPES, "user"))
    failed = {each.line for each in checks.verdicts() if not each.passed}
    assert failed == {"D3.1"}


@pytest.mark.timeout(SECONDS)
def test_each_line_passes_against_the_running_app() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.tools.moderation", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    verdicts = json.loads(done.stdout) if done.stdout else []
    for verdict in verdicts:
        word = "pass" if verdict["passed"] else "FAIL"
        sys.stdout.write(f"{word}  {verdict['line']} {verdict['title']}: {verdict['why']}\n")
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(verdict["line"] for verdict in verdicts) == sorted(automatic_lines())
