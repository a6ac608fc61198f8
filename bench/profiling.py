"""Profiles openings and payments by function: `python -m bench.profiling`.

The app runs in this process, on SQLite; the sandbox runs in another, over plain HTTP.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import app as apps
from bench.stage import Stage, built

TIMES = 400
LINES = 45


def main() -> int:
    with built(count=2) as stage, tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{Path(folder) / 'profile.sqlite3'}"
        apps.prepare(database, stage.portals.installed(), scheme="http", port=stage.near_port)
        os.environ.update(apps.environment(database, APP_URL="http://localhost:8000"))
        _profile(stage)
    return 0


def _profile(stage: Stage) -> None:
    import django

    django.setup()
    from django.test import Client

    from bench.rows.round_trips import Ready
    from bench.stage import MAIN, MANAGER, QUERY, TAB

    client = Client(headers={"host": "localhost"})
    payments = iter(stage.portals.fill(1, TIMES + 1))

    def opened(placement: str, deal_id: int) -> Ready:
        body = stage.opening(1, placement=placement, deal_id=deal_id, user_id=MANAGER)
        return Ready(f"/?{QUERY}", body, {}, "data-payment=")

    def send(ready: Ready) -> str:
        answer = client.post(
            ready.path,
            ready.body,
            content_type="application/x-www-form-urlencoded",
            headers=ready.headers,
        )
        page = answer.content.decode()
        if ready.marker not in page:
            raise RuntimeError(page)
        return page

    def paying() -> Ready:
        import re
        from urllib.parse import urlencode

        from sandbox.world import seed

        deal_id, payment_id, *_ = next(payments)
        page = send(opened(TAB, deal_id))
        line = page.split(f'data-payment="{payment_id}"', 1)[1].split("</tr>", 1)[0]
        offer = re.findall(r'name="offer" value="([^"]+)"', line)[0]
        session = re.findall(r'data-session="([^"]+)"', page)[0]
        body = urlencode({"offer": offer, "pay_system_id": seed.ACME_PAY}).encode()
        headers = {"X-Frame-Session": session, "HX-Request": "true"}
        return Ready("/payments/pay/", body, headers, 'data-state="paid"')

    _run("opening a tab", lambda: opened(TAB, 8062), send)
    _run("opening the main page", lambda: opened(MAIN, 0), send)
    _run("a payment", paying, send)


def _run(name: str, ready: Callable[[], object], send: Callable[..., object]) -> None:
    profile = cProfile.Profile()
    send(ready())
    for _ in range(TIMES):
        asked = ready()
        profile.enable()
        send(asked)
        profile.disable()
    stats = pstats.Stats(profile, stream=sys.stdout)
    total = stats.total_tt / TIMES * 1000  # type: ignore[attr-defined]
    sys.stdout.write(f"\n==== {name}: {total:.2f} ms each, under the profiler\n")
    stats.sort_stats("tottime").print_stats(LINES)
    stats.sort_stats("cumtime").print_stats(r"b24app|payments", LINES)


if __name__ == "__main__":
    sys.exit(main())
