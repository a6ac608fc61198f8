"""Measures row 8: what a slow portal costs the people of another portal."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor

from b24app.rest import pool, shares
from bench import app as apps
from bench import load, slow
from bench.load import Result, request_bytes
from bench.network import address_of
from bench.processes import Part, part
from bench.report import Row, percentile
from bench.stage import QUERY, Stage

BAD, GOOD = 1, 2  # by the portals' numbers
DELAY = 0.05
# Openings of the bad portal come at this rate, on so many connections.
BAD_RATE, BAD_CONNECTIONS = 20.0, 100
GOOD_RATE, GOOD_CONNECTIONS = 8.0, 40
SECONDS, QUICK_SECONDS = 30.0, 5.0
BAD_SECONDS = 12.0
TIMES_ALONE = 2.0
# A doubling of a few milliseconds is noise.
NOISE = 0.01


def measure(stage: Stage) -> Row:
    row = Row(8, "A bad neighbour")
    database = stage.sqlite("neighbour")
    installed = stage.portals.installed()
    seconds = QUICK_SECONDS if stage.quick else SECONDS
    stage.network.cache_responses(True)
    stage.network.set_delay(DELAY)
    try:
        with (
            part(slow.serve, address_of(BAD)) as bad,
            part(load.serve) as others,
            part(load.serve) as probes,
        ):
            apps.prepare(database, installed[BAD:], scheme="https", port=stage.far_port)
            apps.prepare(database, installed[:BAD], scheme="http", port=bad.port())
            with apps.running(
                database, application="bench.wsgi", BENCH_AUTHORITY=stage.authority
            ) as app:
                _measure(row, stage, app, bad, others, probes, seconds)
    finally:
        stage.network.set_delay(0.0)
        stage.network.cache_responses(False)
    return row


def _measure(
    row: Row,
    stage: Stage,
    app: apps.App,
    bad: Part,
    others: Part,
    probes: Part,
    seconds: float,
) -> None:
    opening = request_bytes(f"/?{QUERY}", app.host, stage.opening(GOOD), keep=False)
    to_bad = request_bytes(f"/?{QUERY}", app.host, stage.opening(BAD), keep=False)
    health = f"GET /healthz/ HTTP/1.1\r\nHost: {app.host}\r\nConnection: close\r\n\r\n".encode()

    def visited() -> tuple[Result, Result]:
        with ThreadPoolExecutor(2) as pool:
            people = pool.submit(
                stage.load.run,
                *(app.port, [opening], GOOD_CONNECTIONS, 0, seconds, GOOD_RATE, False),
            )
            probe = pool.submit(
                probes.run, *(app.port, [health], GOOD_CONNECTIONS, 0, seconds, GOOD_RATE, False)
            )
            return people.result(), probe.result()

    # A first round fills connections and caches.
    stage.load.run(app.port, [opening], apps.THREADS, 200, 60.0, 0.0, False)
    alone = visited()
    _add(row, "an opening, no bad portal", alone[0])
    _add(row, "/healthz/, no bad portal", alone[1])
    most = apps.WORKERS * (shares.PORTAL.places + pool.SHARE)
    for name, drips in (("silent for 12 s", False), ("dripping", True)):
        bad.behave(BAD_SECONDS, drips)
        with ThreadPoolExecutor(1) as threads:
            hostile = threads.submit(
                others.run,
                *(app.port, [to_bad], BAD_CONNECTIONS, 0, seconds, BAD_RATE, False),
            )
            beside = visited()
            came = hostile.result()
        _add(row, f"an opening beside one {name}", beside[0], alone=alone[0])
        _add(row, f"/healthz/ beside one {name}", beside[1], alone=alone[1])
        held = bad.most_at_once()
        if not held:
            raise RuntimeError(f"the bad portal was not called: {came.statuses}")
        refused = came.statuses.get(503, 0)
        row.add(
            f"calls to the one {name} at once",
            f"{held} at most, while {sum(came.statuses.values())} people opened it: {refused} were "
            f"refused, half of them within {statistics.median(came.latencies) * 1000:.0f} ms",
            goal=f"at most {most}",
            met=held <= most,
        )
    row.notes.append(
        f"{BAD_RATE:.0f} openings of the bad portal and {GOOD_RATE:.0f} of the good one a second, "
        f"with {apps.WORKERS} processes of {apps.THREADS} threads; the good portal is "
        f"{DELAY * 1000:.0f} ms away."
    )


def _add(row: Row, what: str, found: Result, *, alone: Result | None = None) -> None:
    if found.failed:
        raise RuntimeError(f"{what}: {found.statuses}")
    median, p99 = statistics.median(found.latencies), percentile(found.latencies, 0.99)
    figure = f"median {median * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
    if alone is None:
        row.add(what, figure)
        return
    before = max(percentile(alone.latencies, 0.99), NOISE)
    row.add(
        what,
        f"{figure}: {p99 / before:.2f} times that alone",
        goal=f"p99 under {TIMES_ALONE:.0f} times",
        met=p99 / before < TIMES_ALONE,
    )
