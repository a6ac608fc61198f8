"""deploy/ as it is, on real PostgreSQL, nginx and Redis: `make deploy-check`."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from io import BytesIO

import pytest
import requests
import yaml

from sandbox.api.faults import Fault
from sandbox.tools.app_process import ROOT
from sandbox.tools.visitor import Unexpected
from sandbox.world import seed
from sandbox.world.events import form_body
from sandbox.world.world import Portal
from tests.deploy.proxied import command_of
from tests.deploy.whole import NEEDS, PAY, Stage, whole
from tests.waiting import until

pytestmark = NEEDS

PORTALS = 6


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with whole(portals=PORTALS) as found:
        yield found


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
    web = stage.app.parts["web-1"]
    web.terminate()
    until(lambda: not listens(stage))
    fault.release.set()
    web.wait(60)
    # Before the second press of the walk, which finds no app.
    stage.app.start("web-1")
    thread.join(60)
    assert any("Pay was pressed. The app says: Paid" in line for line in said), said
    assert portal.payments[seed.PAYMENT].times_paid == 1


def listens(stage: Stage) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{stage.app.app_ports[0]}/healthz/", timeout=5).ok
    except requests.RequestException:
        return False


def test_a_payment_whose_process_is_killed_is_settled_by_the_worker(stage: Stage) -> None:
    portal = stage.portal()
    under_way = threading.Event()
    fault = Fault("hold", method=PAY, when="after", on_hit=under_way)
    stage.app.sandbox.faults.add(fault)
    thread, _said = press_pay(stage, portal)
    assert under_way.wait(60)
    stage.app.kill("web-1")
    fault.release.set()
    thread.join(60)
    stage.app.start("web-1")
    state = f"SELECT state FROM payments_attempt WHERE payment_id = {seed.PAYMENT} ORDER BY id DESC"
    assert stage.one(state) == "paying"
    stage.let_time_pass()
    until(lambda: stage.one(state) == "paid")
    assert portal.payments[seed.PAYMENT].times_paid == 1


def test_without_redis_people_still_pay(stage: Stage) -> None:
    stage.redis.kill()
    stage.redis.wait()
    stage.app.walk(stage.portal().member_id).run()


def test_the_worker_ends_at_sigterm_and_starts_again(stage: Stage) -> None:
    worker = stage.app.parts["worker-1"]
    worker.terminate()
    assert worker.wait(30) == 0
    stage.app.start("worker-1")
    assert stage.app.parts["worker-1"].poll() is None


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
    web = stage.app.parts["web-1"]
    web.terminate()
    web.wait(60)
    try:
        stage.app.start("web-1", root=root)
        stage.app.walk(stage.portal().member_id).run()
    finally:
        web = stage.app.parts["web-1"]
        web.terminate()
        web.wait(60)
        stage.app.start("web-1")


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
