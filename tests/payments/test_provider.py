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

from b24app import models
from payments.setup import manual_settlement
from payments.setup.checkout import INSTRUCTIONS_LENGTH
from sandbox.api.faults import Fault
from sandbox.host.checkout import request_fields
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.events import flat_fields
from sandbox.world.world import PaySystem, Portal
from tests.b24app.portal_posts import FORM
from tests.payments import stage
from tests.payments.frames import Frame, FrameOf, offer_in, text_of

pytestmark = pytest.mark.django_db

CREATE, REMOVE = "/payments/provider/create/", "/payments/provider/remove/"


@pytest.fixture
def frame(admin_frame: Frame) -> Frame:
    return admin_frame


@pytest.fixture
def asked(frame: Frame) -> dict[str, str]:
    """Sets it up and chooses it for a payment: the fields that the portal posts for its buyer."""
    frame.post(CREATE)
    payment = frame.portal.payments[seed.PAYMENT]
    payment.pay_system_id = for_individuals(frame.portal).id
    found = request_fields(frame.portal, payment)
    assert found is not None
    address, fields = found
    assert address == f"{settings.APP_URL}/checkout/"
    return dict(flat_fields(fields))


def systems(alpha: Portal) -> list[PaySystem]:
    return [one for one in alpha.pay_systems.values() if one.action_file == manual_settlement.CODE]


def codes(alpha: Portal) -> list[str]:
    return [one.code for one in alpha.handlers.values()]


def for_individuals(alpha: Portal) -> PaySystem:
    return next(one for one in systems(alpha) if one.person_type_id == 1)


def answered(client: Client, fields: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = client.post("/checkout/", fields)
    assert answer.status_code == status, answer.content
    content: dict[str, Any] = json.loads(answer.content) if status == 200 else {}
    return content


def error(client: Client, fields: dict[str, str]) -> str:
    """Returns why the buyer gets no page."""
    answer = answered(client, fields)
    assert "PAYMENT_URL" not in answer
    found: str = answer["PAYMENT_ERRORS"][0]
    return found


def page_of(client: Client, fields: dict[str, str]) -> Any:
    address = answered(client, fields)["PAYMENT_URL"]
    assert address.startswith(f"{settings.APP_URL}/checkout/")
    assert len(address) < 2000
    return client.get(address.removeprefix(settings.APP_URL))


# ---- setting it up


@pytest.mark.parametrize("user_id", [seed.ADMIN, seed.SETTINGS_ADMIN])
def test_it_is_set_up_once_for_each_payer_type_and_removed_whole(
    frame_of: FrameOf, alpha: Portal, user_id: int
) -> None:
    frame = frame_of(user_id)
    for _ in range(2):
        assert "Manual settlement is set up" in frame.send(CREATE)
    assert codes(alpha).count(manual_settlement.CODE) == 1
    assert sorted(one.person_type_id for one in systems(alpha)) == [1, 2]
    assert all(one.active and one.registry == "ORDER" for one in systems(alpha))
    alpha.payments[seed.PAYMENT].pay_system_id = for_individuals(alpha).id
    question = frame.look("/payments/provider/ask-removal/")
    assert "1 unpaid payment is set to it" in question
    for _ in range(2):
        assert "is removed" in frame.send(REMOVE)
    assert not systems(alpha)
    assert manual_settlement.CODE not in codes(alpha)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["sale.paysystem.handler.add", "sale.paysystem.add"])
def test_a_second_press_completes_it(frame: Frame, alpha: Portal, method: str, when: str) -> None:
    frame.sandbox.faults.add(Fault("drop", method=method, when=when))
    frame.post(CREATE)
    frame.post(CREATE)
    assert codes(alpha).count(manual_settlement.CODE) == 1
    assert sorted(one.person_type_id for one in systems(alpha)) == [1, 2]


def test_a_payment_is_paid_by_it(frame: Frame, alpha: Portal) -> None:
    frame.post(CREATE)
    system, offer = for_individuals(alpha), offer_in(frame.tab())
    paid = frame.send("/payments/pay/", offer=offer, pay_system_id=system.id)
    assert 'data-state="paid"' in paid
    assert alpha.payments[seed.PAYMENT].paid


@pytest.mark.parametrize("path", [CREATE, REMOVE])
def test_a_missing_settings_right_is_told(frame_of: FrameOf, alpha: Portal, path: str) -> None:
    assert "Allow to modify settings" in frame_of(seed.MANAGER).send(path, 403)
    assert not systems(alpha)


def test_it_is_offered_where_nothing_else_pays(
    frame: Frame, frame_of: FrameOf, alpha: Portal
) -> None:
    assert 'data-offer="provider"' not in text_of(frame.opened())
    for system in alpha.pay_systems.values():
        system.active = system.action_file == "cash"
    manager = frame_of(seed.MANAGER)
    cache.clear()
    assert 'data-offer="provider"' in text_of(frame.opened())
    assert 'data-offer="provider"' not in text_of(manager.opened())


