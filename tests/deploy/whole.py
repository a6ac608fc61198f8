"""The whole set-up: PostgreSQL, Redis, nginx, and web and worker on one machine or several."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from sandbox.tools.app_process import ROOT
from sandbox.world.world import Portal
from tests.deploy.proxied import (
    NGINX,
    Proxied,
    free_ports,
    member_ids,
    process,
    proxied,
    until_open,
)
from tests.payments.unconfirmed import OVERDUE

REDIS = shutil.which("redis-server")
NEEDS = [
    pytest.mark.skipif(
        (NGINX is None or REDIS is None) and not os.environ.get("CI"),
        reason="there is no nginx or no Redis on this machine",
    ),
    pytest.mark.timeout(600),
]
PAY = "sale.paysystem.pay.payment"


@dataclass
class Stage:
    app: Proxied
    database: str
    redis: subprocess.Popen[bytes]
    unused: Iterator[str]  # portals that no test has installed the app in

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(sql).fetchall()

    def one(self, sql: str) -> object:
        return self.rows(sql)[0][0]

    def let_time_pass(self) -> None:
        """Makes every open attempt due, as if so long had passed since it was sent."""
        seconds = int(OVERDUE.total_seconds())
        with psycopg.connect(self.database) as connection:
            connection.execute(
                "UPDATE payments_attempt SET due_at = now(), created_at = created_at - interval "
                f"'{seconds} s', sent_at = sent_at - interval '{seconds} s' "
                "WHERE due_at IS NOT NULL"
            )

    def portal(self) -> Portal:
        return self.app.sandbox.world.portals[next(self.unused)]


@contextmanager
def whole(*, portals: int, machines: int = 1) -> Iterator[Stage]:
    # Its path is short: a UNIX socket may be in it.
    folder = Path(tempfile.mkdtemp(prefix="pay-deploy-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        database = stack.enter_context(_postgresql())
        [port] = free_ports(1)
        log = stack.enter_context((folder / "redis.log").open("wb"))
        command = [str(REDIS), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        redis = stack.enter_context(process(command, os.environ, log))
        until_open(port, folder)
        cache = f"rediscache://127.0.0.1:{port}/0"
        app = stack.enter_context(
            proxied(
                folder, portals=portals, machines=machines, DATABASE_URL=database, CACHE_URL=cache
            )
        )
        socket = database.partition("//postgres@/")[2].rpartition("/")[0]
        yield Stage(
            app, f"host=/{socket} user=postgres dbname=postgres", redis, iter(member_ids(portals))
        )


@contextmanager
def _postgresql() -> Iterator[str]:
    """Yields the URL of a server of its own, which ends with its standard input."""
    command = [sys.executable, "-m", "tests.postgresql", "sh", "-c", "echo $DATABASE_URL; exec cat"]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.communicate()
