"""Manual settlement: a provider of the app's own, and the checkout that Bitrix24 asks it for."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from b24app.models import Portal as PortalRow
from payments.setup import manual_settlement
from payments.setup.checkout import INSTRUCTIONS_LENGTH
from sandbox.api.faults import Fault
from sandbox.host.checkout import request_fields
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.events import flat_fields
from sandbox.world.world import PaySystem, Portal
from tests.payments import stage
from tests.payments.frames import Frame, offer_in, text_of

pytestmark = pytest.mark.django_db

CREATE, REMOVE = "/payments/provider/create/", "/payments/provider/remove/"


@pytest.fixture
def frame(sandbox: Sandbox, alpha: Portal, client: Client) -> Frame:
    stage.install(sandbox, alpha)
    return Frame(client, sandbox, alpha, seed.ADMIN)


def systems(alpha: Portal) -> list[PaySystem]:
    return [one for one in alpha.pay_systems.values() if one.action_file == manual_settlement.CODE]


def for_individuals(alpha: Portal) -> PaySystem:
    return next(one for one in systems(alpha) if one.person_type_id == 1)


def bound(frame: Frame, alpha: Portal) -> dict[str, str]:
    """Sets it up, chooses it for a payment, and returns what the portal posts for its buyer."""
    frame.post(CREATE)
    payment = alpha.payments[seed.PAYMENT]
    payment.pay_system_id = for_individuals(alpha).id
    asked = request_fields(alpha, payment)
    assert asked is not None
    address, fields = asked
    assert address == f"{settings.APP_URL}/checkout/"
    return dict(flat_fields(fields))


def asked_for(client: Client, fields: dict[str, str], status: int = 200) -> dict[str, Any]:
    answer = client.post("/checkout/", fields)
    assert answer.status_code == status, answer.content
    content: dict[str, Any] = json.loads(answer.content) if status == 200 else {}
    return content


# ---- setting it up


def test_it_is_set_up_once_for_each_payer_type(frame: Frame, alpha: Portal) -> None:
    for _ in range(2):
        assert "Manual settlement is set up" in text_of(frame.post(CREATE))
    assert [one.code for one in alpha.handlers.values()].count(manual_settlement.CODE) == 1
    assert sorted(one.person_type_id for one in systems(alpha)) == [1, 2]
    assert all(one.active and one.registry == "ORDER" for one in systems(alpha))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["sale.paysystem.handler.add", "sale.paysystem.add"])
def test_whatever_goes_wrong_a_second_press_completes_it(
    sandbox: Sandbox, frame: Frame, alpha: Portal, method: str, when: str
) -> None:
    sandbox.faults.add(Fault("drop", method=method, when=when))
    frame.post(CREATE)
    frame.post(CREATE)
    assert [one.code for one in alpha.handlers.values()].count(manual_settlement.CODE) == 1
    assert sorted(one.person_type_id for one in systems(alpha)) == [1, 2]


def test_a_payment_is_paid_by_it(frame: Frame, alpha: Portal) -> None:
    frame.post(CREATE)
    system = for_individuals(alpha)
    offer = offer_in(frame.tab())
    answer = frame.post("/payments/pay/", offer=offer, pay_system_id=system.id)
    assert 'data-state="paid"' in text_of(answer)
    assert alpha.payments[seed.PAYMENT].paid


def test_it_is_removed_whole(frame: Frame, alpha: Portal) -> None:
    frame.post(CREATE)
    alpha.payments[seed.PAYMENT].pay_system_id = for_individuals(alpha).id
    question = frame.client.get("/payments/provider/ask-removal/", headers=frame.headers())
    assert "1 unpaid payment is set to it" in text_of(question)
    assert "is removed" in text_of(frame.post(REMOVE))
    assert not systems(alpha)
    assert manual_settlement.CODE not in {one.code for one in alpha.handlers.values()}
    assert "is removed" in text_of(frame.post(REMOVE))


def test_a_settings_administrator_sets_it_up_and_removes_it(
    frame: Frame, sandbox: Sandbox, alpha: Portal, client: Client
) -> None:
    settings_admin = Frame(client, sandbox, alpha, seed.SETTINGS_ADMIN)
    assert "is set up" in text_of(settings_admin.post(CREATE))
    assert len(systems(alpha)) == 2
    assert "is removed" in text_of(settings_admin.post(REMOVE))
    assert not systems(alpha)


@pytest.mark.parametrize("path", [CREATE, REMOVE])
def test_without_the_settings_right_the_screen_says_so(
    sandbox: Sandbox, alpha: Portal, client: Client, path: str
) -> None:
    stage.install(sandbox, alpha)
    html = text_of(Frame(client, sandbox, alpha, seed.MANAGER).post(path), 403)
    assert "Allow to modify settings" in html
    assert not systems(alpha)


def test_it_is_offered_where_nothing_can_be_paid_through(
    frame: Frame, alpha: Portal, client: Client, sandbox: Sandbox
) -> None:
    assert 'data-offer="provider"' not in text_of(frame.opened())
    for system in alpha.pay_systems.values():
        system.active = system.action_file == "cash"
    client_of_another = Frame(client, sandbox, alpha, seed.MANAGER)
    cache.clear()
    assert 'data-offer="provider"' in text_of(frame.opened())
    assert 'data-offer="provider"' not in text_of(client_of_another.opened())


def test_another_address_of_the_app_is_put_into_the_handler(frame: Frame, alpha: Portal) -> None:
    frame.post(CREATE)
    handler = next(one for one in alpha.handlers.values() if one.code == manual_settlement.CODE)
    handler.settings["CHECKOUT_DATA"]["ACTION_URI"] = "https://old.example.com/checkout/"
    frame.post(CREATE)
    assert handler.settings["CHECKOUT_DATA"]["ACTION_URI"] == f"{settings.APP_URL}/checkout/"


def test_a_key_that_is_not_good_any_more_is_renewed(
    frame: Frame, alpha: Portal, client: Client
) -> None:
    fields = bound(frame, alpha)
    kept = for_individuals(alpha).settings["PROOF_KEY"]["VALUE"]
    for_individuals(alpha).settings["PROOF_KEY"]["VALUE"] = "of another time"
    frame.post(CREATE)
    assert for_individuals(alpha).settings["PROOF_KEY"]["VALUE"] == kept == fields["proof"]


# ---- the checkout


def test_a_buyer_is_led_to_a_page_that_says_what_to_do(
    frame: Frame, alpha: Portal, client: Client
) -> None:
    fields = bound(frame, alpha) | {"instructions": "Pay at the <b>counter</b>.\nBring the number."}
    answer = asked_for(client, fields)
    assert answer["PAYMENT_ID"] == f"manual-{seed.PAYMENT}"
    assert answer["PAYMENT_URL"].startswith(f"{settings.APP_URL}/checkout/")
    page = client.get(answer["PAYMENT_URL"].removeprefix(settings.APP_URL))
    html = text_of(page)
    assert alpha.payments[seed.PAYMENT].account_number in html
    assert "12 500.00" in html.replace("\xa0", " ")
    assert "&lt;b&gt;counter" in html
    assert "pays nothing" in html
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
    assert not alpha.payments[seed.PAYMENT].paid


def test_nothing_is_marked_as_paid_by_it(
    sandbox: Sandbox, frame: Frame, alpha: Portal, client: Client
) -> None:
    fields = bound(frame, alpha)
    since = len(sandbox.log)
    asked_for(client, fields)
    assert [call.methods for call in sandbox.log[since:]] == [("sale.payment.get",)]
    assert not alpha.payments[seed.PAYMENT].paid


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proof", "0" * 64),
        ("proof", ""),
        ("portal", seed.BETA),
        ("portal", "nobody"),
    ],
)
def test_without_the_portals_key_no_portal_is_asked(
    sandbox: Sandbox, frame: Frame, alpha: Portal, client: Client, name: str, value: str
) -> None:
    fields = bound(frame, alpha) | {name: value}
    since = len(sandbox.log)
    answer = asked_for(client, fields)
    assert "not set up by this app" in answer["PAYMENT_ERRORS"][0]
    assert "PAYMENT_URL" not in answer
    assert len(sandbox.log) == since


@pytest.mark.parametrize(
    ("name", "value"), [("SUM", "1.00"), ("CURRENCY", "USD"), ("PAYSYSTEM_ID", str(seed.ACME_PAY))]
)
def test_what_is_not_so_any_more_gets_no_page(
    frame: Frame, alpha: Portal, client: Client, name: str, value: str
) -> None:
    fields = bound(frame, alpha) | {f"BX_SYSTEM_PARAMS[{name}]": value}
    assert "has changed" in asked_for(client, fields)["PAYMENT_ERRORS"][0]


def test_what_is_paid_gets_no_page(frame: Frame, alpha: Portal, client: Client) -> None:
    fields = bound(frame, alpha)
    alpha.payments[seed.PAYMENT].paid = True
    assert "cannot be paid any more" in asked_for(client, fields)["PAYMENT_ERRORS"][0]
    gone = fields | {"BX_SYSTEM_PARAMS[PAYMENT_ID]": "999999"}
    assert "cannot be paid any more" in asked_for(client, gone)["PAYMENT_ERRORS"][0]


def test_what_cannot_be_checked_gets_no_page(
    sandbox: Sandbox, frame: Frame, alpha: Portal, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
    fields = bound(frame, alpha)
    sandbox.faults.add(Fault("drop", method="sale.payment.get", times=None))
    assert "could not be checked" in asked_for(client, fields)["PAYMENT_ERRORS"][0]


@pytest.mark.parametrize(
    "changed",
    [
        {"BX_SYSTEM_PARAMS[PAYMENT_ID]": "x"},
        {"BX_SYSTEM_PARAMS[SUM]": "much"},
        {"BX_SYSTEM_PARAMS[CURRENCY]": "E" * 11},
        {"portal": "p" * 65},
        {"portal": "a\0"},
        {"proof": "\0"},
        {"instructions": "pay\0"},
        {"BX_SYSTEM_PARAMS[SUM]": "NaN"},
        {"BX_SYSTEM_PARAMS[SUM]": "1e99999999"},
        {"portal[x]": "1", "portal": None},
        {"BX_SYSTEM_PARAMS": "text"},
    ],
)
def test_what_no_portal_sends_is_refused(
    sandbox: Sandbox, frame: Frame, alpha: Portal, client: Client, changed: dict[str, Any]
) -> None:
    fields: dict[str, Any] = bound(frame, alpha) | changed
    if "BX_SYSTEM_PARAMS" in changed:
        fields = {name: value for name, value in fields.items() if "[" not in name}
    since = len(sandbox.log)
    sent = {name: value for name, value in fields.items() if value is not None}
    asked_for(client, sent, status=400)
    assert len(sandbox.log) == since


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"BX_SYSTEM_PARAMS": {"PAYMENT_ID": 271}}', "application/json"),
        (b"BX_SYSTEM_PARAMS[PAYMENT_ID]=271&x=" + b"y" * 70_000, None),
        (b"\xff\xfe=\x00&[[]=1", None),
        (b"", None),
    ],
)
def test_an_unreadable_body_asks_no_portal(
    sandbox: Sandbox, frame: Frame, client: Client, body: bytes, content_type: str | None
) -> None:
    kind = content_type or "application/x-www-form-urlencoded"
    since = len(sandbox.log)
    assert client.post("/checkout/", body, content_type=kind).status_code == 400
    assert len(sandbox.log) == since


def test_the_same_request_again_gets_the_page_again_and_changes_nothing(
    frame: Frame, alpha: Portal, client: Client
) -> None:
    fields = bound(frame, alpha)
    before = deepcopy(alpha.payments)
    answers = [asked_for(client, fields) for _ in range(3)]
    assert {answer["PAYMENT_ID"] for answer in answers} == {f"manual-{seed.PAYMENT}"}
    assert alpha.payments == before


def test_the_page_runs_and_loads_nothing_of_others(
    frame: Frame, alpha: Portal, client: Client
) -> None:
    answer = asked_for(client, bound(frame, alpha))
    page = client.get(answer["PAYMENT_URL"].removeprefix(settings.APP_URL))
    html = text_of(page)
    policy = page["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src" in policy
    assert " style=" not in html
    assert "<script>" not in html
    assert not page.cookies
    assert "no-store" in page["Cache-Control"]


def test_long_instructions_are_cut_and_the_address_stays_short(
    frame: Frame, alpha: Portal, client: Client
) -> None:
    fields = bound(frame, alpha) | {"instructions": "\N{CYRILLIC SMALL LETTER ZHE}x7" * 1000}
    address = asked_for(client, fields)["PAYMENT_URL"]
    assert len(address) < 2000
    html = text_of(client.get(address.removeprefix(settings.APP_URL)))
    shown = html.count("\N{CYRILLIC SMALL LETTER ZHE}")
    assert shown == INSTRUCTIONS_LENGTH // 3 + 1


@pytest.mark.parametrize("sealed", ["x", "a:b:c"])
def test_a_page_that_we_did_not_make_is_not_there(client: Client, sealed: str) -> None:
    assert "Open the payment again" in text_of(client.get(f"/checkout/{sealed}/"), 404)


def test_a_removed_app_answers_no_checkout(frame: Frame, alpha: Portal, client: Client) -> None:
    fields = bound(frame, alpha)
    PortalRow.objects.update(uninstalled_at=timezone.now())
    assert "not set up by this app" in asked_for(client, fields)["PAYMENT_ERRORS"][0]
