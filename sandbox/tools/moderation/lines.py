"""A line of the checklist: its name there, what it asks for, and the function that tries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sandbox.tools.moderation.stand import Stand
from sandbox.tools.visitor import Unexpected

# Answers what was tried, in words; raises Unexpected where the app did not stand it.
Try = Callable[[Stand], str]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Line:
    name: str
    title: str
    attempt: Try
    # Tests of the repository that prove what this program cannot stage: clocks, browsers, bad TLS.
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    line: str
    title: str
    passed: bool
    why: str


def expect(holds: object, sentence: str) -> None:
    if not holds:
        raise Unexpected(f"expected that {sentence}")


def found(value: Found | None, sentence: str) -> Found:
    if value is None:
        raise Unexpected(f"expected that {sentence}")
    return value
