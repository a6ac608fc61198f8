"""The whole set-up: PostgreSQL, PgBouncer, Redis, nginx, web and worker on one or more machines."""

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
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
NEEDS = [
    pytest.mark.skipif(
        None in (NGINX, REDIS, PGBOUNCER) and not os.environ.get("CI"),
        reason="there is no nginx, Redis or PgBouncer on this machine",
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
def whole(*, portals: int, machines: int = 1, pooled: bool = False) -> Iterator[Stage]:
    """Starts the whole set-up. `pooled`: the app reaches PostgreSQL through PgBouncer."""
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
        socket = database.partition("//postgres@/")[2].rpartition("/")[0]
        url = stack.enter_context(_pgbouncer(folder, socket)) if pooled else database
        app = stack.enter_context(
            proxied(folder, portals=portals, machines=machines, DATABASE_URL=url, CACHE_URL=cache)
        )
        yield Stage(
            app, f"host=/{socket} user=postgres dbname=postgres", redis, iter(member_ids(portals))
        )


@contextmanager
def _pgbouncer(folder: Path, socket: str) -> Iterator[str]:
    """Runs PgBouncer in transaction mode before the server with this socket; yields its URL.

    Two connections for each process of the app are far fewer than it has threads, so that
    transactions of different threads do share them.
    """
    [port] = free_ports(1)
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\npostgres = host=/{socket} user=postgres dbname=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {folder}/users.txt\n"
        "pool_mode = transaction\nmax_client_conn = 500\ndefault_pool_size = 12\n"
    )
    folder.chmod(0o755)
    command = [str(PGBOUNCER), str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:
        # PgBouncer does not run as root, and only its owner reads the server's socket.
        command[1:1] = ["-u", Path(f"/{socket}").owner()]
    with (folder / "pgbouncer.log").open("wb") as log, process(command, os.environ, log):
        until_open(port, folder)
        yield (f"postgresql://postgres@127.0.0.1:{port}/postgres?DISABLE_SERVER_SIDE_CURSORS=True")


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
