"""deploy/ as it is, on real PostgreSQL, nginx and Redis: `make deploy-check`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
import requests
import yaml

from sandbox.api.faults import Fault
from sandbox.tools.app_process import ROOT
from sandbox.tools.visitor import Unexpected
from sandbox.world import seed
from sandbox.world.events import form_body
from sandbox.world.world import Portal
from tests.deploy.proxied import (
    NGINX,
    Proxied,
    command_of,
    free_ports,
    member_ids,
    process,
    proxied,
    until_open,
)
from tests.payments.unconfirmed import OVERDUE
from tests.waiting import until

REDIS = shutil.which("redis-server")
pytestmark = [
    pytest.mark.skipif(
        (NGINX is None or REDIS is None) and not os.environ.get("CI"),
        reason="there is no nginx or no Redis on this machine",
    ),
    pytest.mark.timeout(600),
]

PORTALS = 6
PAY = "sale.paysystem.pay.payment"


@dataclass
class Stage:
    app: Proxied
    database: str
    redis: subprocess.Popen[bytes]
    unused: Iterator[str]  # portals that no test has installed the app in

    def one(self, sql: str) -> object:
        with psycopg.connect(self.database) as connection:
            row = connection.execute(sql).fetchone()
        return row and row[0]

    def portal(self) -> Portal:
        return self.app.sandbox.world.portals[next(self.unused)]


@contextmanager
def postgresql() -> Iterator[str]:
    """Yields the URL of a server of its own, which ends with its standard input."""
    command = [sys.executable, "-m", "tests.postgresql", "sh", "-c", "echo $DATABASE_URL; exec cat"]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.communicate()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    # Its path is short: a UNIX socket may be in it.
    folder = Path(tempfile.mkdtemp(prefix="pay-deploy-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        database = stack.enter_context(postgresql())
        [port] = free_ports(1)
        log = stack.enter_context((folder / "redis.log").open("wb"))
        command = [str(REDIS), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        redis = stack.enter_context(process(command, os.environ, log))
        until_open(port, folder)
        app = stack.enter_context(
            proxied(
                folder,
                portals=PORTALS,
                DATABASE_URL=database,
                CACHE_URL=f"rediscache://127.0.0.1:{port}/0",
            )
        )
        socket = database.partition("//postgres@/")[2].rpartition("/")[0]
        yield Stage(
            app, f"host=/{socket} user=postgres dbname=postgres", redis, iter(member_ids(PORTALS))
        )


def deliver_events(stage: Stage) -> int:
    """Posts the portals' events to the app, through the proxy; returns how many."""
    world = stage.app.sandbox.world
    with world.lock:
        deliveries, world.outbox = world.outbox, []
    for delivery in deliveries:
        reply = requests.post(
            delivery.url,
            form_body(delivery.fields),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            verify=stage.app.certificates,
            timeout=30,
        )
        assert reply.status_code == 200
    return len(deliveries)


def test_people_install_open_and_pay_and_the_worker_works_the_event(stage: Stage) -> None:
    portal = stage.portal()
    stage.app.walk(portal.member_id).run()
    assert deliver_events(stage) > 0
    until(lambda: len(portal.comments) == 1)
    assert set(stage.app.get("/readyz/").json()["jobs"]) >= {"work_events", "reconcile"}


def test_plain_http_is_led_to_https_which_browsers_keep_to(stage: Stage) -> None:
    answer = requests.get(
        f"{stage.app.plain_url}/legal/privacy/", allow_redirects=False, timeout=30
    )
    assert answer.status_code == 301
    assert answer.headers["Location"].startswith("https://localhost")
    page = stage.app.get("/legal/privacy/?lang=de")
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
    # The catalogues are compiled, and the static files are collected under lasting names.
    assert "Datenschutz" in page.text
    styles = {word for word in page.text.split('"') if word.endswith(".css")}
    assert styles
    for asset in map(stage.app.get, styles):
        assert (asset.status_code, "immutable" in asset.headers["Cache-Control"]) == (200, True)


def press_pay(stage: Stage, portal: Portal) -> tuple[threading.Thread, list[str]]:
    """Installs the app and presses Pay in a thread, whose answer is put into the list."""
    said: list[str] = []
    walk = stage.app.walk(portal.member_id, said)
    walk.install()
    walk.open_main_page()

    def pay() -> None:
        try:
            walk.pay()
        except (requests.RequestException, Unexpected) as error:
            said.append(f"no answer: {type(error).__name__}")

    thread = threading.Thread(target=pay)
    thread.start()
    return thread, said


