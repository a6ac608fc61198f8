"""Measures screens and commands while the tables grow: `python -m bench.growing` under Django.

Reads {"quick": bool, "seconds": number} from stdin, writes its results as JSON to stdout.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.core.cache import cache  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Min  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from b24app import models  # noqa: E402
from b24app.rest import transport  # noqa: E402
from b24app.tokens import keep_alive  # noqa: E402
from bench import filling  # noqa: E402
from bench.portals import world_of  # noqa: E402
from payments.attempts.reconcile import reconcile  # noqa: E402
from payments.models import Attempt, State  # noqa: E402
from sandbox.server.adapter import SandboxAdapter  # noqa: E402
from sandbox.server.app import Sandbox  # noqa: E402
from sandbox.world import seed  # noqa: E402
from tests.payments import stage  # noqa: E402
from tests.payments.frames import DEAL_TAB, Frame, text_of  # noqa: E402

SIZES = ((1, 1_000), (100, 1_000), (10_000, 1_000), (10_000, 1_000_000), (10_000, 10_000_000))
QUICK_SIZES = ((1, 1_000), (10_000, 1_000), (10_000, 300_000))
TIMES = 15
# Filling ten times the rows takes more than ten times as long: indexes are sorted.
SLOWER = 1.6
DUE = 5  # attempts that reconcile settles, and pairs that keep_tokens renews
SOME = 1_000_000  # rows of the sealed ledger: one append reads one of them by its index
# PostgreSQL scans a smaller table because that is faster than its index.
MANY = 5_000
WATCHED = ("payments_attempt", "payments_entry", "b24app_portal", "b24app_usertoken")
_SCAN = re.compile(r"(?:Parallel )?Seq Scan on (\w+)")


class Growing:
    def __init__(self) -> None:
        world = world_of(
            [f"https://p{number}.example.com" for number in range(DUE + 1)],
            oauth_url="https://oauth.bitrix.info",
            app_url="http://localhost",
        )
        self.sandbox = Sandbox(world)
        self.portals = list(world.portals.values())
        with transport.use_adapter(SandboxAdapter(self.sandbox)):
            self.rows = [stage.install(self.sandbox, portal) for portal in self.portals]
            client = Client(headers={"host": "localhost"})
            self.manager = Frame(client, self.sandbox, self.portals[0], seed.MANAGER)
            self.admin = Frame(client, self.sandbox, self.portals[0], seed.ADMIN)

    def works(self) -> dict[str, tuple[Callable[[], None], Callable[[], object]]]:
        """Returns, by name, the preparation of each measurement and the measured work."""
        pk = self.rows[0].pk

        def nothing() -> None:
            return

        def get(path: str, **fields: str) -> Callable[[], object]:
            def ask() -> object:
                answer = self.admin.client.get(path, fields, headers=self.admin.headers())
                return text_of(answer)

            return ask

        deep = str(Attempt.objects.filter(portal_id=pk).aggregate(pk=Min("pk"))["pk"] + 200)
        return {
            "Open the deal tab": (nothing, lambda: text_of(self.manager.opened(DEAL_TAB, "8061"))),
            "Open the main page": (nothing, lambda: text_of(self.manager.opened())),
            "History, first page with totals": (nothing, get("/payments/history/")),
            "History, a page far down": (nothing, get("/payments/history/more/", before=deep)),
            "History, filtered by outcome, person, system": (
                nothing,
                get("/payments/history/found/", outcome="refused", person="1", system="11"),
            ),
            "History, one order": (nothing, get("/payments/history/found/", q="100500")),
            f"A pass of reconcile, {DUE} due": (self._open_attempts, self._reconcile),
            f"A pass of keep_tokens, {DUE} due": (self._age_pairs, self._keep),
        }

    def _open_attempts(self) -> None:
        pk, sent = self.rows[0].pk, timezone.now() - timedelta(minutes=5)
        Attempt.objects.bulk_create(
            Attempt(
                portal_id=pk, payment_id=payment_id, account_number="184/1", owner_type=2,
                owner_id=seed.PLAIN_DEALS[(payment_id - seed.PLAIN_PAYMENTS[0]) // 3],
                pay_system_id=seed.ACME_PAY, bound_pay_system_id=seed.ACME_PAY, sum=59,
                currency="EUR", user_id=seed.MANAGER, state=State.UNKNOWN, created_at=sent,
                sent_at=sent, due_at=sent,
            )
            for payment_id in seed.PLAIN_PAYMENTS[:DUE]
        )  # fmt: skip

    def _reconcile(self) -> None:
        done = reconcile()
        if done.looked_at != DUE or done.failed:
            raise RuntimeError(f"reconcile: {done}")

    def _age_pairs(self) -> None:
        old = timezone.now() - keep_alive.LIFETIME + timedelta(hours=1)
        pairs = models.UserToken.objects.filter(serves_portal=True, portal__in=self.rows[1:])
        pairs.update(refreshed_at=old)

    def _keep(self) -> None:
        kept = list(keep_alive.renew_due())
        if len(kept) != DUE or any(one.error for one in kept):
            raise RuntimeError(f"keep_tokens: {kept}")

    def measured(self) -> dict[str, dict[str, Any]]:
        found = {}
        for name, (before, work) in self.works().items():
            taken: list[float] = []
            in_database: list[str] = []
            for number in range(TIMES + 1):
                before()
                if number == 0:
                    with CaptureQueriesContext(connection) as queries:
                        work()
                    # Copy now: the next request empties the list.
                    in_database = [query["sql"] for query in queries if _is_plain(query["sql"])]
                    continue
                started = time.perf_counter()
                work()
                taken.append(time.perf_counter() - started)
            found[name] = {
                "seconds": statistics.median(taken),
                "statements": len(in_database),
                "scans": sorted({scan for sql in in_database for scan in _scans(sql)}),
            }
        return found


def _is_plain(sql: str) -> bool:
    return sql.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"))


def _scans(sql: str) -> list[str]:
    """Returns the large tables that PostgreSQL would scan for this statement."""
    if sql.lstrip().startswith("INSERT"):
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    found = [table for table in _SCAN.findall(plan) if table in WATCHED]
    return [table for table in found if _rows_of(table) >= MANY]


def _rows_of(table: str) -> int:
    """Returns the table's rows as of its last ANALYZE."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE relname = %s", [table])
        (count,) = cursor.fetchone()
    return int(count)


