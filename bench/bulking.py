"""Runs 500 payments by the sandbox's clock: `python -m bench.bulking` under Django.

Instead of sleeping, each pause of the run moves the portal's clock, so that its bucket leaks as in
real time. During the run an administrator opens the main page repeatedly.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timedelta

import django
from django.utils import timezone


class Clock:
    """The app's clock, moved with the portal's: a difference of minutes would stop payments."""

    ahead = timedelta(0)
    real = staticmethod(timezone.now)

    @classmethod
    def now(cls) -> datetime:
        return cls.real() + cls.ahead


timezone.now = Clock.now  # before models use it for their defaults
django.setup()

from django.test import Client  # noqa: E402

from b24app.rest import client as rest  # noqa: E402
from b24app.rest import transport  # noqa: E402
from payments.bulk import runs  # noqa: E402
from payments.bulk.dry_run import draft_ticked  # noqa: E402
from payments.bulk.forms import KINDS_OF_A_RUN  # noqa: E402
from payments.bulk.step import step  # noqa: E402
from payments.models import Run, RunState, State  # noqa: E402
from sandbox.server.adapter import SandboxAdapter  # noqa: E402
from sandbox.server.app import Sandbox  # noqa: E402
from sandbox.world import seed  # noqa: E402
from tests.payments import stage  # noqa: E402
from tests.payments.frames import Frame, text_of  # noqa: E402

QUICK_ROWS = 20
# Seconds between two pages of a busy person during the run.
PAGE_SECONDS = 12.0


def main() -> None:
    count = QUICK_ROWS if json.load(sys.stdin)["quick"] else 500
    world = seed.demo_world(
        oauth_url="https://oauth.bitrix.info",
        portal_urls=("https://alpha.example.com", "https://beta.example.com"),
        app_url="http://localhost",
    )
    sandbox = Sandbox(world)
    portal = world.portals[seed.ALPHA]
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)

    rest.pause = pause
    with transport.use_adapter(SandboxAdapter(sandbox)):
        row = stage.install(sandbox, portal)
        person = stage.person(sandbox, row, seed.MANAGER)
        beside = Frame(Client(headers={"host": "localhost"}), sandbox, portal, seed.ADMIN)
        payment_ids = seed.fill(portal, count)
        run = draft_ticked(person, payment_ids)
        runs.start(run, KINDS_OF_A_RUN)
        since = len(sandbox.log)
        seconds = own = 0.0
        pages, next_page = 0, PAGE_SECONDS
        for _ in range(2 * count):
            if run.state != RunState.RUNNING:
                break
            Run.objects.filter(pk=run.pk).update(next_step_at=timezone.now() - timedelta(seconds=1))
            before, started = timezone.now(), time.perf_counter()
            step(person, run)
            own += time.perf_counter() - started
            if run.next_step_at is not None:
                delay = (run.next_step_at - before).total_seconds()
                world.advance(delay)
                Clock.ahead += timedelta(seconds=delay)
                seconds += delay
            if seconds >= next_page:
                text_of(beside.opened())
                pages += 1
                next_page += PAGE_SECONDS
    calls = sandbox.log[since:]
    paid = run.rows.filter(attempt__state=State.PAID).count()
    json.dump(
        {
            "rows": count,
            "paid": paid,
            "twice": sum(portal.payments[number].times_paid > 1 for number in payment_ids),
            "seconds": seconds,
            "own": own,
            "requests": sum(call.user_id == seed.MANAGER for call in calls),
            "of_all": len(calls),
            "pages": pages,
            "drain": portal.bucket_drain,
            "refused": sum(call.error == "QUERY_LIMIT_EXCEEDED" for call in calls),
            "waits": len(waited),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