def test_sigterm_lets_a_payment_on_its_way_end(stage: Stage) -> None:
    portal = stage.portal()
    under_way = threading.Event()
    fault = Fault("hold", method=PAY, on_hit=under_way, host=portal.url.split("//")[1])
    stage.app.sandbox.faults.add(fault)
    thread, said = press_pay(stage, portal)
    assert under_way.wait(60)
    web = stage.app.parts["web"]
    web.terminate()
    until(lambda: not listens(stage))
    fault.release.set()
    web.wait(60)
    # Before the second press of the walk, which finds no app.
    stage.app.start("web")
    thread.join(60)
    assert any("Pay was pressed. The app says: Paid" in line for line in said), said
    assert portal.payments[seed.PAYMENT].times_paid == 1


def listens(stage: Stage) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{stage.app.app_port}/healthz/", timeout=5).ok
    except requests.RequestException:
        return False


def test_a_payment_whose_process_is_killed_is_settled_by_the_worker(stage: Stage) -> None:
    portal = stage.portal()
    under_way = threading.Event()
    fault = Fault("hold", method=PAY, when="after", on_hit=under_way)
    stage.app.sandbox.faults.add(fault)
    thread, _said = press_pay(stage, portal)
    assert under_way.wait(60)
    web = stage.app.parts["web"]
    children = Path(f"/proc/{web.pid}/task/{web.pid}/children").read_text().split()
    for pid in (web.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    web.wait(60)
    fault.release.set()
    thread.join(60)
    stage.app.start("web")
    state = f"SELECT state FROM payments_attempt WHERE payment_id = {seed.PAYMENT} ORDER BY id DESC"
    assert stage.one(state) == "paying"
    seconds = int(OVERDUE.total_seconds())
    with psycopg.connect(stage.database) as connection:
        connection.execute(
            "UPDATE payments_attempt SET due_at = now(), "
            f"sent_at = sent_at - interval '{seconds} s' WHERE state = 'paying'"
        )
    until(lambda: stage.one(state) == "paid")
    assert portal.payments[seed.PAYMENT].times_paid == 1


def test_without_redis_people_still_pay(stage: Stage) -> None:
    stage.redis.kill()
    stage.redis.wait()
    stage.app.walk(stage.portal().member_id).run()


def test_the_worker_ends_at_sigterm_and_starts_again(stage: Stage) -> None:
    worker = stage.app.parts["worker"]
    worker.terminate()
    assert worker.wait(30) == 0
    stage.app.start("worker")
    assert stage.app.parts["worker"].poll() is None


def test_the_code_of_before_the_newest_migration_works_on_its_tables(stage: Stage) -> None:
    """So web processes of both may run while an update is rolled out."""
    newest = subprocess.run(
        ["git", "log", "-1", "--diff-filter=A", "--format=%H", "--", "*/migrations/0*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    before = subprocess.run(
        ["git", "archive", f"{newest}~1"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    root = stage.app.folder / "before"
    with tarfile.open(fileobj=BytesIO(before)) as archive:
        archive.extractall(root, filter="data")
    (root / "static_built").symlink_to(ROOT / "static_built")
    if not (root / "deploy" / "entry").exists():
        shutil.copy(ROOT / "deploy" / "entry", root / "deploy" / "entry")
    web = stage.app.parts["web"]
    web.terminate()
    web.wait(60)
    try:
        stage.app.start("web", root=root)
        stage.app.walk(stage.portal().member_id).run()
    finally:
        web = stage.app.parts["web"]
        web.terminate()
        web.wait(60)
        stage.app.start("web")


def test_units_and_containers_start_what_the_tests_start() -> None:
    entry = str(ROOT / "deploy" / "entry")
    assert {part: command_of(part) for part in ("web", "worker")} == {
        part: [entry, part] for part in ("web", "worker")
    }
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {"prepare", "web", "worker", "db", "cache", "proxy"}
    assert (services["web"]["command"], services["worker"]["command"]) == (["web"], ["worker"])
    for name in ("prepare", "web", "worker"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
    image = (ROOT / "deploy" / "Containerfile").read_text()
    assert 'ENTRYPOINT ["deploy/entry"]' in image
    assert "USER pay" in image
    # What the image copies is there, and nothing that the app imports is left out.
    copied = {line.split()[1] for line in image.splitlines() if line.startswith("COPY ")}
    assert {"b24app", "payments", "templates", "static", "locale", "manage.py"} <= copied
