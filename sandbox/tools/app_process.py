"""Runs the app in its own processes: gunicorn and the worker, a new database, own settings."""

from __future__ import annotations

import base64
import fcntl
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sandbox.server.ports import LOOPBACK
from sandbox.world.seed import OUR_CLIENT_ID, OUR_SECRET

ROOT = Path(__file__).resolve().parent.parent.parent
VAR = ROOT / "var"
STATIC_BUILT = ROOT / "static_built"
# Deleted at each start: the portals in it exist no longer.
DATABASE = "db.sqlite3"
_DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm")
# As in the README, with one process fewer.
WORKERS, THREADS, CONNECTIONS = 2, 16, 24
START_SECONDS = 30  # timeout for the app's first response
STOP_SECONDS = 5
GRACE_SECONDS = 3  # for running requests when the app stops
TAIL_LINES = 30  # enough for a traceback
_POLL_SECONDS = 0.1
_OK = 200


class AppFailed(Exception):
    """The app did not start, or ended by itself; the message says where its log is."""


@dataclass(frozen=True)
class App:
    url: str
    log: Path
    process: subprocess.Popen[bytes]
    # The environment for its management commands.
    environment: Mapping[str, str] = field(repr=False)

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def tail(self) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-TAIL_LINES:])


@contextmanager
def running_app(
    listener: socket.socket, *, oauth_url: str, folder: Path, workers: int = WORKERS
) -> Iterator[App]:
    """Migrates, collects static files, serves on `listener` and waits for /healthz/.

    A second process does the background work. The database and the log are in `folder`. Both
    processes end with the block. Raises AppFailed.
    """
    port = listener.getsockname()[1]
    VAR.mkdir(exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _DATABASE_FILES:
        (folder / name).unlink(missing_ok=True)
    url = f"http://localhost:{port}"
    environment = environment_of(url, oauth_url, folder)
    log = folder / "app.log"
    with log.open("wb") as output:
        manage("migrate", environment, output)
        collect_static(environment, output)
        process = subprocess.Popen(  # noqa: S603 - our own app
            _gunicorn(listener, workers),
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            pass_fds=(listener.fileno(),),
        )
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "work"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    app = App(url, log, process, environment)
    try:
        _wait_until_healthy(app, port)
        yield app
    finally:
        _stop(process)
        _stop(worker)


def manage(command: str, environment: Mapping[str, str], output: BinaryIO) -> None:
    """Runs a management command without input. Raises AppFailed with its output."""
    done = subprocess.run(  # noqa: S603 - our own manage.py
        [sys.executable, "manage.py", command, "--noinput", "--verbosity", "0"],
        cwd=ROOT,
        env=environment,
        stdout=output,
        stderr=output,
        check=False,
    )
    if done.returncode:
        log = Path(output.name)
        raise AppFailed(f"manage.py {command} failed:\n{log.read_text(encoding='utf-8')}")


def collect_static(environment: Mapping[str, str], output: BinaryIO) -> None:
    """Collects static files if one changed; another app may be serving them now."""
    kept = VAR / "static-files.txt"
    with (VAR / "static-files.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = _static_files()
        current = kept.read_text(encoding="utf-8") if kept.exists() else ""
        if current == wanted and STATIC_BUILT.exists():
            return
        manage("collectstatic", environment, output)
        kept.write_text(wanted, encoding="utf-8")


def _static_files() -> str:
    """Returns the inputs of collectstatic: our own files and the locked packages, with times."""
    files = [ROOT / "requirements.lock", *sorted((ROOT / "static").rglob("*.*"))]
    return "\n".join(f"{file} {file.stat().st_mtime_ns}" for file in files)


def _gunicorn(listener: socket.socket, workers: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "b24app.wsgi:application",
        f"--bind=fd://{listener.fileno()}",
        "--worker-class=gthread",
        f"--workers={workers}",
        f"--threads={THREADS}",
        f"--worker-connections={CONNECTIONS}",
        f"--graceful-timeout={GRACE_SECONDS}",
        "--access-logfile=-",
        "--no-control-socket",
    ]


def environment_of(app_url: str, oauth_url: str, folder: Path) -> Mapping[str, str]:
    """Returns the app's environment: as in production, but with plain http on this machine."""
    return {
        **os.environ,
        **_secrets(VAR / "sandbox-secrets.json"),
        "DJANGO_SETTINGS_MODULE": "b24app.settings",
        "DEBUG": "False",
        "ALLOWED_HOSTS": "localhost",
        "APP_URL": app_url,
        "DATABASE_URL": f"sqlite:///{folder / DATABASE}",
        "B24_CLIENT_ID": OUR_CLIENT_ID,
        "B24_CLIENT_SECRET": OUR_SECRET,
        "B24_OAUTH_URL": oauth_url,
        "B24_JS_URL": f"{oauth_url}/api/v1/",
        "B24_ALLOW_HTTP": "True",
    }


def _secrets(path: Path) -> dict[str, str]:
    """Returns the stored secrets, generated on the first run; only the owner can read the file."""
    if not path.exists():
        made = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "B24_TOKEN_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        # Write a draft and rename it, so that a second start never reads half a file.
        draft = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(made, file)
        draft.replace(path)
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def _wait_until_healthy(app: App, port: int) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if app.has_ended:
            raise AppFailed(f"the app ended before its first response, see {app.log}\n{app.tail()}")
        if _is_healthy(port):
            return
        time.sleep(_POLL_SECONDS)
    raise AppFailed(f"the app did not respond within {START_SECONDS} seconds, see {app.log}")


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=START_SECONDS)
    try:
        connection.request("GET", "/healthz/", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status == _OK
    except OSError:
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