def _at_once(seconds: float) -> None:
    """Replaces the pause between two renewals."""


def main() -> None:
    asked = json.load(sys.stdin)
    give_up = time.monotonic() + asked["seconds"]
    filling.relax()
    growing = Growing()
    keep_alive.pause = _at_once
    portal_id = growing.rows[0].pk
    found: list[dict[str, Any]] = []
    portals = rows = sealed = 0
    pace = 0.0
    with transport.use_adapter(SandboxAdapter(growing.sandbox)):
        for wanted_portals, wanted_rows in QUICK_SIZES if asked["quick"] else SIZES:
            if wanted_portals > portals:
                filling.portals(portals + 1, wanted_portals)
                portals = wanted_portals
            left = give_up - time.monotonic()
            if pace and (wanted_rows - rows) * pace * SLOWER > left:
                # Reduce to what the time allows, in whole millions.
                wanted_rows = rows + int(left / pace / SLOWER / 1_000_000) * 1_000_000
            if wanted_rows > rows:
                started = time.monotonic()
                filling.attempts(rows + 1, wanted_rows, portal_id=portal_id)
                pace = (time.monotonic() - started) / (wanted_rows - rows)
                rows = wanted_rows
                if sealed < min(rows, SOME):
                    filling.entries(sealed + 1, min(rows, SOME), portal_id=portal_id)
                    sealed = min(rows, SOME)
            cache.clear()
            found.append({"portals": portals, "rows": rows, "works": growing.measured()})
    json.dump(
        {"sizes": found, "sealed": sealed},
        sys.stdout,
    )


if __name__ == "__main__":
    main()
