"""Measures row 7: 500 payments in one run, against the pace that the portal's bucket allows."""

from __future__ import annotations

import json

from bench import app as apps
from bench.report import Row
from bench.stage import Stage

SECONDS = 240


def measure(stage: Stage) -> Row:
    row = Row(7, "500 payments in one run")
    database = stage.sqlite("bulk")
    apps.prepare(database, [], scheme="https", port=stage.far_port)
    env = apps.environment(database, B24_REST_LOG_DAYS="0")
    del env["B24_OAUTH_URL"]
    given = json.dumps({"quick": stage.quick})
    found = json.loads(apps.run_python(["-m", "bench.bulking"], env, stdin=given, seconds=SECONDS))
    rows, seconds, requests = found["rows"], found["seconds"], found["requests"]
    fastest = found["of_all"] / found["drain"]
    row.add(
        "paid, each once",
        f"{found['paid']} of {rows}, {found['twice']} twice",
        goal="all, none twice",
        met=found["paid"] == rows and not found["twice"],
    )
    row.add(
        "time, by the portal's clock",
        f"{seconds / 60:.1f} minutes, {seconds / fastest:.2f} times the {fastest / 60:.1f} minutes "
        f"in which the bucket leaks that many requests at {found['drain']:g} a second",
    )
    row.add(
        "requests a row",
        f"{found['of_all'] / rows:.1f}, those of the person beside it included",
    )
    row.add(
        "QUERY_LIMIT_EXCEEDED",
        f"{found['refused']}, while another person opened the main page {found['pages']} times",
        goal="none",
        met=not found["refused"],
    )
    row.add("the app's own time a row", f"{found['own'] / rows * 1000:.0f} ms, the sandbox's in it")
    row.notes.append(
        "Each pause moves the portal's clock instead of sleeping. The run uses three quarters of "
        "what the bucket leaks, so that the rest stays for people."
    )
    if found["of_all"] < requests:
        raise RuntimeError("fewer requests than the run's own")
    return row
