"""`manage.py b24`: any method from a shell, secrets masked, and nothing that pays."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command

from b24app.models import Portal as PortalRow
from payments.gateway import moving
from payments.management.commands import b24 as command
from payments.secrecy import MASK, masked
from sandbox import seed
from sandbox.app import Sandbox
from sandbox.faults import Fault
from sandbox.world import Portal
from tests.payments import stage

pytestmark = pytest.mark.django_db

WEBHOOK = f"https://alpha.example.com/rest/{seed.ADMIN}/{seed.WEBHOOK_CODE}/"
ANSWERED, REFUSED, NOT_CONFIRMED, NOTHING_SENT = range(4)


@pytest.fixture(autouse=True)
def _code_is_written_nowhere(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.INFO)
    yield
    assert seed.WEBHOOK_CODE not in caplog.text


def run(*arguments: str) -> tuple[int, str, str]:
    """The exit code, what was printed and what was said beside it."""
    printed, said = io.StringIO(), io.StringIO()
    try:
        call_command("b24", *arguments, stdout=printed, stderr=said)
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        return ended.code, printed.getvalue(), said.getvalue()
    return ANSWERED, printed.getvalue(), said.getvalue()


def by_webhook(*arguments: str) -> tuple[int, str, str]:
    return run(*arguments, "--webhook", WEBHOOK)


def test_it_prints_the_answer_of_a_webhooks_portal(alpha: Portal) -> None:
    code, printed, _ = by_webhook("sale.paysystem.list", "SELECT[0]=ID", "SELECT[1]=NAME")
    assert code == ANSWERED
    rows = json.loads(printed)["result"]
    assert {"ID": seed.ACME_PAY, "NAME": "Acme Pay"} in rows
    assert len(rows) == len(alpha.pay_systems)


def test_a_portal_with_the_app_is_called_as_who_serves_it(sandbox: Sandbox, alpha: Portal) -> None:
    stage.install(sandbox, alpha)
    code, printed, _ = run("profile", "--portal", "alpha.example.com")
    assert code == ANSWERED
    assert json.loads(printed)["result"]["ID"] == str(seed.ADMIN)


def test_or_as_somebody_who_opened_the_app(sandbox: Sandbox, alpha: Portal) -> None:
    row = stage.install(sandbox, alpha)
    stage.person(sandbox, row, seed.MANAGER)
    code, printed, said = run(
        "sale.paysystem.list", "--portal", "alpha.example.com", "--user", str(seed.MANAGER)
    )
    assert code == REFUSED
    assert json.loads(printed) == {
        "error": "ACCESS_DENIED",
        "error_description": "Access denied!",
        "status": 403,
    }
    assert said


def test_it_changes_what_it_is_told_to_change(alpha: Portal) -> None:
    code, printed, _ = by_webhook(
        "sale.paysystem.update", f"ID={seed.ACME_PAY}", "FIELDS[NAME]=Acme Pay Plus"
    )
    assert (code, json.loads(printed)) == (ANSWERED, {"result": True})
    assert alpha.pay_systems[seed.ACME_PAY].name == "Acme Pay Plus"


def test_sums_are_printed_as_they_came(alpha: Portal) -> None:
    _, printed, _ = by_webhook("sale.payment.get", f"id={seed.PAYMENT}")
    assert json.loads(printed)["result"]["payment"]["sum"] in ("12500", "12500.0", 12500)


PAYING = [
    "sale.paysystem.pay.payment",
    "Sale.PaySystem.Pay.Payment.json",
    "sale.paysystem.pay.payment.xml/",
    "sale.paysystem.pay.invoice",
    "crm.item.payment.pay",
    "crm.item.payment.unpay",
    "crm.item.payment.update",
    "crm.item.payment.add",
    "sale.payment.update",
    "sale.payment.add",
    "sale.order.update",
    "sale.order.modify",
    "crm.invoice.update",
    "crm.invoice.recurring.expose",
    "bizproc.workflow.start",
    "bizproc.event.send",
    "bizproc.task.complete",
    "crm.automation.trigger",
    "crm.automation.trigger.execute",
    "batch",
    "BATCH.json",
]


@pytest.mark.parametrize("method", PAYING)
def test_what_can_pay_is_not_called(sandbox: Sandbox, alpha: Portal, method: str) -> None:
    code, printed, said = by_webhook(
        method, f"PAYMENT_ID={seed.PAYMENT}", f"PAY_SYSTEM_ID={seed.ACME_PAY}", f"id={seed.PAYMENT}"
    )
    assert (code, printed) == (NOTHING_SENT, "")
    assert "Nothing was sent" in said
    assert not sandbox.log
    assert not alpha.payments[seed.PAYMENT].paid


@pytest.mark.parametrize(
    "method",
    [
        "sale.payment.get",
        "sale.payment.list",
        "sale.order.list",
        "crm.item.payment.list",
        "crm.invoice.getexternallink",
        "crm.invoice.userfield.add",
        "bizproc.workflow.instances",
        "bizproc.workflow.template.list",
        "crm.automation.trigger.list",
        "sale.paysystem.settings.payment.get",
        "event.bind",
    ],
)
def test_what_cannot_pay_is(method: str) -> None:
    assert not moving.may_move_money(method, {})


@pytest.mark.parametrize("method", ["crm.item.update", "crm.item.add", "crm.item.batchimport"])
@pytest.mark.parametrize("kind", ["entityTypeId=31", "entityTypeId= 31", "entityTypeId=031", "x=1"])
def test_a_new_invoices_stage_is_not_set(
    sandbox: Sandbox, alpha: Portal, method: str, kind: str
) -> None:
    arguments = (kind, "id=502", "fields[stageId]=DT31_2:P")
    code, _, said = by_webhook(method, *arguments)
    assert code == NOTHING_SENT
    assert "Nothing was sent" in said
    assert not sandbox.log


@pytest.mark.parametrize(
    "parameters",
    [
        {"entityTypeId": "2", "fields": {"stageId": "WON"}},
        {"entityTypeId": "31", "fields": {"title": "Invoice"}},
    ],
)
def test_other_items_and_other_fields_are(parameters: dict[str, Any]) -> None:
    assert not moving.may_move_money("crm.item.update", parameters)


@pytest.mark.parametrize("method", ["", " ", "../admin", "sale/payment", "a b", "https://x", "1.2"])
def test_what_is_no_method_is_not_sent(sandbox: Sandbox, method: str) -> None:
    code, _, said = by_webhook(method)
    assert code == NOTHING_SENT
    assert "not the name" in said
    assert not sandbox.log


@pytest.mark.parametrize("parameter", ["ID", "FIELDS[=1", "FIELDS[A]]=1", "=1"])
def test_what_is_no_parameter_is_not_sent(sandbox: Sandbox, parameter: str) -> None:
    code, _, said = by_webhook("app.info", parameter)
    assert code == NOTHING_SENT
    assert said
    assert not sandbox.log


def test_nobody_named(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("B24_WEBHOOK", raising=False)
    code, _, said = run("app.info")
    assert code == NOTHING_SENT
    assert "--portal" in said
    assert not PortalRow.objects.exists()


def test_a_command_line_that_is_not_understood_says_that_nothing_was_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.Command().run_from_argv(["manage.py", "b24", "app.info", "--webhok", WEBHOOK])
    assert ended.value.code == NOTHING_SENT
    captured = capsys.readouterr()
    assert seed.WEBHOOK_CODE not in captured.out + captured.err


def test_a_call_is_sent_once_whatever_comes_back(sandbox: Sandbox, alpha: Portal) -> None:
    sandbox.faults.add(Fault("drop", method="sale.paysystem.add", when="after", times=None))
    before = len(alpha.pay_systems)
    code, _, said = by_webhook(
        "sale.paysystem.add",
        "NAME=Twice Not Pay",
        f"BX_REST_HANDLER={seed.ACME_HANDLER}",
        "PERSON_TYPE_ID=1",
        "ENTITY_REGISTRY_TYPE=ORDER",
    )
    assert code == NOT_CONFIRMED
    assert said
    assert len(alpha.pay_systems) == before + 1


def test_merchants_secrets_are_masked(alpha: Portal) -> None:
    alpha.pay_systems[seed.ACME_PAY].settings = {
        "REST_SERVICE_KEY": {"TYPE": "VALUE", "VALUE": "made-up-secret"},
        "REST_SERVICE_ID": {"TYPE": "VALUE", "VALUE": "shop 7"},
        "ODD_ONE": {"TYPE": "VALUE", "VALUE": "a1b2c3d4e5f6a7b8c9d0"},
    }
    code, printed, _ = by_webhook(
        "sale.paysystem.settings.get", f"ID={seed.ACME_PAY}", "PERSON_TYPE_ID=1"
    )
    assert code == ANSWERED
    assert json.loads(printed)["result"] == {
        "REST_SERVICE_KEY": {"TYPE": "VALUE", "VALUE": MASK},
        "REST_SERVICE_ID": {"TYPE": "VALUE", "VALUE": "shop 7"},
        "ODD_ONE": {"TYPE": "VALUE", "VALUE": MASK},
    }
    code, printed, _ = by_webhook(
        "sale.paysystem.settings.payment.get",
        f"PAY_SYSTEM_ID={seed.ACME_PAY}",
        f"PAYMENT_ID={seed.PAYMENT}",
    )
    assert code == ANSWERED
    assert "made-up-secret" not in printed
    assert "a1b2c3d4e5f6a7b8c9d0" not in printed
    assert "shop 7" in printed


def test_a_secret_within_is_masked_by_its_code() -> None:
    handler = {
        "SHOP_PIN": {"TYPE": "VALUE", "VALUE": "4711", "MORE": "x"},
        "API_KEY": {
            "NAME": "Key",
            "DEFAULT": {"PROVIDER_KEY": "VALUE", "PROVIDER_VALUE": "made up"},
        },
        "SHOP": {"DEFAULT": {"PROVIDER_KEY": "VALUE", "PROVIDER_VALUE": "Shop 7"}},
    }
    told = masked({"CODES": handler})["CODES"]
    assert told["SHOP_PIN"] == {"TYPE": "VALUE", "VALUE": MASK, "MORE": "x"}
    assert told["API_KEY"]["NAME"] == "Key"
    assert told["API_KEY"]["DEFAULT"]["PROVIDER_VALUE"] == MASK
    assert told["SHOP"]["DEFAULT"]["PROVIDER_VALUE"] == "Shop 7"


def test_masking_leaves_what_is_no_secret() -> None:
    told = {
        "PROVIDER_KEY": "PAYMENT",
        "LIST": [{"api_key": "x"}, {"id": 7}],
        "token": "",
        "ok": True,
    }
    assert masked(told) == {
        "PROVIDER_KEY": "PAYMENT",
        "LIST": [{"api_key": MASK}, {"id": 7}],
        "token": "",
        "ok": True,
    }
