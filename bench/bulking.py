"""A run of 500 payments by the sandbox's clock: `python -m bench.bulking` under Django.

The run's pauses are not slept through: the portal's clock is moved by each of them, so that its
bucket leaks as it would. Beside the run an administrator opens the main page again and again.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timedelta

import django
from django.utils import timezone


class Clock:
    """The app's clock goes with the portal's: one that is minutes behind would stop payments."""

    ahead = timedelta(0)
    real = staticmethod(timezone.now)

    @classmethod
    def now(cls) -> datetime:
        return cls.real() + cls.ahead


timezone.now = Clock.now  # Before models take it for their defaults.
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
# Seconds between two pages of the person who works beside the run: busy, for one person.
LOOKS_EVERY = 12.0


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
        looks, next_look = 0, LOOKS_EVERY
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
            if seconds >= next_look:
                text_of(beside.opened())
                looks += 1
                next_look += LOOKS_EVERY
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
            "looks": looks,
            "drain": portal.bucket_drain,
            "turned_away": sum(call.error == "QUERY_LIMIT_EXCEEDED" for call in calls),
            "waits": len(waited),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
