"""Measures row 5: screens and commands with many portals and a long history, on PostgreSQL."""

from __future__ import annotations

import json
from typing import Any

from bench import app as apps
from bench.report import Row
from bench.stage import Stage
from tests import postgresql

# For filling and measuring together; only a fast machine reaches ten million rows.
SECONDS = 300
SLACK = 200
TIMES_SMALLEST = 1.5
WANTED = 10_000_000


def measure(stage: Stage) -> Row:
    row = Row(5, "Growth")
    with postgresql.server() as url:
        apps.prepare(url, [], scheme="https", port=stage.far_port)
        given = json.dumps({"quick": stage.quick, "seconds": SECONDS})
        env = apps.environment(url, B24_REST_LOG_DAYS="0", B24_OAUTH_URL="")
        del env["B24_OAUTH_URL"]
        output = apps.run_python(["-m", "bench.growing"], env, stdin=given, seconds=SECONDS + SLACK)
    found = json.loads(output)
    sizes: list[dict[str, Any]] = found["sizes"]
    for name in sizes[0]["works"]:
        times = [size["works"][name]["seconds"] * 1000 for size in sizes]
        statements = {size["works"][name]["statements"] for size in sizes}
        scans = sizes[-1]["works"][name]["scans"]
        row.add(
            name,
            f"{' / '.join(f'{value:.1f}' for value in times)} ms; "
            f"{'–'.join(str(count) for count in sorted(statements))} statements; "
            f"{'no table scanned' if not scans else 'scans ' + '; '.join(scans)}",
            goal="flat, by index",
            met=times[-1] <= TIMES_SMALLEST * times[0] and not scans,
        )
    columns = " / ".join(f"{size['portals']:,} and {size['rows']:,}" for size in sizes)
    row.notes.append(
        f"Portals and rows of the history, column by column: {columns}. A hundredth of the rows, "
        "and a thousand more, are of the measured portal. "
        f"{found['sealed']:,} entries are in "
        "the sealed ledger. Every statement was run with EXPLAIN at the largest size. Times are of "
        "the whole work in one process, including the sandbox's responses (1 to 3 ms a request)."
    )
    if sizes[-1]["rows"] < WANTED and not stage.quick:
        row.notes.append(f"{SECONDS} seconds were too few for {WANTED:,} rows.")
    return row
