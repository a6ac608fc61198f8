"""Prose is plain: words and phrases that this project does not use, in code, templates and docs."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_repository import ROOT, tracked_files

# "None" in prose is Python's value; only the lower-case word is refused. "stands for" is plain.
FORBIDDEN = re.compile(
    r"\b(?:"
    r"(?i:whoever|anew|mend|mends|mended|nobody|somebody)"
    r"|(?i:stands)\b(?!\s+(?:for|in\s+for)\b)"
    r"|(?i:of\s+ours|for\s+want\s+of|at\s+a\s+sitting)"
    r"|(?i:is|are)\s+none"
    r")\b"
)
# A function returns; it does not answer.
ANSWERS = re.compile(r"\b[Aa]nswers (?:a|an|the|what|whether|how|which|True|False|None|by)\b")
# A file without a match is not parsed, which saves most of the time.
SUSPICIOUS = re.compile(
    r"whoever|anew|(?<![a-z])mend|nobody|somebody|stands|of\W+ours|want\W+of|sitting"
    r"|\b(?:is|are)\W+none|" + ANSWERS.pattern,
    re.IGNORECASE,
)

LOGGED_BY = {"debug", "info", "warning", "error", "exception", "critical", "log"}
WORD_IN_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
COMMENT = {
    ".js": re.compile(r"/\*.*?\*/|(?<![:\"'])//[^\n]*", re.DOTALL),
    ".css": re.compile(r"/\*.*?\*/", re.DOTALL),
}
READ_WHOLE = {".html", ".md"}
# A piece of prose: the line it begins in, and its text.
Piece = tuple[int, str]


def comments_of(tokens: list[tokenize.TokenInfo]) -> Iterator[Piece]:
    """Yields the comments of Python code; neighbouring lines are one piece."""
    first, lines = 0, list[str]()
    for token in tokens:
        if token.type != tokenize.COMMENT:
            continue
        if lines and token.start[0] != first + len(lines):
            yield first, "\n".join(lines)
            lines = []
        if not lines:
            first = token.start[0]
        lines.append(token.string.lstrip("# "))
    if lines:
        yield first, "\n".join(lines)


def names_of(tokens: list[tokenize.TokenInfo]) -> Iterator[Piece]:
    """Yields the words of each identifier: `test_no_one_pays` is read as "test no one pays"."""
    names = {(token.start[0], token.string) for token in tokens if token.type == tokenize.NAME}
    for line, name in names:
        words = (word.lower() for word in WORD_IN_NAME.findall(name))
        # `is_none` is a test for None.
        yield line, " ".join("None" if word == "none" else word for word in words)


def strings_in(node: ast.AST) -> Iterator[Piece]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.lineno, part.value


def texts_of(tree: ast.Module) -> Iterator[Piece]:
    """Yields docstrings, log lines and the help of commands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from strings_in(node)
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in LOGGED_BY:
                for argument in node.args:
                    yield from strings_in(argument)
            for keyword in node.keywords:
                if keyword.arg == "help":
                    yield from strings_in(keyword.value)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "help":
            yield from strings_in(node.value)


def function_docstrings_of(tree: ast.Module) -> Iterator[Piece]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            yield from strings_in(node.body[0])


def found_in(pieces: Iterator[Piece], pattern: re.Pattern[str]) -> Iterator[Piece]:
    """Yields the line and the words of each match."""
    for first, text in pieces:
        for match in pattern.finditer(text):
            yield first + text.count("\n", 0, match.start()), " ".join(match.group().split())


def findings(suffix: str, text: str) -> list[Piece]:
    """Returns the line and the words of each forbidden phrase in a file with that suffix."""
    if not SUSPICIOUS.search(text):
        return []
    if suffix == ".py":
        tree = ast.parse(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        found = {
            *found_in(comments_of(tokens), FORBIDDEN),
            *found_in(names_of(tokens), FORBIDDEN),
            *found_in(texts_of(tree), FORBIDDEN),
            *found_in(function_docstrings_of(tree), ANSWERS),
        }
        return sorted(found)
    if suffix in COMMENT:
        comments = (
            (text.count("\n", 0, match.start()) + 1, match.group())
            for match in COMMENT[suffix].finditer(text)
        )
        return sorted(found_in(comments, FORBIDDEN))
    return sorted(found_in(iter([(1, text)]), FORBIDDEN))


@pytest.mark.parametrize(
    ("suffix", "text", "words"),
    [
        (".py", "# Nobody pays.", ["Nobody"]),
        (".py", "x = 1  # there\n# is\n# none", ["is none"]),
        (".py", '"""Read anew."""', ["anew"]),
        (".py", "def test_somebody_else() -> None: ...", ["somebody"]),
        (".py", "class NobodyServes: ...", ["nobody"]),
        (".py", "log.warning('%s: whoever runs it', x)", ["whoever"]),
        (".py", "def f() -> int:\n    '''Answers what is due.'''", ["Answers what"]),
        (".py", "x is None or is_none(x)", []),
        (".py", "x = 'nobody'  # Returns None if the token is None.", []),
        (".py", "# X stands in for the portal.", []),
        (".js", "// It stands here.\nconst nobody = 1;", ["stands"]),
        (".css", "/* a\n mend */", ["mend"]),
        (".html", "<p>One of\n ours</p>", ["of ours"]),
        (".md", "For want of a\ntoken", ["For want of"]),
    ],
)
def test_forbidden_words_are_found(suffix: str, text: str, words: list[str]) -> None:
    assert [found for _, found in findings(suffix, text)] == words


def test_lines_are_counted() -> None:
    assert findings(".py", '"""One.\n\nTwo anew."""\n\n# Nobody\n') == [(3, "anew"), (5, "Nobody")]


def readable(path: Path) -> bool:
    return path.suffix in {".py", *COMMENT, *READ_WHOLE} and path.exists()


def test_prose_is_plain() -> None:
    """Prints file:line of each forbidden word."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {words}"
        for path in tracked_files()
        if readable(path)
        for line, words in findings(path.suffix, path.read_text())
    ]
    assert not found, "\n".join(["", *found])
