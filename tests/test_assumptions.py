"""docs/assumptions.md: each belief has a source, an opposite, and a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from b24app.install import beliefs as app_beliefs
from payments.management import beliefs

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "assumptions.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| belief")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_a_belief_has_the_test_of_its_opposite(row: list[str]) -> None:
    assert len(row) == 5
    assert all(row)
    tests = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[4])
    assert tests
    for path, name in tests:
        found = ast.walk(ast.parse((ROOT / path).read_text()))
        assert name in {node.name for node in found if isinstance(node, ast.FunctionDef)}


def test_the_questions_of_portal_check_are_listed() -> None:
    listed = re.findall(r"^\d+\. (.+)$", TEXT, re.MULTILINE)
    assert listed == [belief.sentence for belief in (*app_beliefs.BELIEFS, *beliefs.BELIEFS)]
