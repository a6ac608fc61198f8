"""The deadline of a whole exchange, against servers that drip: plain and TLS, REST and OAuth."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from pytest_django import Settings

from b24app.errors import NeverSent, OutcomeUnknown
from b24app.rest import client as clients
from b24app.rest import name_lookup, transport
from b24app.rest.client import Client
from b24app.tokens import oauth
from b24app.tokens.proof import PostedCredentials
from tests.b24app.servers import (
    Answer,
    dripping,
    http,
    listening,
    never_accepting,
    relaying,
    saying,
)

# Seconds to connect, and for the answer. No single wait of a drip is anywhere near them.
TIMEOUT = (0.7, 0.7)
DEADLINE = sum(TIMEOUT)
# A server that drips for ever would hold a test of code without a deadline: it stops after this.
GIVES_UP = 12.0
NAME = "portal.example.com"

# What the server sends at once, and what it then sends byte by byte; the last byte repeats.
DRIPS = {
    "status line": (b"", b"HTTP/1.1 200 OKKK"),
    "header": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"y"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Slow: y\r\n" * 50),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b"x"),
    "chunk size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
        b"X-Slow: y\r\n" * 50,
    ),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 9000\r\n\r\n", b"x"),
}


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    transport.ADAPTER.close()


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """An event: set when the test ends, and when a server has dripped for too long."""
    event = threading.Event()
    timer = threading.Timer(GIVES_UP, event.set)
    timer.start()
    yield event
    event.set()
    timer.cancel()
    timer.join()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["plain", "tls"])
def tls(
    request: pytest.FixtureRequest,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    tmp_path: Path,
) -> ssl.SSLContext | None:
    """Returns the server's side of TLS and a client that trusts it; None for plain HTTP."""
    if request.param == "plain":
        return None
    return trusted(authority, monkeypatch, settings, tmp_path)


def trusted(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, settings: Settings, folder: Path
) -> ssl.SSLContext:
    settings.B24_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    authority.cert_pem.write_to_path(folder / "ca.pem")
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def address(tls: ssl.SSLContext | None, port: int) -> str:
    return f"{'https' if tls else 'http'}://127.0.0.1:{port}"


