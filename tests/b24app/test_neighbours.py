"""A slow portal beside a good one, in the app's own processes: the good one is served meanwhile.

The app is started as the README says. The bad portal is a real server that answers nothing, or one
byte after another; it counts what is asked of it. No test here measures time: the good portal and
`/healthz/` are served while every call to the bad one is still held.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from b24app.rest import pool, shares
from bench.portals import Portals, world_of
from sandbox.server.app import Sandbox
from sandbox.server.ports import LOOPBACK, PortServers, running
from sandbox.tools.app_process import ROOT, App, running_app
from sandbox.world import seed
from tests.b24app.servers import Listener, listening
from tests.waiting import until

WORKERS = 3
BAD, GOOD = 1, 2
OPENINGS = 100
# Requests to the bad portal that the app may hold, in all processes.
HELD = WORKERS * shares.PORTAL.places
# Calls of these: each request makes some at once, in threads of the pool.
CALLED = WORKERS * (shares.PORTAL.places + pool.SHARE)
PATIENCE = 60.0  # for conditions that take a second where the machine has nothing else to do
DRIP_SECONDS = 0.5

pytestmark = [pytest.mark.timeout(300), pytest.mark.servers]


class BadPortal:
    """What the bad portal does with each request, and how many it has at once."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.drips = False
        self.under_way = self.most = 0
        self._lock = threading.Lock()

    def begin(self, *, drips: bool) -> None:
        self.released.clear()
        self.drips, self.most = drips, 0

    def answer(self, connection: socket.socket) -> None:
        with self._lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            if self.drips:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.released.wait(DRIP_SECONDS):
                if self.drips:
                    connection.sendall(b"y")
        finally:
            with self._lock:
                self.under_way -= 1
        connection.shutdown(socket.SHUT_RDWR)


@dataclass
class Stand:
    app: App
    port: int
    bad: BadPortal
    portals: Portals

    def opening(self, number: int) -> tuple[int, str | None, str]:
        """Opens the main page; returns the status, Retry-After and the page."""
        body = urlencode({**self.portals.opening(number, seed.MANAGER), "PLACEMENT": "DEFAULT"})
        return self._ask("POST", "/?LANG=en&DOMAIN=portal.example.com", body)

    def health(self) -> int:
        return self._ask("GET", "/healthz/", None)[0]

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, str | None, str]:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=PATIENCE)
        headers = {"Host": f"localhost:{self.port}"}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Retry-After"), answer.read().decode()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    bad = BadPortal()
    with ExitStack() as stack:
        servers = PortServers([0, 0])
        oauth_url, good_url = (f"http://127.0.0.1:{port}" for port in servers.ports)
        slow: Listener = stack.enter_context(listening(bad.answer))
        stack.callback(bad.released.set)
        sandbox = Sandbox(
            world_of(
                [f"http://127.0.0.1:{slow.port}", good_url],
                oauth_url=oauth_url,
                app_url="http://localhost",
            )
        )
        stack.enter_context(running(sandbox, servers))
        listener = stack.enter_context(socket.create_server((LOOPBACK, 0), backlog=2048))
        folder = tmp_path_factory.mktemp("app")
        app = stack.enter_context(
            running_app(listener, oauth_url=oauth_url, folder=folder, workers=WORKERS)
        )
        portals = Portals(sandbox, servers.ports[1])
        for told in portals.installed():
            keep(app, told)
        found = Stand(app, listener.getsockname()[1], bad, portals)
        for _ in range(2 * WORKERS):
            assert found.opening(GOOD)[0] == 200
        yield found


def keep(app: App, told: dict[str, str]) -> None:
    """Stores what an installation leaves in the app's database."""
    port = told["domain"].partition(":")[2]
    asked = json.dumps({"scheme": "http", "port": port, "portals": [told]})
    subprocess.run(
        [sys.executable, "-m", "bench.prepare"],
        cwd=ROOT,
        env={**app.environment},
        input=asked,
        text=True,
        check=True,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
def test_a_bad_portal_takes_nothing_from_the_others(stand: Stand, drips: bool) -> None:
    stand.bad.begin(drips=drips)
    with ThreadPoolExecutor(OPENINGS) as pool:
        try:
            bad: list[Future[tuple[int, str | None, str]]] = [
                pool.submit(stand.opening, BAD) for _ in range(OPENINGS)
            ]
            until(lambda: sum(each.done() for each in bad) >= OPENINGS - HELD)
            refused = [each.result() for each in bad if each.done()]
            good = [stand.opening(GOOD) for _ in range(20)]
            health = [stand.health() for _ in range(20)]
            held = stand.bad.under_way
        finally:
            stand.bad.released.set()

    assert {status for status, _, _ in good} == {200}
    assert set(health) == {200}
    # The bad portal still holds its share of requests.
    assert 0 < held <= stand.bad.most <= CALLED
    assert len(refused) == OPENINGS - HELD
    assert {(status, after) for status, after, _ in refused} == {(503, "5")}
    assert all("Nothing was sent, so nothing was paid" in page for _, _, page in refused)
    until(lambda: stand.bad.under_way == 0)


def test_after_a_slow_spell_the_portal_has_its_share_again(stand: Stand) -> None:
    stand.bad.begin(drips=False)
    with ThreadPoolExecutor(OPENINGS) as pool:
        bad = [pool.submit(stand.opening, BAD) for _ in range(OPENINGS)]
        until(lambda: sum(each.done() for each in bad) >= OPENINGS - HELD)
        stand.bad.released.set()
        ends = [each.result()[0] for each in bad]
    # Held requests got no answer; refused ones got a refusal.
    assert sorted(set(ends)) == [503, 504]

    # The portal hangs up at once from now on, and that is not "slow".
    until(lambda: stand.opening(BAD)[0] == 504)
