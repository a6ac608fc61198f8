"""Measures row 3: the program's own cost, with a portal that responds at once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench import app as apps
from bench.load import Result
from bench.report import Row, percentile
from bench.stage import Stage
from tests import postgresql

SECONDS, QUICK_SECONDS = 10.0, 2.0
WARMING_SECONDS = 4.0
PEOPLE = 16
# Enough at once to start all threads of every worker before memory is read: each thread takes some
# memory and keeps its own connections.
CROWD = 200
# The most openings, and the seconds, for the measurement of memory.
OPENINGS, MEMORY_SECONDS = 100_000, 270.0
STEPS = 10
# In the first part caches fill and the allocator settles; after it memory should not grow.
SETTLED = 0.2
GROWTH_MEGABYTES = 3.0
OF_FLOOR, TIMES_MEDIAN = 0.6, 3.0


@dataclass(frozen=True)
class Cost:
    rate: float
    cpu: float  # seconds of all workers for one opening


def measure(stage: Stage) -> Row:
    row = Row(3, "The program's own cost")
    stage.network.cache_responses(True)
    stage.network.record_requests(False)
    try:
        for name, database in (("SQLite", None), ("PostgreSQL", "server")):
            with _database(stage, database) as url:
                apps.prepare(url, stage.portals.installed(), scheme="http", port=stage.near_port)
                _beside_the_floor(stage, row, name, url)
                if database:
                    _memory(stage, row, url)
    finally:
        stage.network.cache_responses(False)
        stage.network.record_requests(True)
    row.notes.append(
        "2 cores carry the app, the floor's server, the portal's stub, the database and the load "
        "generator. The floor is bench/floor.py: as many calls, queries and rows, without rights, "
        "sealed offers, sessions or headers. Pay systems are cached in both, as they are for five "
        "minutes; the log of calls is on, as it is by default."
    )
    return row


@contextmanager
def _database(stage: Stage, server: str | None) -> Iterator[str]:
    if server is None:
        yield stage.sqlite("own_cost")
        return
    with postgresql.server() as url:
        yield url


def _beside_the_floor(stage: Stage, row: Row, name: str, url: str) -> None:
    """Measures app and floor in turn, so that a slow moment of the machine affects both."""
    app_costs: list[Cost] = []
    floor_costs: list[Cost] = []
    seconds = QUICK_SECONDS if stage.quick else SECONDS
    with (
        apps.running(url) as app,
        apps.running(
            url,
            application="bench.floor_wsgi",
            DJANGO_SETTINGS_MODULE="bench.floor_settings",
        ) as floor,
    ):
        for served in (app, floor):
            _openings(stage, served, seconds=WARMING_SECONDS)
        for _ in range(2):
            for served, costs in ((app, app_costs), (floor, floor_costs)):
                before, result = served.cpu_seconds(), _openings(stage, served, seconds=seconds)
                count = len(result.latencies)
                costs.append(Cost(count / result.seconds, (served.cpu_seconds() - before) / count))
        rate = statistics.mean(cost.rate for cost in app_costs)
        half = _openings(stage, app, seconds=seconds, rate=rate / 2)
    floor_rate = statistics.mean(cost.rate for cost in floor_costs)
    row.add(f"{name}: the floor, openings a second", _figure(floor_costs))
    row.add(
        f"{name}: this app, openings a second",
        f"{_figure(app_costs)}: {rate / floor_rate:.2f} of the floor",
        goal=f"at least {OF_FLOOR} of the floor",
        met=rate / floor_rate >= OF_FLOOR,
    )
    median, p99 = statistics.median(half.latencies), percentile(half.latencies, 0.99)
    row.add(
        f"{name}: at half of that load ({rate / 2:.0f} a second)",
        f"median {median * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms: {p99 / median:.1f} times",
        goal=f"p99 under {TIMES_MEDIAN:.0f} times the median",
        met=p99 / median < TIMES_MEDIAN,
    )


def _figure(costs: list[Cost]) -> str:
    rate = statistics.mean(cost.rate for cost in costs)
    cpu = statistics.mean(cost.cpu for cost in costs)
    rates = "–".join(f"{value:.0f}" for value in sorted(cost.rate for cost in costs))
    return f"{rate:.0f} ({rates}), {cpu * 1000:.1f} ms of CPU each"


def _openings(
    stage: Stage,
    served: apps.App,
    *,
    seconds: float,
    people: int = PEOPLE,
    rate: float = 0.0,
    total: int = 0,
) -> Result:
    requests = stage.openings(served.host)
    result: Result = stage.load.run(served.port, requests, people, total, seconds, rate, True)
    if result.failed:
        raise RuntimeError(f"openings failed: {result.statuses}")
    return result


def _memory(stage: Stage, row: Row, url: str) -> None:
    seen: list[tuple[int, list[float]]] = []
    limit = QUICK_SECONDS if stage.quick else MEMORY_SECONDS
    done = 0
    with apps.running(url) as app:
        for _ in range(2):
            _openings(stage, app, seconds=WARMING_SECONDS, people=CROWD)
        give_up = time.monotonic() + limit
        while done < OPENINGS and time.monotonic() < give_up:
            result = _openings(
                stage, app, seconds=limit / STEPS, total=min(OPENINGS // STEPS, OPENINGS - done)
            )
            done += len(result.latencies)
            seen.append((done, app.megabytes()))
    settled = next(megabytes for count, megabytes in seen if count >= done * SETTLED)
    last = seen[-1][1]
    growth = max(after - before for before, after in zip(settled, last, strict=True))
    row.add(
        f"memory of a worker after {done:,} openings",
        f"{last[0]:.0f}–{last[-1]:.0f} MB, at most {growth:+.1f} MB over the last "
        f"{1 - SETTLED:.0%} of them",
        goal=f"no growth (under {GROWTH_MEGABYTES:.0f} MB)",
        met=growth < GROWTH_MEGABYTES,
    )
    if done < OPENINGS and not stage.quick:
        row.notes.append(
            f"Of the {OPENINGS:,} openings {done:,} were made: the bench gives them "
            f"{MEMORY_SECONDS:.0f} seconds, so that all of it ends within 20 minutes."
        )
