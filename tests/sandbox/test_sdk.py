"""Runs the official Python SDK, unchanged, against the sandbox.

The SDK uses HTTPS only and the OAuth server's real name, so the tests resolve these names to a TLS
port of the sandbox, with a certificate that requests trusts.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from b24pysdk import errors
from b24pysdk.credentials import BitrixApp, BitrixToken, BitrixWebhook
from b24pysdk.errors import oauth as oauth_errors
from cheroot.ssl.builtin import BuiltinSSLAdapter

from sandbox.api.faults import Fault
from sandbox.server.ports import PortServers, running
from sandbox.world import seed
from sandbox.world.world import Token
from tests.sandbox.wire import BETA_URL, PAY, Wire, a_sandbox

OAUTH_HOST, ALPHA_HOST = "oauth.bitrix24.tech", "alpha.example.com"
HOSTS = (OAUTH_HOST, ALPHA_HOST)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued = authority.issue_cert(*HOSTS)
    issued.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return folder


@pytest.fixture
def wire(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    tls = BuiltinSSLAdapter(str(certificates / "certificate.pem"), str(certificates / "key.pem"))
    servers = PortServers((0,), tls=tls)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "authority.pem"))
    monkeypatch.setenv("NO_PROXY", ",".join(HOSTS))
    _lead(HOSTS, servers.ports[0], monkeypatch)
    sandbox = a_sandbox(f"https://{OAUTH_HOST}", (f"https://{ALPHA_HOST}", BETA_URL))
    with running(sandbox, servers):
        yield Wire(sandbox)


def _lead(hosts: tuple[str, ...], port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolves these names, port 443, to our port."""
    usual = socket.getaddrinfo

    def getaddrinfo(host: Any, asked: Any, *args: Any, **kwargs: Any) -> Any:
        if host in hosts:
            return usual("127.0.0.1", port, *args, **kwargs)
        return usual(host, asked, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def _sdk(token: Token, *, secret: str = seed.OUR_SECRET, expires: float | None = None) -> Any:
    moment = datetime.fromtimestamp(expires or token.expires, UTC)
    app = BitrixApp(client_id=seed.OUR_CLIENT_ID, client_secret=secret)
    return BitrixToken(
        domain=ALPHA_HOST,
        auth_token=token.access,
        refresh_token=token.refresh,
        expires=moment,
        expires_in=3600,
        bitrix_app=app,
    )


def test_it_pays_and_the_portal_has_the_person(wire: Wire) -> None:
    token = _sdk(wire.token(seed.MANAGER))
    client = token.get_client()
    pay = client.sale.paysystem.pay.payment(seed.PAYMENT, seed.ACME_PAY)
    assert pay.response.result is True
    found = client.sale.payment.get(bitrix_id=seed.PAYMENT).response.result
    assert (found["payment"]["paid"], found["payment"]["empPaidId"]) == ("Y", seed.MANAGER)
    assert wire.alpha.payments[seed.PAYMENT].times_paid == 1


def test_it_renews_a_token_that_it_knows_has_expired(wire: Wire) -> None:
    old = wire.token(seed.MANAGER)
    past = (datetime.now(UTC) - timedelta(hours=2)).timestamp()
    token = _sdk(old, expires=past)
    assert token.get_client().profile().response.result["ID"] == str(seed.MANAGER)
    assert token.auth_token != old.access
    assert [call.method for call in wire.sandbox.log] == ["oauth.token", "profile"]


def test_it_renews_a_token_that_the_portal_refuses_as_expired(wire: Wire) -> None:
    token = _sdk(wire.token(seed.MANAGER), expires=wire.sandbox.world.now() + 9999)
    wire.sandbox.world.advance(3601)
    assert token.call_method("profile")["result"]["ID"] == str(seed.MANAGER)
    assert [(call.method, call.error) for call in wire.sandbox.log] == [
        ("profile", "expired_token"), ("oauth.token", None), ("profile", None),
    ]  # fmt: skip


def test_it_reads_the_person_and_portal_of_a_token(wire: Wire) -> None:
    info = _sdk(wire.token(seed.MANAGER)).get_app_info().result
    assert (info.client_id, info.user_id) == (seed.OUR_CLIENT_ID, seed.MANAGER)
    assert (info.install.member_id, info.install.installed) == (seed.ALPHA, True)
    assert tuple(info.install.scope) == seed.OUR_SCOPES


def test_it_exchanges_a_code_for_a_token(wire: Wire) -> None:
    code = wire.token(seed.MANAGER)
    code.expires = wire.sandbox.world.now() + 30
    wire.sandbox.world.codes["thecode"] = code
    app = BitrixApp(client_id=seed.OUR_CLIENT_ID, client_secret=seed.OUR_SECRET)
    renewed = app.get_oauth_token("thecode")
    assert renewed.oauth_token.access_token in wire.sandbox.world.tokens
    with pytest.raises(oauth_errors.BitrixOAuthInvalidGrant):
        app.get_oauth_token("thecode")


def test_it_recognises_the_errors(wire: Wire) -> None:
    manager, reader = _sdk(wire.token(seed.MANAGER)), _sdk(wire.token(seed.READER))
    with pytest.raises(errors.BitrixAPIAccessDenied) as denied:
        reader.call_method(PAY, {})
    assert denied.value.status_code == 403
    with pytest.raises(errors.BitrixAPIBadRequest) as empty:
        manager.call_method(PAY, {})
    assert empty.value.error == "ERROR_CHECK_FAILURE"
    assert empty.value.error_description == "Empty field PAY_SYSTEM_ID!"
    with pytest.raises(errors.BitrixAPINotFound):
        manager.call_method("no.such.method")
    with pytest.raises(errors.BitrixAPIInvalidToken):
        BitrixToken(domain=ALPHA_HOST, auth_token="x", bitrix_app=manager.bitrix_app).call_method(
            "profile"
        )
    with pytest.raises(errors.BitrixAPIInvalidCredentials):
        BitrixWebhook(domain=ALPHA_HOST, webhook_token=f"{seed.ADMIN}/wrong").call_method("profile")
    with pytest.raises(oauth_errors.BitrixOAuthInvalidClient):
        _sdk(wire.token(), secret="wrong").refresh_oauth_token()
    with pytest.raises(oauth_errors.BitrixOauthWrongClient):
        BitrixApp(client_id="local.nobody", client_secret="x").get_oauth_token("code")


def test_it_recognises_the_faults_that_it_has_errors_for(wire: Wire) -> None:
    token = _sdk(wire.token(seed.MANAGER))
    token._AUTO_CHANGED_DOMAIN = False
    for kind, error in (
        ("query_limit", errors.BitrixAPIQueryLimitExceeded),
        ("operation_limit", errors.BitrixAPIOperationTimeLimit),
        ("status500", errors.BitrixAPIInternalServerError),
        ("html502", errors.BitrixResponseJSONDecodeError),
        ("redirect", errors.BitrixResponse302JSONDecodeError),
        ("broken_json", errors.BitrixResponseJSONDecodeError),
        ("drop", errors.BitrixRequestError),
    ):
        wire.sandbox.faults.add(Fault(kind, "profile"))
        with pytest.raises(error):
            token.call_method("profile", max_retries=1)
    wire.sandbox.faults.add(Fault("delay", "profile"))
    with pytest.raises(errors.BitrixRequestTimeout):
        token.call_method("profile", timeout=0.2)


def test_its_batches_return_results_under_their_keys(wire: Wire) -> None:
    token = _sdk(wire.token(seed.MANAGER))
    named = token.call_batch(
        {
            "who": ("profile", None),
            "which": ("sale.payment.get", {"id": seed.PAYMENT}),
            "wrong": ("sale.payment.get", {"id": 1}),
        }
    )["result"]
    assert named["result"]["who"]["ID"] == str(seed.MANAGER)
    assert named["result"]["which"]["payment"]["id"] == seed.PAYMENT
    assert named["result_error"]["wrong"]["error"] == "200640400001"
    listed = token.call_batch([("profile", None), ("profile", None)])["result"]
    assert isinstance(listed["result"], list)
    assert listed["result_error"] == []


def test_its_lists_read_every_page_once(wire: Wire) -> None:
    seed.fill(wire.alpha, 240)
    token = _sdk(wire.token(seed.MANAGER))
    rows = token.call_list("sale.payment.list", {"select": ["id", "sum"]})["result"]
    assert [row["id"] for row in rows] == sorted(wire.alpha.payments)
    assert len(wire.sandbox.log) == 2  # the first page, then all others in one batch
    fast = token.call_list_fast("sale.payment.list", {"select": ["id"], "filter": {"paid": "N"}})
    unpaid = {number for number, payment in wire.alpha.payments.items() if not payment.paid}
    assert {row["id"] for row in fast["result"]} == unpaid


def test_its_webhooks_act_for_their_owner(wire: Wire) -> None:
    webhook = BitrixWebhook(domain=ALPHA_HOST, webhook_token=f"{seed.ADMIN}/{seed.WEBHOOK_CODE}")
    assert webhook.get_client().profile().response.result["ADMIN"] is True
