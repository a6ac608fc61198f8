"""Runs the app in its own processes, as the README starts it, and reads their CPU and memory."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.world.seed import OUR_CLIENT_ID, OUR_SECRET

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
# The gunicorn command line of deploy/entry.
WORKERS, THREADS = 3, 16
GUNICORN = (
    f"--worker-class gthread --workers {WORKERS} --threads {THREADS} --worker-connections 24 "
    "--timeout 120"
).split()
START_SECONDS, STOP_SECONDS, PREPARE_SECONDS = 40, 10, 120
TOKEN_KEY = "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmU="
BACKLOG = 2048


class AppFailed(Exception):
    """The app or one of its commands failed; the message is its output."""


@dataclass(frozen=True)
class App:
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def workers(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def cpu_seconds(self) -> float:
        """The CPU time of all workers since they started."""
        ticks = 0
        for pid in self.workers():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> list[float]:
        """The resident memory of each worker, sorted."""
        found = []
        for pid in self.workers():
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            kilobytes = next(line.split()[1] for line in lines if line.startswith("VmRSS"))
            found.append(int(kilobytes) / 1024)
        return sorted(found)


def environment(database: str, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "b24app.settings",
        "PYTHONPATH": str(ROOT),
        "DEBUG": "False",
        "SECRET_KEY": "bench-" * 10,
        "B24_TOKEN_KEYS": TOKEN_KEY,
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "DATABASE_URL": database,
        "B24_CLIENT_ID": OUR_CLIENT_ID,
        "B24_CLIENT_SECRET": OUR_SECRET,
        "B24_OAUTH_URL": "http://127.0.0.1:9",
        "B24_JS_URL": "http://127.0.0.1:9/api/v1/",
        "B24_ALLOW_HTTP": "True",
        "B24_PRIVATE_NETWORKS": "127.0.0.0/8",
        **more,
    }


def run_python(
    arguments: Sequence[str], env: Mapping[str, str], *, stdin: str = "", seconds: float
) -> str:
    """Runs Python and returns its output. Raises AppFailed."""
    try:
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, *arguments],
            cwd=ROOT,
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AppFailed(f"{arguments} took more than {seconds} seconds") from error
    if done.returncode:
        raise AppFailed(f"{arguments}: {done.stderr[-3000:]}")
    return done.stdout


def prepare(database: str, portals: Sequence[Mapping[str, Any]], *, scheme: str, port: int) -> None:
    """Migrates, collects static files, and stores each portal as an installation does."""
    env = environment(database)
    for command in ("migrate", "collectstatic"):
        run_python(
            ["manage.py", command, "--noinput", "--verbosity", "0"], env, seconds=PREPARE_SECONDS
        )
    given = json.dumps({"scheme": scheme, "port": port, "portals": list(portals)})
    run_python(["-m", "bench.prepare"], env, stdin=given, seconds=PREPARE_SECONDS)


@contextmanager
def running(database: str, *, application: str = "b24app.wsgi", **more: str) -> Iterator[App]:
    """Serves until the block ends. Raises AppFailed if the app does not respond."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-app-") as folder,
        socket.create_server((LOOPBACK, 0), backlog=BACKLOG) as listener,
    ):
        listener.set_inheritable(True)
        port = listener.getsockname()[1]
        log = Path(folder) / "app.log"
        env = environment(database, APP_URL=f"http://localhost:{port}", **more)
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own app
                [
                    sys.executable,
                    "-m",
                    "gunicorn",
                    f"{application}:application",
                    *GUNICORN,
                    f"--bind=fd://{listener.fileno()}",
                    "--no-control-socket",
                ],
                cwd=ROOT,
                env=env,
                stdout=output,
                stderr=output,
                pass_fds=(listener.fileno(),),
            )
        app = App(port, log, process)
        try:
            _wait(app)
            yield app
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(app: App) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if app.process.poll() is not None:
            break
        connection = http.client.HTTPConnection(LOOPBACK, app.port, timeout=5)
        try:
            connection.request("GET", "/healthz/", headers={"Host": app.host})
            if connection.getresponse().status == http.client.OK and len(app.workers()) == WORKERS:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise AppFailed(f"the app does not respond:\n{app.log.read_text(errors='replace')[-3000:]}")
