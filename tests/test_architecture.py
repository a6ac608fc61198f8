"""Import rules that import-linter cannot express: parts of Django, and text in templates."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A REST method's name, as code writes it.
METHOD_NAME = re.compile(r"[\"'](?:sale|crm)(?:\.[a-z]+)+[\"'./]")


def imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(*patterns: str) -> list[Path]:
    found = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    assert found, patterns
    return found


@pytest.mark.parametrize(
    "path",
    modules("b24app/tokens/oauth.py", "b24app/rest/transport.py", "payments/gateway/*.py"),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_wire_sees_neither_a_request_nor_the_database(path: Path) -> None:
    for name in imported_by(path):
        assert not name.startswith(("django.http", "django.db", "django.shortcuts"))


def test_method_names_stand_in_the_gateway_alone() -> None:
    elsewhere = [
        str(path.relative_to(ROOT))
        for path in modules("b24app/**/*.py", "payments/**/*.py", "templates/**/*.html")
        if "gateway" not in path.parts and METHOD_NAME.search(path.read_text())
    ]
    assert not elsewhere


def test_the_gateway_names_methods_as_the_rule_expects_them() -> None:
    reads = (ROOT / "payments" / "gateway" / "payments.py").read_text()
    assert METHOD_NAME.search(reads)


def test_no_view_catches_what_the_middleware_turns_into_words() -> None:
    for path in modules("payments/*/*views.py", "b24app/*/*views.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and node.type is not None:
                assert "B24Error" not in ast.unparse(node.type), path


def test_one_module_writes_times_for_people() -> None:
    """Django's own ways take whatever zone a moment was read in, or the server's."""
    of_django = re.compile(r"date_format|time_format|strftime|get_default_timezone|:%[HYdm]")
    in_templates = re.compile(r"\|(?:date|time)(?!:'c')|localtime|load [^%]*\btz\b|{% now")
    found = [
        str(path.relative_to(ROOT))
        for pattern, paths in (
            (of_django, modules("b24app/**/*.py", "payments/**/*.py")),
            (in_templates, modules("templates/**/*.html")),
        )
        for path in paths
        if pattern.search(path.read_text())
    ]
    # The publisher reads UTC; a spreadsheet reads dates in its own form.
    assert found == [
        "b24app/admin.py",
        "b24app/localization/times.py",
        "payments/history/csv_export.py",
    ]
