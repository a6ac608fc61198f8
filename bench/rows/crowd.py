"""Measures row 4: two hundred people open the app at once; the portal is 150 ms away."""

from __future__ import annotations

import math
import statistics

from bench import app as apps
from bench.report import Row, percentile
from bench.stage import Stage

PEOPLE = 200
DELAY = 0.15
ROUNDS = 5
SECONDS = 60.0
TIMES_FLOOR = 2.0


def measure(stage: Stage) -> Row:
    row = Row(4, f"{PEOPLE} people at once, the portal {DELAY * 1000:.0f} ms away")
    database = stage.sqlite("crowd")
    apps.prepare(database, stage.portals.installed(), scheme="https", port=stage.far_port)
    threads = apps.WORKERS * apps.THREADS
    stage.network.cache_responses(True)
    latencies: list[float] = []
    peaks: list[int] = []
    try:
        with apps.running(
            database, application="bench.wsgi", BENCH_AUTHORITY=stage.authority
        ) as app:
            requests = stage.openings(app.host, keep=False)
            stage.load.run(app.port, requests, apps.THREADS, 1000, SECONDS, 0.0, False)
            stage.network.set_delay(DELAY)
            trip = stage.round_trip()
            # A first round opens the connections that only a crowd needs.
            stage.load.run(app.port, requests, PEOPLE, PEOPLE, SECONDS, 0.0, False)
            for _ in range(1 if stage.quick else ROUNDS):
                stage.network.reset()
                result = stage.load.run(app.port, requests, PEOPLE, PEOPLE, SECONDS, 0.0, False)
                if result.failed:
                    raise RuntimeError(f"openings failed: {result.statuses}")
                latencies += result.latencies
                peaks.append(stage.network.peak_requests())
    finally:
        stage.network.set_delay(0.0)
        stage.network.cache_responses(False)
    waves = math.ceil(PEOPLE / threads)
    floor = waves * trip
    p99 = percentile(latencies, 0.99)
    row.add(
        "the floor",
        f"{floor * 1000:.0f} ms: {threads} threads, so {waves} waves of {trip * 1000:.0f} ms",
    )
    row.add(
        "an opening",
        f"median {statistics.median(latencies) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms: "
        f"{p99 / floor:.2f} times the floor",
        goal=f"p99 under {TIMES_FLOOR:.0f} times the floor",
        met=p99 / floor < TIMES_FLOOR,
    )
    row.add(
        "requests on their way at once",
        f"{max(peaks)} at most",
        goal=f"all {threads} threads at work, and no queue but for them",
        met=max(peaks) >= threads * 0.9,
    )
    return row
