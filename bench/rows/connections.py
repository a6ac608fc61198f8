"""Measures row 2: connections and TLS handshakes of a thousand openings over fifty portals."""

from __future__ import annotations

from bench import app as apps
from bench.report import Row
from bench.stage import PORTALS, Stage

OPENINGS, QUICK_OPENINGS = 1000, 100
PEOPLE = 16
DELAY = 0.05
SECONDS = 120.0


def measure(stage: Stage) -> Row:
    row = Row(2, "Connections kept")
    database = stage.sqlite("connections")
    apps.prepare(database, stage.portals.installed(), scheme="https", port=stage.far_port)
    openings = QUICK_OPENINGS if stage.quick else OPENINGS
    threads = apps.WORKERS * apps.THREADS
    stage.network.cache_responses(True)
    stage.network.set_delay(DELAY)
    try:
        with apps.running(
            database, application="bench.wsgi", BENCH_AUTHORITY=stage.authority
        ) as app:
            requests = stage.openings(app.host, keep=False)
            for place in range(2):
                stage.network.reset()
                result = stage.load.run(app.port, requests, PEOPLE, openings, SECONDS, 0.0, False)
                if result.failed or len(result.latencies) != openings:
                    raise RuntimeError(f"openings failed: {result.statuses}")
                opened, handshakes = stage.network.opened(), stage.network.handshake_count()
                most = max(opened.values(), default=0)
                total = sum(opened.values())
                if place == 0:
                    row.add(
                        f"{openings} openings over {PORTALS} portals, from a cold start",
                        f"{total} connections, {handshakes} handshakes, "
                        f"at most {most} to one portal",
                        goal=f"at most one a thread ({threads}) and portal",
                        met=most <= threads,
                    )
                else:
                    row.add(
                        "the same once more",
                        f"{total} connections, {handshakes} handshakes",
                        goal="none",
                        met=total == 0,
                    )
    finally:
        stage.network.set_delay(0.0)
        stage.network.cache_responses(False)
    return row
