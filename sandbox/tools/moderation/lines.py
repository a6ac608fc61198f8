"""Defines a line of the checklist: its name, its requirement, the function that checks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sandbox.tools.moderation.target import Target
from sandbox.tools.visitor import Unexpected

# Returns a sentence about what was checked; raises Unexpected if the app fails.
Check = Callable[[Target], str]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Line:
    name: str
    title: str
    check: Check
    # Tests of the repository for what this program cannot do: clocks, browsers, bad TLS.
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
