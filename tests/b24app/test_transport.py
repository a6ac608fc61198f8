"""The transport: whom it refuses to call, what is known after a failure, what it does not log."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import ssl
import threading
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from django.conf import settings as django_settings
from pytest_django import Settings

from b24app.errors import AddressForbidden, NeverSent, OutcomeUnknown, Refused
from b24app.rest import addresses, transport
from b24app.rest.client import Answer, Client, Query
from b24app.tokens import oauth
from sandbox.server.app import Sandbox
from sandbox.server.ports import PortServers, running
from sandbox.world import seed
from sandbox.world.installing import begin_installation
from tests.b24app.servers import Listener, Telling, http, listening, saying

TIMEOUT = (2.0, 2.0)
SHORT = (0.2, 0.2)
SILENT = None


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    transport.ADAPTER.close()


def post(url: str, *, timeout: tuple[float, float] = TIMEOUT) -> transport.Reply:
    return transport.post_json(url, {"id": 7}, token="a-token", timeout=timeout)


def resolve_to(
    monkeypatch: pytest.MonkeyPatch, *found: str, name: str = "portal.example.com"
) -> list[str]:
    """Makes a name resolve to these addresses; returns the names that were looked up."""
    real = socket.getaddrinfo
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if host != name:
            return real(host, port, *args, **kwargs)
        asked.append(host)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


# Whom it calls


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/rest/",
        "https://10.0.0.7/rest/",
        "https://192.168.1.1:8443/rest/",
        "https://100.64.0.1/rest/",
        "https://169.254.169.254/latest/meta-data/",
        "https://0.0.0.0/rest/",
        "https://224.0.0.1/rest/",
        "https://240.0.0.1/rest/",
        "https://[::1]/rest/",
        "https://[::]/rest/",
        "https://[fe80::1]/rest/",
        "https://[fd00:ec2::254]/rest/",
        "https://[::ffff:169.254.169.254]/rest/",
        "https://[::ffff:10.0.0.7]/rest/",
        "https://[64:ff9b::a9fe:a9fe]/rest/",
        "https://[2002:a9fe:a9fe::1]/rest/",
        "http://8.8.8.8/rest/",
        "http://10.0.0.7/rest/",
        "http://169.254.169.254/rest/",
        "ftp://portal.example.com/rest/",
        "file:///etc/passwd",
        "https://user:password@portal.example.com/rest/",
        "https:///rest/",
        "https://portal.example.com:99999/rest/",
        "https://[portal/rest/",
        "",
    ],
)
def test_an_address_that_is_not_to_be_called_is_refused_unasked(url: str) -> None:
    asked = Telling({"result": True})
    with transport.use_adapter(asked), pytest.raises(AddressForbidden):
        post(url)

    assert asked.requests == []


@pytest.mark.parametrize(
    "url", ["https://93.184.215.14/rest/", "https://portal.example.com:8443/rest/"]
)
def test_a_public_address_is_called(url: str) -> None:
    with transport.use_adapter(Telling({"result": True})):
        assert post(url).status == 200


def test_http_is_for_this_machine_and_only_when_allowed(settings: Settings) -> None:
    with transport.use_adapter(Telling({"result": True})):
        assert post("http://127.0.0.1:8000/rest/").status == 200
        settings.B24_ALLOW_HTTP = False
        with pytest.raises(AddressForbidden):
            post("http://127.0.0.1:8000/rest/")


def test_private_networks_are_called_when_listed(settings: Settings) -> None:
    settings.B24_PRIVATE_NETWORKS = ["10.1.0.0/16", "fd00::/8"]
    with transport.use_adapter(Telling({"result": True})):
        assert post("https://10.1.2.3/rest/").status == 200
        assert post("https://[fd00::7]/rest/").status == 200
        with pytest.raises(AddressForbidden):
            post("https://10.2.2.3/rest/")


def test_link_local_addresses_are_never_called(settings: Settings) -> None:
    settings.B24_PRIVATE_NETWORKS = ["169.254.0.0/16", "0.0.0.0/0", "fe80::/10"]
    for url in ("https://169.254.169.254/", "https://[fe80::1]/", "https://0.0.0.0/"):
        with pytest.raises(AddressForbidden):
            addresses.check_url(url)


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize(
    "found", [["10.0.0.7"], ["169.254.169.254"], ["93.184.215.14", "10.0.0.7"]]
)
def test_a_name_is_judged_by_what_it_resolves_to(
    monkeypatch: pytest.MonkeyPatch, scheme: str, found: list[str]
) -> None:
    resolve_to(monkeypatch, *found)

    with pytest.raises(AddressForbidden):
        post(f"{scheme}://portal.example.com/rest/")


@pytest.mark.parametrize("host", ["portal.example.com", "2130706433", "0x7f.1", "127.1"])
def test_a_forbidden_machine_is_not_even_connected_to(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    resolve_to(monkeypatch, "127.0.0.1")
    with listening(SILENT) as server, pytest.raises(AddressForbidden):
        post(f"https://{host}:{server.port}/rest/")

    assert server.connections == []


def test_what_was_judged_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolve_to(monkeypatch, "127.0.0.1")
    with listening(saying(http(b"{}"))) as server:
        post(f"http://portal.example.com:{server.port}/rest/")

    # A name server that says something else the second time is not asked a second time.
    assert asked == ["portal.example.com"]
    assert b"Host: portal.example.com" in server.requests[0]


def test_a_dead_address_does_not_hide_a_living_one(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    with listening(saying(http(b"{}"))) as server:
        assert post(f"http://portal.example.com:{server.port}/rest/").status == 200


# What is known when it fails


def test_a_closed_port_was_never_sent_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(NeverSent):
        post(f"http://127.0.0.1:{port}/rest/")


@pytest.mark.parametrize("token", ["Ж", "a\r\nX-Other: b"])
def test_a_token_that_no_header_can_hold_was_never_sent(token: str) -> None:
    with listening(saying(http(b"{}"))) as server, pytest.raises(NeverSent):
        transport.post_json(server.url, {}, token=token, timeout=SHORT)

    assert server.requests == []


def test_an_unknown_name_was_never_sent_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch)

    with pytest.raises(NeverSent):
        post("https://portal.example.com/rest/")


def test_a_server_that_never_speaks_tls_was_never_sent_to(settings: Settings) -> None:
    settings.B24_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    with listening(SILENT) as server, pytest.raises(NeverSent) as told:
        post(f"https://127.0.0.1:{server.port}/rest/", timeout=SHORT)

    assert isinstance(told.value.__cause__, TimeoutError)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_of(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize("why", ["unknown authority", "other name"])
def test_a_server_with_the_wrong_certificate_was_never_sent_to(
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    tmp_path: Path,
    authority: trustme.CA,
    why: str,
) -> None:
    settings.B24_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    resolve_to(monkeypatch, "127.0.0.1")
    name = "portal.example.com"
    if why == "other name":
        trust(authority, monkeypatch, tmp_path)
        name = "other.example.com"
    answer = saying(http(b"{}"))
    with listening(answer, tls=tls_of(authority, name)) as server, pytest.raises(NeverSent) as told:
        post(f"https://portal.example.com:{server.port}/rest/")

    assert isinstance(told.value.__cause__, ssl.SSLError)
    assert server.requests == []


def test_a_server_with_the_right_certificate_is_called(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path, authority: trustme.CA
) -> None:
    settings.B24_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    resolve_to(monkeypatch, "127.0.0.1")
    trust(authority, monkeypatch, tmp_path)
    answer = saying(http(b"{}"))
    with listening(answer, tls=tls_of(authority, "portal.example.com")) as server:
        for _ in range(2):
            assert post(f"https://portal.example.com:{server.port}/rest/").status == 200

    assert (len(server.requests), len(server.connections)) == (2, 1)


def trust(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "ca.pem"))


@pytest.mark.parametrize("when", ["silent", "gone", "cut short", "not http"])
def test_after_the_request_has_left_the_outcome_is_unknown(when: str) -> None:
    answers = {
        "silent": lambda connection: None,
        "gone": lambda connection: connection.shutdown(socket.SHUT_RDWR),
        "cut short": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"),
        "not http": saying(b"220 mail.example.com ESMTP\r\n"),
    }
    with listening(answers[when]) as server, pytest.raises(OutcomeUnknown):
        post(server.url, timeout=SHORT)

    assert len(server.requests) == 1


def test_an_answer_without_an_end_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "BODY_LIMIT", 1000)
    with listening(saying(http(b"x" * 1001))) as server, pytest.raises(OutcomeUnknown):
        post(server.url)
    with listening(saying(http(b"x" * 1000))) as server:
        assert len(post(server.url).body) == 1000


def test_a_packed_answer_is_measured_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(b"x" * 5_000_000)
    monkeypatch.setattr(transport, "BODY_LIMIT", 1_000_000)
    answer = http(packed, headers="Content-Encoding: gzip\r\n")
    with listening(saying(answer)) as server, pytest.raises(OutcomeUnknown):
        post(server.url)


def test_a_byte_now_and_then_does_not_hold_us_up() -> None:
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
        while not over.wait(0.05):
            connection.sendall(b"x")

    with listening(drip) as server:
        with pytest.raises(OutcomeUnknown, match="did not end in time"):
            post(server.url, timeout=SHORT)
        over.set()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>502 Bad Gateway</html>", 502),
        (b'{"result":{"tas', 200),
        (b"", 200),
        (b"[]", 200),
        (b"null", 200),
        (b'{"result": NaN}', 200),
        (b"[" * 100_000, 200),
        (b'{"result": true}', 500),
        (b'{"error": {"code": "X"}}', 400),
        (b'{"error": null}', 500),
    ],
)
def test_an_answer_that_says_nothing_clear_leaves_the_outcome_unknown(
    body: bytes, status: int
) -> None:
    with pytest.raises(OutcomeUnknown):
        transport.Reply("https://portal.example.com/", status, body).json()


@pytest.mark.parametrize("code", ['""', "0", "100", '"ACCESS_DENIED"'])
def test_an_error_is_an_error_also_where_it_is_empty_or_zero(code: str) -> None:
    body = f'{{"error": {code}, "error_description": ""}}'.encode()

    with pytest.raises(Refused) as told:
        transport.Reply("https://portal.example.com/", 200, body).json()
    assert told.value.code == code.strip('"')


def test_sums_are_read_exactly() -> None:
    reply = transport.Reply("https://portal.example.com/", 200, b'{"result": {"sum": 0.1}}')

    assert reply.json()["result"]["sum"] == Decimal("0.1")


# What it sends


def test_a_sum_is_sent_as_text_and_what_is_no_json_not_at_all() -> None:
    server = Telling({"result": True})
    with transport.use_adapter(server):
        url = "https://alpha.example.com/rest/crm.item.payment.update"
        transport.post_json(url, {"sum": Decimal("0.10")}, timeout=(1, 1))
        with pytest.raises(TypeError, match="datetime cannot be sent in a call"):
            transport.post_json(url, {"date": datetime.now(UTC)}, timeout=(1, 1))
    assert [json.loads(request.body or "") for request in server.requests] == [{"sum": "0.10"}]


def test_a_request_carries_the_token_in_its_header_and_the_name_of_the_app() -> None:
    with listening(saying(http(b"{}"))) as server:
        post(server.url)

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /rest/profile HTTP/1.1\r\n")
    assert b"Authorization: Bearer a-token" in head
    assert b"User-Agent: PayForBitrix24/" in head
    assert b"Content-Type: application/json" in head
    assert body == b'{"id": 7}'


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((Path(django_settings.BASE_DIR) / "pyproject.toml").read_text())

    assert project["project"]["version"] == transport.VERSION


def test_a_redirect_is_not_followed() -> None:
    with listening(saying(http(b"{}"))) as elsewhere:
        moved = http(b"", status="302 Found", headers=f"Location: {elsewhere.url}\r\n")
        with listening(saying(moved)) as server:
            reply = post(server.url)

    assert (reply.status, reply.is_redirect) == (302, True)
    assert elsewhere.connections == []


def test_no_cookie_goes_from_one_call_to_the_next() -> None:
    with listening(saying(http(b"{}", headers="Set-Cookie: PHPSESSID=1\r\n"))) as server:
        post(server.url)
        post(server.url)

    assert len(server.requests) == 2
    assert not any(b"Cookie" in request for request in server.requests)


def test_neither_proxy_nor_netrc_of_the_machine_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with listening(SILENT) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with listening(saying(http(b"{}"))) as server:
            post(server.url, timeout=SHORT)

    assert proxy.connections == []
    assert b"Authorization: Bearer a-token" in server.requests[0]


# Connections


class _Token:
    def __init__(self, access: str) -> None:
        self.access = access

    def access_token(self) -> str:
        return self.access

    def renew(self, stale: str) -> str:
        raise AssertionError("nothing expires here")


@pytest.fixture
def ported() -> Iterator[Sandbox]:
    """The sandbox on its own ports, with kept connections."""
    servers = PortServers([0, 0, 0])
    oauth, alpha, beta = (f"http://127.0.0.1:{port}" for port in servers.ports)
    world = seed.demo_world(
        oauth_url=oauth, portal_urls=(alpha, beta), app_url="https://pay.example.com"
    )
    sandbox = Sandbox(world)
    for portal in world.portals.values():
        begin_installation(world, portal, seed.OUR_CLIENT_ID).finished = True
    with running(sandbox, servers):
        yield sandbox
        transport.ADAPTER.close()


def clients(sandbox: Sandbox, member_id: str, count: int) -> list[Client]:
    portal = sandbox.world.portals[member_id]
    return [
        Client(
            f"{portal.url}/rest/",
            _Token(sandbox.world.issue(seed.OUR_CLIENT_ID, member_id, seed.MANAGER).access),
        )
        for _ in range(count)
    ]


def _user_id(answer: Answer) -> int:
    return int(answer.result["ID"])


PROFILE = Query("profile", _user_id)


def test_clients_and_portals_share_the_connections_that_are_there(ported: Sandbox) -> None:
    for _ in range(2):
        for client in (*clients(ported, seed.ALPHA, 5), *clients(ported, seed.BETA, 5)):
            assert client.read(PROFILE) == seed.MANAGER

    assert len(ported.log) == 20
    assert len({call.connection for call in ported.log}) == 2


def test_threads_share_the_connections_that_are_there(ported: Sandbox) -> None:
    at_once = 4

    def read_much(client: Client) -> None:
        for _ in range(5):
            client.read(PROFILE)

    for _ in range(2):
        threads = [
            threading.Thread(target=read_much, args=(client,))
            for client in clients(ported, seed.ALPHA, at_once)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(ported.log) == 2 * at_once * 5
    assert len({call.connection for call in ported.log}) <= at_once


def test_an_adapter_of_a_test_is_used_in_all_threads_and_then_no_more() -> None:
    mounted = Telling({"result": True})
    with transport.use_adapter(mounted):
        thread = threading.Thread(target=post, args=("https://portal.example.com/rest/",))
        thread.start()
        thread.join()
        assert transport.mounted_adapter() is mounted

    assert len(mounted.requests) == 1
    assert transport.mounted_adapter() is transport.ADAPTER


# The log


def test_no_token_reaches_the_log_even_when_it_tells_everything(
    ported: Sandbox, caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    settings.B24_OAUTH_URL = ported.world.oauth_url
    caplog.set_level(logging.DEBUG)
    token = ported.world.issue(seed.OUR_CLIENT_ID, seed.ALPHA, seed.MANAGER)
    endpoint = f"{ported.world.portals[seed.ALPHA].url}/rest/"

    Client(endpoint, _Token(token.access)).read(PROFILE)
    oauth.token_owner(token.access)
    pair = oauth.refresh(token.refresh)
    logging.getLogger("test").debug("%r", pair)

    assert " profile in " in caplog.text
    assert "TokenPair" in caplog.text
    secrets = (token.access, token.refresh, pair.access, pair.refresh, seed.OUR_SECRET)
    assert not [secret for secret in secrets if secret in caplog.text]


def test_a_failure_is_told_without_the_token() -> None:
    def told(server: Listener) -> str:
        with pytest.raises(OutcomeUnknown) as error:
            post(server.url, timeout=SHORT)
        return f"{error.value} {error.value.__cause__}"

    with listening(lambda connection: None) as server:
        assert "a-token" not in told(server)