def test_an_old_address_and_an_old_key_are_renewed(frame: Frame, alpha: Portal) -> None:
    frame.post(CREATE)
    handler = next(one for one in alpha.handlers.values() if one.code == manual_settlement.CODE)
    checkout, key = handler.settings["CHECKOUT_DATA"], for_individuals(alpha).settings["PROOF_KEY"]
    good = (dict(checkout), key["VALUE"])
    checkout["ACTION_URI"], key["VALUE"] = "https://old.example.com/checkout/", "of another time"
    frame.post(CREATE)
    renewed = for_individuals(alpha).settings["PROOF_KEY"]["VALUE"]
    assert (handler.settings["CHECKOUT_DATA"], renewed) == good


# ---- the checkout


def test_a_buyer_is_led_to_a_page_that_says_how_to_pay(
    asked: dict[str, str], alpha: Portal, client: Client
) -> None:
    """The same request again gets the same page and changes nothing."""
    asked["instructions"] = "Pay at the <b>counter</b>.\nBring the number."
    before = deepcopy(alpha.payments)
    for _ in range(2):
        assert answered(client, asked)["PAYMENT_ID"] == f"manual-{seed.PAYMENT}"
    assert alpha.payments == before
    page = page_of(client, asked)
    html = text_of(page)
    for one in (
        alpha.payments[seed.PAYMENT].account_number,
        "12\xa0500.00",
        "&lt;b&gt;counter",
        "pays nothing",
    ):
        assert one in html
    for code in (" style=", "<script>"):
        assert code not in html
    policy = page["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src" in policy
    assert "unsafe" not in policy
    assert not page.cookies
    assert "no-store" in page["Cache-Control"]


def test_a_checkout_only_reads(sandbox: Sandbox, asked: dict[str, str], client: Client) -> None:
    since = len(sandbox.log)
    answered(client, asked)
    assert [call.methods for call in sandbox.log[since:]] == [("sale.payment.get",)]


@pytest.mark.parametrize(
    ("name", "value"),
    [("proof", "0" * 64), ("proof", ""), ("portal", seed.BETA), ("portal", "nobody")],
)
def test_without_the_portals_key_no_portal_is_asked(
    sandbox: Sandbox, asked: dict[str, str], client: Client, name: str, value: str
) -> None:
    with stage.no_request(sandbox):
        assert "not set up by this app" in error(client, asked | {name: value})


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("SUM", "1.00", "has changed"),
        ("CURRENCY", "USD", "has changed"),
        ("PAYSYSTEM_ID", str(seed.ACME_PAY), "has changed"),
        ("PAYMENT_ID", "999999", "cannot be paid any more"),
    ],
)
def test_a_payment_that_has_changed_gets_no_page(
    asked: dict[str, str], client: Client, name: str, value: str, why: str
) -> None:
    assert why in error(client, asked | {f"BX_SYSTEM_PARAMS[{name}]": value})


@pytest.mark.usefixtures("no_pauses")
def test_a_paid_payment_a_silent_portal_and_a_removed_app_have_no_page(
    sandbox: Sandbox, asked: dict[str, str], alpha: Portal, client: Client
) -> None:
    alpha.payments[seed.PAYMENT].paid = True
    assert "cannot be paid any more" in error(client, asked)
    sandbox.faults.add(Fault("drop", method="sale.payment.get", times=None))
    assert "could not be checked" in error(client, asked)
    models.Portal.objects.update(uninstalled_at=timezone.now())
    assert "not set up by this app" in error(client, asked)


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
def test_a_request_that_no_portal_sends_is_refused(
    sandbox: Sandbox, asked: dict[str, str], client: Client, changed: dict[str, Any]
) -> None:
    fields: dict[str, Any] = asked | changed
    if "BX_SYSTEM_PARAMS" in changed:
        fields = {name: value for name, value in fields.items() if "[" not in name}
    sent = {name: value for name, value in fields.items() if value is not None}
    with stage.no_request(sandbox):
        answered(client, sent, status=400)


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"BX_SYSTEM_PARAMS": {"PAYMENT_ID": 271}}', "application/json", 400),
        (b"BX_SYSTEM_PARAMS[PAYMENT_ID]=271&x=" + b"y" * 70_000, FORM, 413),
        (b"\xff\xfe=\x00&[[]=1", FORM, 400),
        (b"", FORM, 400),
    ],
)
def test_a_bad_body_asks_no_portal(
    sandbox: Sandbox, client: Client, body: bytes, kind: str, status: int
) -> None:
    with stage.no_request(sandbox):
        assert client.post("/checkout/", body, content_type=kind).status_code == status


def test_long_instructions_are_cut(asked: dict[str, str], client: Client) -> None:
    letter = "\N{CYRILLIC SMALL LETTER ZHE}"
    html = text_of(page_of(client, asked | {"instructions": f"{letter}x7" * 1000}))
    assert html.count(letter) == INSTRUCTIONS_LENGTH // 3 + 1


@pytest.mark.parametrize("sealed", ["x", "a:b:c"])
def test_a_page_with_a_forged_seal_is_not_there(client: Client, sealed: str) -> None:
    assert "Open the payment again" in text_of(client.get(f"/checkout/{sealed}/"), 404)
