"""After a whole walk, no secret can be read: not in the database, the logs or any page."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from django.conf import settings
from django.db import connection
from django.test import Client, override_settings

from b24app import rest_log, transport
from b24app.models import RestCall, UserToken
from sandbox import seed
from sandbox.app import Sandbox
from sandbox.faults import Fault
from sandbox.world import Portal
from tests.b24app.portal_posts import FORM, install, opening_fields, post
from tests.payments.frames import DEAL_TAB, Frame, offer_in

pytestmark = pytest.mark.django_db(transaction=True)


class Recorder(Client):
    """A browser that keeps all it was ever sent."""

    def __init__(self) -> None:
        super().__init__(raise_request_exception=False)
        self.sent: list[str] = []

    def request(self, **request: Any) -> Any:
        answer = super().request(**request)
        body = b"" if answer.streaming else answer.content
        self.sent.append(f"{answer.headers}\n{answer.cookies}\n{body.decode()}")
        return answer


@pytest.fixture
def browser() -> Iterator[Recorder]:
    with override_settings(B24_REST_LOG_DAYS=3):
        yield Recorder()
    rest_log.flush()


def walk(browser: Recorder, sandbox: Sandbox, portal: Portal) -> list[str]:
    """Everything that a secret takes part in, gone right and gone wrong; codes given meanwhile."""
    install(browser, sandbox, portal)
    frame = Frame(browser, sandbox, portal, seed.MANAGER)
    _pay(frame, sandbox)
    _run_into_errors(frame, sandbox)
    _expire_everything(sandbox)
    frame.opened()
    frame.tab(seed.SEVERAL_DEAL)
    codes = [sign_in(browser), sign_in(browser, spoil_code=True)]
    _send_events(browser, sandbox, portal)
    post(browser, "/", opening_fields(sandbox, portal, seed.MANAGER, AUTH_ID="forged"))
    post(browser, "/", opening_fields(sandbox, portal, seed.DISMISSED))
    post(browser, "/", opening_fields(sandbox, portal, seed.MANAGER, member_id="unknown"))
    sandbox.faults.add(Fault("redirect", "batch"))
    frame.opened()
    sandbox.faults.clear()
    browser.get("/nowhere/")
    return codes


def _pay(frame: Frame, sandbox: Sandbox) -> None:
    fields = {"offer": offer_in(frame.tab()), "pay_system_id": str(seed.ACME_PAY)}
    frame.post("/payments/question/", **fields)
    frame.post("/payments/pay/", **fields)
    frame.post("/payments/pay/", **fields)


def _run_into_errors(frame: Frame, sandbox: Sandbox) -> None:
    for kind in ("query_limit", "drop", "html502", "broken_json", "status500"):
        sandbox.faults.add(Fault(kind, "batch", times=4))
        frame.opened(DEAL_TAB, str(seed.SEVERAL_DEAL))
        sandbox.faults.clear()


def _expire_everything(sandbox: Sandbox) -> None:
    for token in sandbox.world.tokens.values():
        token.expires = sandbox.world.now() - 1


def sign_in(browser: Recorder, *, spoil_code: bool = False) -> str:
    began = browser.get("/oauth/start/", {"domain": "alpha.example.com"})
    with requests.Session() as portal:
        portal.mount("https://", transport.mounted_adapter())
        cookies = {"user": str(seed.MANAGER)}
        answer = portal.get(began["Location"], cookies=cookies, allow_redirects=False)
    query = urlsplit(answer.headers["Location"]).query
    back = {name: values[0] for name, values in parse_qs(query).items()}
    browser.get("/oauth/callback/", {**back, "code": "spoiled"} if spoil_code else back)
    return back["code"]


def _send_events(browser: Recorder, sandbox: Sandbox, portal: Portal) -> None:
    installation = portal.installations[seed.OUR_CLIENT_ID]
    token = sandbox.world.issue(seed.OUR_CLIENT_ID, portal.member_id, seed.ADMIN)
    for name, proof in (
        ("ONAPPUPDATE", installation.application_token),
        ("ONAPPUNINSTALL", "forged"),
    ):
        fields = {
            "event": name,
            "ts": str(int(time.time())),
            "auth[member_id]": portal.member_id,
            "auth[access_token]": token.access,
            "auth[application_token]": proof,
        }
        browser.post("/event/", urlencode(fields), content_type=FORM)


def secrets_of(sandbox: Sandbox) -> list[str]:
    """Every one that the sandbox ever gave out, and our own."""
    world = sandbox.world
    found = [application.client_secret for application in world.applications.values()]
    for token in world.tokens.values():
        found += [token.access, token.refresh]
    for portal in world.portals.values():
        found += [each.application_token for each in portal.installations.values()]
    return [*found, settings.SECRET_KEY, *settings.B24_TOKEN_KEYS]


def everything_stored() -> str:
    """Every column of every table, as it lies there; of SQLite the very file as well."""
    said: list[str] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            said += [f"{table}: {row!r}" for row in cursor.fetchall()]
    if connection.vendor == "sqlite":
        kept = Path(str(connection.settings_dict["NAME"]))
        for file in kept.parent.glob(f"{kept.name}*"):
            said.append(file.read_bytes().decode("latin-1"))
    return "\n".join(said)


def test_no_secret_can_be_read_after_a_whole_walk(
    browser: Recorder, sandbox: Sandbox, alpha: Portal, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        codes = walk(browser, sandbox, alpha)
        rest_log.flush()

    given = [*secrets_of(sandbox), *codes]
    assert len(given) > 20
    stored, logged, shown = everything_stored(), caplog.text, "\n".join(browser.sent)
    for where, text in (("database", stored), ("log", logged), ("pages", shown)):
        assert not [secret for secret in given if secret in text], where

    # The walk has been everywhere, and each place would have shown what is in it.
    noted = {(call.method, call.code) for call in RestCall.objects.all()}
    assert {("sale.paysystem.pay.payment", ""), ("oauth.token", ""), ("batch", "")} <= noted
    assert {code for _, code in noted} >= {"QUERY_LIMIT_EXCEEDED", "OutcomeUnknown", "HTTP 502"}
    assert UserToken.objects.count() > 1
    for text in (stored, logged, shown):
        assert "alpha.example.com" in text


def test_no_name_can_be_read_in_the_log_of_calls(
    browser: Recorder, sandbox: Sandbox, alpha: Portal, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        walk(browser, sandbox, alpha)
        rest_log.flush()

    noted = "\n".join(str(row) for row in RestCall.objects.values())
    assert str(seed.PAYMENT) in noted
    names = {name for user in alpha.users.values() for name in (user.name, user.last_name)}
    titles = {item.title for item in alpha.items.values()}
    for text in (noted, caplog.text):
        assert not [name for name in names | titles if name in text]
