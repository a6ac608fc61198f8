"""deploy/nginx.conf with the real nginx: what it passes on, and which clients it keeps away."""

from __future__ import annotations

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests

from b24app.identity import session
from sandbox.tools.app_process import ROOT
from sandbox.tools.visitor import Visitor
from sandbox.world import seed
from tests.deploy.proxied import NGINX, Proxied, member_ids, proxied
from tests.waiting import until

pytestmark = [
    pytest.mark.skipif(
        NGINX is None and not os.environ.get("CI"), reason="there is no nginx on this machine"
    ),
    # The set-up, seven walks and the wait for fifty exports, on a busy machine.
    pytest.mark.timeout(600),
]

WALKS = 3
HALF_SENT = 200
READERS = 50
# Rows of an export: half a megabyte, several times what the kernel keeps for a reader.
ROWS = 2_000
# Below this a difference is the machine's and not the app's.
NOISE_SECONDS = 2.0

_KEEP_ROWS = """
import django
django.setup()
from tests.payments.attempts import made
from b24app.models import Portal
from payments.models import Attempt
portal = Portal.objects.get(member_id={member_id!r})
Attempt.objects.bulk_create(
    [made(portal, payment_id=900_000 + number) for number in range({rows})]
)
"""


@pytest.fixture(scope="module")
def stage() -> Iterator[Proxied]:
    # Its path is short: a UNIX socket may be in it.
    folder = Path(tempfile.mkdtemp(prefix="pay-proxied-"))
    try:
        with proxied(folder, portals=2 * WALKS + 1) as found:
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_file_is_one_that_nginx_takes(stage: Proxied) -> None:
    assert NGINX is not None
    done = subprocess.run(
        [NGINX, "-t", "-p", str(stage.folder), "-c", str(stage.folder / "nginx.conf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_people_pay_through_it_while_others_hold_it_up(stage: Proxied) -> None:
    portals = member_ids(2 * WALKS + 1)
    first, quiet, busy = portals[0], portals[1 : WALKS + 1], portals[WALKS + 1 :]
    stage.walk(first).run()  # Warms up; its administrator exports.
    alone = [seconds_of(stage, member_id) for member_id in quiet]
    with HeldUp(stage, first) as held:
        among = [seconds_of(stage, member_id) for member_id in busy]
        assert held.half_sent() >= HALF_SENT * 0.9
        assert held.readers() == READERS
    allowed = max(2 * statistics.median(alone), statistics.median(alone) + NOISE_SECONDS)
    assert statistics.median(among) <= allowed, (alone, among)


def seconds_of(stage: Proxied, member_id: str) -> float:
    began = time.monotonic()
    stage.walk(member_id).run()
    return time.monotonic() - began


class HeldUp:
    """Holds half-sent requests open byte by byte, and clients of an export that never read."""

    def __init__(self, stage: Proxied, member_id: str) -> None:
        self._stage, self._member_id = stage, member_id
        self._senders: list[socket.socket | None] = [None] * HALF_SENT
        self._readers: list[socket.socket] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_sending)

    def __enter__(self) -> HeldUp:
        program = _KEEP_ROWS.format(member_id=self._member_id, rows=ROWS)
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=dict(self._stage.environment),
            check=True,
        )
        visitor = Visitor(self._stage.portals[self._member_id], self._stage.certificates)
        visitor.sign_in(seed.ADMIN)
        card = visitor.page(f"/crm/deal/details/{seed.DEAL}/")
        link = next(a.attributes["href"] for a in card.all("a") if "?tab=" in a.attributes["href"])
        value = visitor.open_frame(visitor.page(link)).session
        whole = visitor.app.post(
            f"{self._stage.url}/payments/history/export/",
            data={session.FIELD: value},
            timeout=60,
        )
        assert whole.status_code == 200
        assert len(whole.content) > ROWS * 100
        request = self._request("/payments/history/export/", urlencode({session.FIELD: value}))
        for _ in range(READERS):
            reader = self._stage.connect(receive_buffer=1024)
            reader.sendall(request)
            self._readers.append(reader)
        for number in range(HALF_SENT):
            self._half_send(number)
        self._thread.start()
        self._until_answers()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for connection in [*self._readers, *self._senders]:
            if connection is not None:
                connection.close()

    def half_sent(self) -> int:
        return sum(connection is not None for connection in self._senders)

    def readers(self) -> int:
        return len([reader for reader in self._readers if reader.fileno() >= 0])

    def _request(self, path: str, body: str) -> bytes:
        return (
            f"POST {path} HTTP/1.1\r\nHost: localhost:{self._stage.port}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _half_send(self, number: int) -> None:
        """Every second request stops in the middle of its head, the others in their body."""
        whole = self._request("/", "AUTH_ID=" + "x" * 500)
        try:
            connection = self._stage.connect()
            connection.sendall(whole[: 40 if number % 2 else -400])
        except OSError:
            self._senders[number] = None
        else:
            self._senders[number] = connection

    def _keep_sending(self) -> None:
        """Opens connections again that the proxy has closed."""
        while not self._over.wait(1):
            for number, connection in enumerate(self._senders):
                if self._over.is_set():
                    return
                try:
                    if connection is None:
                        raise OSError("was refused")
                    connection.sendall(b"x")
                except OSError:
                    if connection is not None:
                        with suppress(OSError):
                            connection.close()
                    self._half_send(number)

    def _until_answers(self) -> None:
        """Waits for the exports to be written; afterwards the proxy holds them."""
        give_up = time.monotonic() + 120
        in_time = 0
        while in_time < 5:
            began = time.monotonic()
            assert began < give_up, "the app does not answer while exports wait for readers"
            with suppress(requests.RequestException):
                self._stage.get("/readyz/")
            in_time = in_time + 1 if time.monotonic() - began < NOISE_SECONDS / 2 else 0


def test_what_a_client_says_of_itself_is_overwritten(stage: Proxied) -> None:
    """A forged scheme or address never reaches the app; the request's id is the proxy's."""
    forged = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example.com",
        "Forwarded": "for=203.0.113.9;proto=http",
        "X-Request-ID": "made-up-by-client",
    }
    answer = stage.get("/", headers=forged)
    assert answer.status_code == 200
    assert "Strict-Transport-Security" in answer.headers  # The app knows that it came by TLS.
    assert answer.headers["X-Request-ID"] != forged["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])
    # nginx writes the line after the answer is sent.
    until(lambda: answer.headers["X-Request-ID"] in (stage.folder / "pay.log").read_text())


def test_wrong_passwords_are_counted_for_the_address_that_the_proxy_saw(stage: Proxied) -> None:
    statuses = []
    for number in range(7):
        with requests.Session() as browser:
            browser.trust_env = False
            browser.verify = stage.certificates
            login = f"{stage.url}/admin/login/"
            form = browser.get(login, timeout=60).text
            found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
            assert found is not None
            answer = browser.post(
                login,
                data={
                    "username": "publisher",
                    "password": f"guess {number}",
                    "csrfmiddlewaretoken": found[1],
                },
                headers={"X-Forwarded-For": f"203.0.113.{number}", "Referer": login},
                timeout=60,
            )
            statuses.append(answer.status_code)
    assert statuses == [200] * 4 + [429] * 3


def test_the_log_holds_no_query(stage: Proxied) -> None:
    stage.get("/?code=a-secret-code&DOMAIN=alpha.example.com")
    stage.get("/oauth/callback/?code=another-secret&state=x")
    for path in stage.folder.glob("*.log"):
        assert "secret" not in path.read_text(errors="replace"), path.name
    assert "DOMAIN" not in (stage.folder / "pay.log").read_text()


def test_plain_http_is_sent_to_https(stage: Proxied) -> None:
    answer = requests.get(f"{stage.plain_url}/x", allow_redirects=False, timeout=60)
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://localhost/x")


@pytest.mark.parametrize(("size", "words"), [(100_000, "too large"), (2_000_000, "Too Large")])
def test_a_request_that_is_too_large_is_told(stage: Proxied, size: int, words: str) -> None:
    answer = requests.post(
        f"{stage.url}/", data=b"a=" + b"x" * size, verify=stage.certificates, timeout=60
    )
    assert answer.status_code == 413
    assert words in answer.text


def test_the_page_of_a_version_is_kept_by_the_browser(stage: Proxied) -> None:
    page = stage.get("/").text
    style = re.search(r'href="(/static/[^"]+\.css)"', page)
    assert style is not None
    answer = stage.get(style[1], headers={"Accept-Encoding": "gzip"})
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Encoding"] == "gzip"