def seconds_of(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


def post(url: str) -> transport.Reply:
    return transport.post_json(f"{url}/rest/profile", {}, timeout=TIMEOUT)


@pytest.mark.parametrize("part", DRIPS)
def test_an_answer_that_drips_is_cut_at_the_deadline(
    part: str, tls: ssl.SSLContext | None, over: threading.Event
) -> None:
    first, then = DRIPS[part]

    def answer(connection: socket.socket) -> None:
        connection.sendall(first)
        dripping(over, then=then)(connection)

    def call() -> None:
        with pytest.raises(OutcomeUnknown, match="did not end in time"):
            post(address(tls, server.port))

    with listening(answer, tls=tls) as server:
        assert seconds_of(call) < DEADLINE + 1
        over.set()

    assert len(server.requests) == 1


@pytest.mark.parametrize("when", ["handshake", "answer"])
def test_tls_that_drips_inside_its_records_is_cut_at_the_deadline(
    when: str,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    tmp_path: Path,
    over: threading.Event,
) -> None:
    tls = trusted(authority, monkeypatch, settings, tmp_path)
    starts = threading.Event()
    if when == "handshake":
        starts.set()

    def answer(connection: socket.socket) -> None:
        starts.set()
        connection.sendall(http(b"x" * 2000))

    def call() -> None:
        with pytest.raises(NeverSent if when == "handshake" else OutcomeUnknown):
            post(address(tls, port))

    with listening(answer, tls=tls) as server, relaying(server.port, starts, over) as port:
        taken = seconds_of(call)
        over.set()

    assert taken < DEADLINE + 1
    assert len(server.requests) == (0 if when == "handshake" else 1)


def test_a_connection_that_was_cut_is_not_used_again(
    tls: ssl.SSLContext | None, over: threading.Event
) -> None:
    answers: list[Answer] = [
        dripping(over, first=b"HTTP/1.1 200 OK\r\n", then=b"X-Slow: y"),
        saying(http(b"{}")),
        saying(http(b"{}")),
    ]

    with listening(lambda connection: answers.pop(0)(connection), tls=tls) as server:
        with pytest.raises(OutcomeUnknown):
            post(address(tls, server.port))
        assert [post(address(tls, server.port)).body for _ in range(2)] == [b"{}", b"{}"]
        over.set()

    assert len(server.connections) == 2


def test_a_kept_connection_has_a_new_deadline_for_each_exchange(tls: ssl.SSLContext | None) -> None:
    def slowly(connection: socket.socket) -> None:
        time.sleep(DEADLINE / 3)
        connection.sendall(http(b"{}"))

    with listening(slowly, tls=tls) as server:
        for _ in range(4):
            assert post(address(tls, server.port)).body == b"{}"

    assert len(server.connections) == 1


def test_a_write_that_is_cut_may_have_been_carried_out(
    monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext | None, over: threading.Event
) -> None:
    monkeypatch.setattr(clients, "WRITE_TIMEOUT", TIMEOUT)

    def call() -> None:
        with pytest.raises(OutcomeUnknown):
            client.write("crm.item.payment.pay", {"id": 7})

    with listening(dripping(over, then=DRIPS["header"][0]), tls=tls) as server:
        client = Client(f"{address(tls, server.port)}/rest/", PostedCredentials("a-token"))
        assert seconds_of(call) < DEADLINE + 1
        over.set()

    assert len(server.requests) == 1


@pytest.mark.parametrize("question", ["refresh", "code", "owner"])
def test_the_oauth_server_has_the_same_deadline(
    question: str,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    tls: ssl.SSLContext | None,
    over: threading.Event,
) -> None:
    monkeypatch.setattr(oauth, "TIMEOUT", TIMEOUT)
    asks: dict[str, Callable[[], Any]] = {
        "refresh": lambda: oauth.refresh("a-refresh-token"),
        "code": lambda: oauth.exchange_code("a-code"),
        "owner": lambda: oauth.token_owner("a-token"),
    }

    def call() -> None:
        with pytest.raises(OutcomeUnknown):
            asks[question]()

    with listening(dripping(over, then=DRIPS["header"][0]), tls=tls) as server:
        settings.B24_OAUTH_URL = address(tls, server.port)
        assert seconds_of(call) < DEADLINE + 1
        over.set()


def test_interim_answers_without_an_end_are_cut_by_their_bytes(over: threading.Event) -> None:
    """Sent as fast as they can be read, they would keep a processor busy until the deadline."""

    def answer(connection: socket.socket) -> None:
        while not over.is_set():
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    with listening(answer) as server, pytest.raises(OutcomeUnknown) as told:
        transport.post_json(server.url, {}, timeout=(2.0, 60.0))

    assert "too long" in repr(told.value.__cause__)


@pytest.mark.parametrize("status", ["200 OK", "302 Found"])
def test_a_small_text_that_unpacks_to_a_large_one_costs_little(status: str) -> None:
    packed = gzip.compress(b"\0" * 200_000_000)
    headers = "Content-Encoding: gzip\r\nLocation: https://portal.example.com/\r\n"
    tracemalloc.start()
    try:
        with (
            listening(saying(http(packed, status=status, headers=headers))) as server,
            pytest.raises(OutcomeUnknown, match="longer than"),
        ):
            transport.post_json(server.url, {}, timeout=(2.0, 60.0))
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd"])
def test_a_text_packed_as_it_was_not_requested_is_not_unpacked(encoding: str) -> None:
    answer = http(gzip.compress(gzip.compress(b"{}")), headers=f"Content-Encoding: {encoding}\r\n")
    with listening(saying(answer)) as server, pytest.raises(OutcomeUnknown, match="encoding"):
        transport.post_json(server.url, {}, timeout=(2.0, 10.0))

    assert b"Accept-Encoding: gzip, deflate\r\n" in server.requests[0]


# Before anything is sent


def resolve_to(monkeypatch: pytest.MonkeyPatch, found: Callable[[], list[str]]) -> list[str]:
    real = socket.getaddrinfo
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if host != NAME:
            return real(host, port, *args, **kwargs)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found()]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_several_dead_addresses_together_take_no_longer_than_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch, lambda: ["127.0.0.2", "127.0.0.3", "127.0.0.4"])

    def call() -> None:
        with pytest.raises(NeverSent):
            transport.post_json(f"http://{NAME}:{port}/", {}, timeout=(1.5, 0.1))

    with ExitStack() as stack:
        port = stack.enter_context(never_accepting("127.0.0.2"))
        for last in (3, 4):
            stack.enter_context(never_accepting(f"127.0.0.{last}", port))
        assert seconds_of(call) < 1.5 + 1


def test_a_dead_address_leaves_time_for_a_living_one(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, lambda: ["127.0.0.2", "127.0.0.1"])
    with listening(saying(http(b"{}"))) as server, never_accepting("127.0.0.2", server.port):
        reply = transport.post_json(f"http://{NAME}:{server.port}/", {}, timeout=(2.0, 2.0))

    assert reply.body == b"{}"


def test_a_silent_name_server_is_not_waited_for_and_holds_one_thread(
    monkeypatch: pytest.MonkeyPatch, over: threading.Event
) -> None:
    def silence() -> list[str]:
        over.wait(GIVES_UP)
        return ["127.0.0.1"]

    asked = resolve_to(monkeypatch, silence)

    def call() -> None:
        for _ in range(3):
            with pytest.raises(NeverSent):
                transport.post_json(f"https://{NAME}/", {}, timeout=(0.3, 0.3))

    assert seconds_of(call) < 3 * 0.3 + 1
    assert asked == [NAME]
    over.set()


def test_too_many_names_under_lookup_are_refused(
    monkeypatch: pytest.MonkeyPatch, over: threading.Event
) -> None:
    monkeypatch.setattr(name_lookup, "LOOKUPS_AT_ONCE", 1)
    resolve_to(monkeypatch, lambda: [str(over.wait(GIVES_UP))])
    with pytest.raises(NeverSent):
        transport.post_json(f"https://{NAME}/", {}, timeout=(0.2, 0.2))

    with pytest.raises(NeverSent) as told:
        transport.post_json("https://other.example.com/", {}, timeout=(0.2, 0.2))
    over.set()

    assert "too many names" in str(told.value.__cause__)
