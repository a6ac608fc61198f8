"""Formats the results as a table for the terminal and for bench/RESULTS.md."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "RESULTS.md"


@dataclass(frozen=True)
class Line:
    """One figure. `met` is None without a goal."""

    what: str
    figure: str
    goal: str = ""
    met: bool | None = None


@dataclass
class Row:
    number: int
    title: str
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, what: str, figure: str, *, goal: str = "", met: bool | None = None) -> None:
        self.lines.append(Line(what, figure, goal, met))


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(values: Sequence[float]) -> str:
    """Formats the median, with the smallest and the largest value."""
    median = statistics.median(values) * 1000
    low, high = min(values) * 1000, max(values) * 1000
    return f"{median:.0f} ms ({low:.0f}–{high:.0f})"


def markdown(rows: Sequence[Row], *, took: float) -> str:
    parts = [
        "# What the bench measured",
        "",
        f"* {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}",
        f"* {machine()}",
        f"* `make bench`, {took / 60:.1f} minutes in all. Times are medians, with the smallest and "
        "the largest in brackets where several were taken.",
        "",
    ]
    for row in rows:
        parts += [f"## {row.number}. {row.title}", ""]
        parts += ["| what | measured | goal | |", "|---|---|---|---|"]
        parts += [
            f"| {line.what} | {line.figure} | {line.goal} | {_mark(line.met)} |"
            for line in row.lines
        ]
        parts.append("")
        parts += [f"* {note}" for note in row.notes]
        if row.notes:
            parts.append("")
    return "\n".join(parts)


def text(row: Row) -> str:
    """Formats a row in columns, for the terminal."""
    cells = [(line.what, line.figure, line.goal, _mark(line.met)) for line in row.lines]
    widths = [max((len(cell[place]) for cell in cells), default=0) for place in range(4)]
    lines = [
        "  ".join(part.ljust(width) for part, width in zip(cell, widths, strict=True)).rstrip()
        for cell in cells
    ]
    head = f"{row.number}. {row.title} ({row.seconds:.0f} s)"
    return "\n".join([head, *(f"   {line}" for line in lines), *(f"   * {n}" for n in row.notes)])


def _mark(met: bool | None) -> str:
    return "" if met is None else ("met" if met else "not met")


def commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + (
        ", with changes" if changed else ""
    )


def machine() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return (
        f"{names[0] if names else platform.machine()}, {cores} cores, {memory:.0f} GB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}; "
        f"load {load:.1f} at the end"
    )
