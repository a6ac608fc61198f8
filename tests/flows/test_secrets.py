"""After a long series of actions, no secret is found in the database, the logs or any page."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings

from b24app.models import Portal as PortalRow
from b24app.models import RestCall, UserToken
from b24app.monitoring import rest_log
from b24app.rest import transport
from payments.setup import manual_settlement
from payments.setup.checkout import proof_of
from sandbox.api.faults import Fault
from sandbox.host.checkout import request_fields
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.events import flat_fields
from sandbox.world.world import Portal
from tests.b24app.portal_posts import FORM, install, opening_fields, post
from tests.payments.frames import DEAL_TAB, Frame, offer_in

# One as a provider gives it out, and one of digits only, as ids are.
MERCHANT_KEYS = {"MERCHANT_KEY": "made-up-entered-key-77Zq", "KEY_ID": "918273645"}

pytestmark = pytest.mark.django_db(transaction=True)


class Recorder(Client):
    """A browser that stores all that was sent to it."""

    def __init__(self) -> None:
        super().__init__(raise_request_exception=False)
        self.sent: list[str] = []

    def request(self, **request: Any) -> Any:
        answer = super().request(**request)
        body = b"" if answer.streaming else answer.content
        self.sent.append(f"{answer.headers}\n{answer.cookies}\n{body.decode()}")
        return answer


@pytest.fixture
def browser(alpha: Portal) -> Iterator[Recorder]:
    for handler in alpha.handlers.values():
        handler.settings["CODES"]["KEY_ID"] = {"NAME": "Number of the key"}
    with override_settings(B24_REST_LOG_DAYS=3):
        yield Recorder()
    rest_log.flush()


def walk(browser: Recorder, sandbox: Sandbox, portal: Portal) -> list[str]:
    """Runs everything in which a secret takes part, with and without faults; returns the codes."""
    install(browser, sandbox, portal)
    frame = Frame(browser, sandbox, portal, seed.MANAGER)
    _pay(frame, sandbox)
    _set_up(Frame(browser, sandbox, portal, seed.SETTINGS_ADMIN), portal)
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


def _set_up(frame: Frame, portal: Portal) -> None:
    """Enters a merchant's keys, stores them and shows one payment's; then a checkout with its
    key."""
    path = f"/payments/systems/{seed.ACME_PAY}/settings/"
    for fails in (True, False):
        page = frame.client.get(path, headers=frame.headers()).content.decode()
        shown = re.search(r'name="shown" value="([^"]+)"', page)
        assert shown is not None
        keys = {f"value:{code}": value for code, value in MERCHANT_KEYS.items()}
        sources = dict.fromkeys((f"type:{code}" for code in MERCHANT_KEYS), "VALUE")
        fault = Fault("status500", "sale.paysystem.settings.update", when="before")
        if fails:
            frame.sandbox.faults.add(fault)
        frame.post(path, payer="0", shown=shown[1], **sources, **keys)
        frame.sandbox.faults.clear()
    kept = portal.pay_systems[seed.ACME_PAY].settings
    assert {code: kept[code]["VALUE"] for code in MERCHANT_KEYS} == MERCHANT_KEYS
    frame.client.get(path, headers=frame.headers())
    effective = frame.post(
        f"/payments/systems/{seed.ACME_PAY}/effective/", payment_id=seed.PLAIN_PAYMENTS[0]
    )
    assert "MERCHANT_KEY" in effective.content.decode()
    frame.post("/payments/provider/create/")
    manual = next(
        one for one in portal.pay_systems.values() if one.action_file == manual_settlement.CODE
    )
    frame.client.get(f"/payments/systems/{manual.id}/settings/", headers=frame.headers())
    payment = portal.payments[seed.PLAIN_PAYMENTS[1]]
    payment.pay_system_id = manual.id
    frame.post(f"/payments/systems/{manual.id}/effective/", payment_id=payment.id)
    asked = request_fields(portal, payment)
    assert asked is not None
    fields = dict(flat_fields(asked[1]))
    assert manual.settings["PROOF_KEY"]["VALUE"] == fields["proof"]
    answer = frame.client.post("/checkout/", fields)
    frame.client.get(urlsplit(answer.json()["PAYMENT_URL"]).path)
    frame.client.post("/checkout/", fields | {"BX_SYSTEM_PARAMS[SUM]": "1"})
    frame.client.post("/checkout/", fields | {"BX_SYSTEM_PARAMS[PAYMENT_ID]": "x"})


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
    """Returns every secret that the sandbox ever issued, and the app's own."""
    world = sandbox.world
    found = [application.client_secret for application in world.applications.values()]
    for token in world.tokens.values():
        found += [token.access, token.refresh]
    for portal in world.portals.values():
        found += [each.application_token for each in portal.installations.values()]
    return [*found, settings.SECRET_KEY, *settings.B24_TOKEN_KEYS]


def merchants_secrets(portal: Portal) -> list[str]:
    row = PortalRow.objects.get(member_id=portal.member_id)
    return [*MERCHANT_KEYS.values(), "made-up-merchant-secret", proof_of(row)]


def everything_cached() -> str:
    """Returns the raw cache; where the cache is a table, `everything_stored` has it."""
    return repr(getattr(cache, "_cache", {}))


def everything_stored() -> str:
    """Returns every column of every table, raw; for SQLite also the file."""
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

    given = [*secrets_of(sandbox), *codes, *merchants_secrets(alpha)]
    assert len(given) > 20
    stored, logged, shown = everything_stored(), caplog.text, "\n".join(browser.sent)
    cached = everything_cached()
    for where, text in (
        ("database", stored),
        ("log", logged),
        ("pages", shown),
        ("cache", cached),
    ):
        assert not [secret for secret in given if secret in text], where

    # Checks that the walk filled each place that is searched.
    noted = {(call.method, call.code) for call in RestCall.objects.all()}
    assert {("sale.paysystem.pay.payment", ""), ("oauth.token", ""), ("batch", "")} <= noted
    assert {method for method, _ in noted} >= {
        "sale.paysystem.settings.get",
        "sale.paysystem.settings.update",
        "sale.paysystem.settings.payment.get",
        "sale.paysystem.handler.add",
        "sale.paysystem.add",
    }
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
