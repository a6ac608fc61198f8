"""Checks the files of the repository: locks, settings, sizes."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

INLINE_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
MODULE = re.compile(r"(?:b24app|bench|payments|sandbox|tests)(?:\.[a-z_0-9]+)+")


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


def paths_in_the_repository() -> set[str]:
    """Returns tracked files and their folders, relative to the root."""
    files = [path.relative_to(ROOT) for path in tracked_files() if path.exists()]
    return {str(path) for file in files for path in (file, *file.parents)}


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def test_docs_name_paths_that_exist() -> None:
    """Checks paths, names of tests and modules in backticks. A module may be a logger's name."""
    paths = paths_in_the_repository()
    top_level = {path for path in paths if "/" not in path and (ROOT / path).is_dir()}
    file_names = {path.rsplit("/", 1)[-1] for path in paths}
    loggers = set(
        re.findall(
            r"getLogger\(\"([\w.]+)\"\)",
            "\n".join(path.read_text() for path in (ROOT / "b24app").rglob("*.py")),
        )
    )
    wrong = []
    for document in tracked_files():
        if document.suffix != ".md":
            continue
        for word in " ".join(INLINE_CODE.findall(document.read_text())).split():
            if MODULE.fullmatch(word):
                exists = is_module(word) or word in loggers
            elif "/" in word and word.split("/")[0] in top_level - {"."}:
                exists = word.partition("::")[0].rstrip("/") in paths
            elif re.fullmatch(r"test_\w+\.py", word):
                exists = word in file_names
            else:
                continue
            if not exists:
                wrong.append(f"{document.relative_to(ROOT)}: {word}")
    assert not wrong, "\n".join(wrong)


def test_links_of_the_docs_lead_to_files() -> None:
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in tracked_files()
        if document.suffix == ".md"
        for target in LINK.findall(document.read_text())
        if not (document.parent / target).exists()
    ]
    assert not broken, "\n".join(broken)


def strings_of(path: Path) -> str:
    """Returns the string literals of a module, each on a line."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return "\n".join(
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_operations_quotes_log_lines_that_exist() -> None:
    """Looks for each quoted line, up to each "…", in the module whose logger writes it."""
    text = (ROOT / "docs" / "operations.md").read_text()
    table = text.split("| logger | line |", 1)[1].split("\n\n", 1)[0]
    everywhere = "\n".join(strings_of(path) for path in (ROOT / "b24app").rglob("*.py"))
    logger, missing = "", []
    for row in table.splitlines()[2:]:
        first, lines = (INLINE_CODE.findall(cell) for cell in row.split("|")[1:3])
        logger = first[0] if first else logger
        if is_module(logger):
            strings = strings_of(ROOT.joinpath(*logger.split(".")).with_suffix(".py"))
        elif logger == "b24app.security":
            strings = everywhere
        else:
            continue  # Another package's logger.
        parts = [part.strip() for line in lines for part in line.split("…")]
        missing += [f"{logger}: {part}" for part in parts if part not in strings]
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
