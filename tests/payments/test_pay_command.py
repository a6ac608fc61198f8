"""`manage.py pay`: the same steps as the screens, from a shell, with an exit code."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.utils import timezone

from b24app import models
from b24app.models import Portal as PortalRow
from b24app.rest import client
from payments.attempts.mark_paid import mark
from payments.attempts.pay import pay
from payments.attempts.undo import undo
from payments.management.commands import pay as command
from payments.models import SETTLE_AFTER, Attempt, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Webhook
from tests.payments import stage
from tests.payments.unconfirmed import MARK, UNDO, lost

pytestmark = pytest.mark.django_db

WEBHOOK = f"https://alpha.example.com/rest/{seed.ADMIN}/{seed.WEBHOOK_CODE}/"
PAID, REFUSED, NOT_CONFIRMED, NOTHING_TRIED = range(4)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "pause", lambda seconds: None)
    monkeypatch.delenv("B24_WEBHOOK", raising=False)


@pytest.fixture(autouse=True)
def _code_is_written_nowhere(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Asserts that the webhook's code is in no line of the log and in no output."""
    caplog.set_level(logging.INFO)
    yield
    captured = capsys.readouterr()
    assert seed.WEBHOOK_CODE not in caplog.text + captured.out + captured.err
    for row in [*PortalRow.objects.values(), *Attempt.objects.values()]:
        assert seed.WEBHOOK_CODE not in str(row)


def run(*options: str, payment: int = seed.PAYMENT, system: int = seed.ACME_PAY) -> tuple[int, str]:
    """Returns the exit code and the output."""
    said = io.StringIO()
    arguments = ("--payment", str(payment), "--pay-system", str(system))
    with pytest.raises(SystemExit) as ended:
        call_command("pay", *arguments, *options, stdout=said, stderr=said)
    assert isinstance(ended.value.code, int)
    assert seed.WEBHOOK_CODE not in said.getvalue()
    return ended.value.code, said.getvalue()


def by_webhook(
    *options: str, payment: int = seed.PAYMENT, system: int = seed.ACME_PAY
) -> tuple[int, str]:
    return run("--webhook", WEBHOOK, "--yes", *options, payment=payment, system=system)


def dropped(method: str) -> Fault:
    return Fault("drop", method=method, times=None)


# ---- paid


def test_a_webhook_pays_as_its_owner(sandbox: Sandbox, alpha: Portal) -> None:
    code, said = by_webhook()
    payment = alpha.payments[seed.PAYMENT]
    assert code == PAID
    assert (payment.paid, payment.emp_paid_id, payment.times_paid) == (True, seed.ADMIN, 1)
    assert "Paid: 12 500.00 EUR, Acme Pay" in said
    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.user_id) == (State.PAID, seed.ADMIN)
    assert attempt.sum == Decimal("12500.00")
    assert attempt.portal.installed_at is None
    assert stage.sent_payments(sandbox) == 1


def test_the_webhook_may_stand_in_the_environment(
    alpha: Portal, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    monkeypatch.setenv("B24_WEBHOOK", WEBHOOK)
    code, _ = run("--yes")
    assert code == PAID
    assert alpha.payments[seed.PAYMENT].paid


def test_another_pay_system_is_bound_first(sandbox: Sandbox, alpha: Portal) -> None:
    code, said = by_webhook(payment=seed.CASH_PAYMENT)
    assert code == PAID
    assert alpha.payments[seed.CASH_PAYMENT].pay_system_id == seed.ACME_PAY
    assert "310.00 EUR" in said


def test_a_payment_of_no_deal_is_paid_by_an_administrator(sandbox: Sandbox, alpha: Portal) -> None:
    code, _ = by_webhook(payment=seed.LOOSE_PAYMENT)
    assert code == PAID
    assert alpha.payments[seed.LOOSE_PAYMENT].paid


def test_a_portal_with_the_app_pays_by_who_serves_it(sandbox: Sandbox, alpha: Portal) -> None:
    row = stage.install(sandbox, alpha)
    code, _ = run("--portal", "alpha.example.com", "--yes")
    assert code == PAID
    assert alpha.payments[seed.PAYMENT].emp_paid_id == seed.ADMIN
    assert Attempt.objects.get().portal == row


def test_or_as_a_person_who_has_opened_the_app(sandbox: Sandbox, alpha: Portal) -> None:
    row = stage.install(sandbox, alpha)
    stage.person(sandbox, row, seed.MANAGER)
    code, _ = run("--portal", row.member_id, "--user", str(seed.MANAGER), "--yes")
    assert code == PAID
    assert alpha.payments[seed.PAYMENT].emp_paid_id == seed.MANAGER


def test_where_the_deal_goes_silent_the_payment_is_read_back_by_itself(
    sandbox: Sandbox, alpha: Portal
) -> None:
    """No installer's token looks over a webhook's shoulder: its own has to."""
    sandbox.faults.add(
        Fault(
            "delay",
            method=stage.PAY,
            seconds=0,
            on_hit=lambda: sandbox.faults.add(dropped(stage.READ_BACK)),
        )
    )
    assert by_webhook()[0] == PAID


def test_without_a_serving_pair_the_payer_reads_the_pay_systems(
    sandbox: Sandbox, alpha: Portal
) -> None:
    row = stage.install(sandbox, alpha)
    admin = stage.person(sandbox, row, seed.ADMIN)
    offer = stage.offer_of(admin, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)
    stage.lose_portal_token(row)
    cache.clear()
    assert pay(admin, offer, pay_system_id=seed.ACME_PAY).state == State.PAID


# ---- asked once


@pytest.mark.parametrize(("answer", "code"), [("y\n", PAID), ("n\n", NOTHING_TRIED), ("", 3)])
def test_it_asks_once(
    sandbox: Sandbox, alpha: Portal, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    ended, said = run("--webhook", WEBHOOK)
    assert ended == code
    assert said.count("Pay 12 500.00 EUR by Acme Pay for payment 163/1?") == 1
    assert alpha.payments[seed.PAYMENT].paid is (code == PAID)
    assert Attempt.objects.exists() is (code == PAID)


# ---- refused


@pytest.mark.parametrize(
    ("payment", "system", "sentence"),
    [
        (seed.CASH_PAYMENT, seed.CASH, "mark the payment as paid by hand"),
        (seed.PAYMENT, seed.INACTIVE_PAY, "This payment system cannot be used here"),
        (seed.PAYMENT, 999, "This payment system cannot be used here"),
        (seed.PAID_PAYMENT, seed.ACME_PAY, "This payment is paid already."),
        (seed.CANCELED_PAYMENT, seed.ACME_PAY, "The order is cancelled"),
        (seed.ZERO_PAYMENT, seed.ACME_PAY, "The sum of this payment is not more than zero"),
    ],
)
def test_what_cannot_be_paid_is_refused_and_never_sent(
    sandbox: Sandbox, payment: int, system: int, sentence: str
) -> None:
    code, said = by_webhook(payment=payment, system=system)
    assert code == REFUSED
    assert "Refused" in said
    assert sentence in said
    assert stage.sent_payments(sandbox) == 0


def test_true_without_payment_is_refused(sandbox: Sandbox, alpha: Portal) -> None:
    alpha.payment_save_fails = True
    code, said = by_webhook()
    assert code == REFUSED
    assert "the payment is still unpaid" in said
    assert Attempt.objects.get().state == State.REFUSED


def test_a_cash_payment_by_a_webhook_that_may_not_list_systems_is_refused_by_reading(
    sandbox: Sandbox, alpha: Portal
) -> None:
    alpha.webhooks.append(Webhook(seed.MANAGER, "managerswebhook1", seed.WEBHOOK_SCOPES))
    address = f"https://alpha.example.com/rest/{seed.MANAGER}/managerswebhook1/"
    code, said = run("--webhook", address, "--yes", payment=seed.CASH_PAYMENT, system=seed.CASH)
    assert code == REFUSED
    assert "the payment is still unpaid" in said
    assert not alpha.payments[seed.CASH_PAYMENT].paid


def test_without_the_order_right_it_is_refused(sandbox: Sandbox, alpha: Portal) -> None:
    alpha.webhooks.append(Webhook(seed.READER, "readerswebhook01", seed.WEBHOOK_SCOPES))
    address = f"https://alpha.example.com/rest/{seed.READER}/readerswebhook01/"
    code, said = run("--webhook", address, "--yes")
    assert code == REFUSED
    assert "permission" in said
    assert stage.sent_payments(sandbox) == 0
    assert not alpha.payments[seed.PAYMENT].paid


def test_a_webhook_without_a_scope_is_refused(sandbox: Sandbox, alpha: Portal) -> None:
    alpha.webhooks[0].scopes = ("crm", "sale")
    code, _ = by_webhook()
    assert code == REFUSED
    assert not alpha.payments[seed.PAYMENT].paid


# ---- not confirmed


def test_a_second_run_joins_and_does_not_pay_again(sandbox: Sandbox, alpha: Portal) -> None:
    sandbox.faults.add(Fault("drop", method=stage.PAY))
    code, said = by_webhook()
    assert code == NOT_CONFIRMED
    assert "Not confirmed" in said
    assert "12 500.00 EUR" in said

    code, said = by_webhook()

    assert code == NOT_CONFIRMED
    assert "Not confirmed" in said
    assert stage.sent_payments(sandbox) == 1
    assert Attempt.objects.count() == 1


def test_a_second_run_finds_that_it_was_paid(
    sandbox: Sandbox, alpha: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paid, the answer lost, and the portal gone silent before it could be read back."""

    def silent(*_: object) -> None:
        sandbox.faults.add(dropped(stage.READ_BACK))
        sandbox.faults.add(dropped(stage.KEPT))

    sandbox.faults.add(Fault("drop", method=stage.PAY, when="after", on_hit=silent))
    code, _ = by_webhook()
    assert code == NOT_CONFIRMED
    sandbox.faults.clear()

    code, said = by_webhook()

    assert code == PAID
    assert "Paid: 12 500.00 EUR" in said
    assert alpha.payments[seed.PAYMENT].times_paid == 1
    assert stage.sent_payments(sandbox) == 1


def test_what_was_never_carried_out_is_refused_in_the_end(sandbox: Sandbox, alpha: Portal) -> None:
    sandbox.faults.add(Fault("drop", method=stage.PAY))
    assert by_webhook()[0] == NOT_CONFIRMED
    sent_at = timezone.now() - SETTLE_AFTER - timedelta(seconds=1)
    Attempt.objects.update(sent_at=sent_at)

    code, said = by_webhook()

    assert code == REFUSED
    assert "did not carry out this payment" in said
    assert by_webhook()[0] == PAID


def test_a_script_joins_what_a_frame_has_begun(sandbox: Sandbox, alpha: Portal) -> None:
    row = stage.install(sandbox, alpha)
    manager = stage.person(sandbox, row, seed.MANAGER)
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("drop", method=stage.PAY))
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.UNKNOWN

    code, _ = by_webhook()

    assert code == NOT_CONFIRMED
    assert stage.sent_payments(sandbox) == 1


@pytest.mark.parametrize(
    ("when", "code", "word"),
    [("before", NOTHING_TRIED, "Refused"), ("after", NOTHING_TRIED, "Undone")],
)
def test_an_undoing_it_joins_is_no_payment_of_this_run(
    sandbox: Sandbox, alpha: Portal, when: str, code: int, word: str
) -> None:
    """Whether that was undone or not: nothing was paid or refused here."""
    manager = stage.person(sandbox, stage.install(sandbox, alpha), seed.MANAGER)
    offer = stage.offer_of(manager)
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    attempt = lost(sandbox, lambda: undo(manager, offer, note="Wrong"), method=UNDO, when=when)
    assert attempt.sent_at is not None
    Attempt.objects.filter(pk=attempt.pk).update(sent_at=attempt.sent_at - timedelta(minutes=3))

    found, said = by_webhook()

    assert (found, stage.sent_payments(sandbox)) == (code, 0)
    assert word in said


@pytest.mark.parametrize(("when", "code"), [("before", REFUSED), ("after", PAID)])
def test_a_mark_it_joins_says_whether_it_is_paid(
    sandbox: Sandbox, alpha: Portal, when: str, code: int
) -> None:
    manager = stage.person(sandbox, stage.install(sandbox, alpha), seed.MANAGER)
    offer = stage.offer_of(manager, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)
    attempt = lost(sandbox, lambda: mark(manager, offer), method=MARK, when=when)
    assert attempt.sent_at is not None
    Attempt.objects.filter(pk=attempt.pk).update(sent_at=attempt.sent_at - timedelta(minutes=3))

    assert by_webhook(payment=seed.CASH_PAYMENT)[0] == code
    assert stage.sent_payments(sandbox) == 0


def test_a_bug_after_it_was_sent_is_not_called_refused(
    sandbox: Sandbox, alpha: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Attempt:
        raise RuntimeError("the database went away")

    monkeypatch.setattr(command, "pay", broken)
    code, said = by_webhook()
    assert code == NOT_CONFIRMED
    assert "may have been paid" in said


# ---- nothing tried


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--webhook", "https://alpha.example.com/rest/1/"),
        ("--webhook", "https://alpha.example.com/rest/1/wrongcode/"),
        ("--webhook", "https://nowhere.example.com/rest/1/code/"),
        ("--webhook", "https://10.0.0.1/rest/1/code/"),
        ("--portal", "alpha.example.com"),
        ("--portal", "nowhere.example.com"),
    ],
)
def test_nothing_is_tried_where_the_caller_is_refused(
    sandbox: Sandbox, options: tuple[str, ...]
) -> None:
    code, said = run("--yes", *options)
    assert code == NOTHING_TRIED
    assert said.strip()
    assert not Attempt.objects.exists()
    assert not models.Portal.objects.exists()


def test_a_person_who_never_opened_the_app_cannot_be_the_payer(
    sandbox: Sandbox, alpha: Portal
) -> None:
    stage.install(sandbox, alpha)
    code, _ = run("--portal", "alpha.example.com", "--user", str(seed.MANAGER), "--yes")
    assert code == NOTHING_TRIED
    assert not alpha.payments[seed.PAYMENT].paid


def test_nor_where_the_app_was_removed(sandbox: Sandbox, alpha: Portal) -> None:
    row = stage.install(sandbox, alpha)
    models.Portal.objects.update(uninstalled_at=timezone.now())
    assert run("--portal", row.member_id, "--yes")[0] == NOTHING_TRIED


def test_nor_where_its_installation_was_not_finished(sandbox: Sandbox, alpha: Portal) -> None:
    row = stage.install(sandbox, alpha)
    models.Portal.objects.update(installed_at=None)
    assert run("--portal", row.member_id, "--yes")[0] == NOTHING_TRIED


def test_a_payment_that_is_not_there_is_not_tried(sandbox: Sandbox) -> None:
    assert by_webhook(payment=999_999)[0] == NOTHING_TRIED


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--payment", "271"],
        ["--payment", "x", "--pay-system", "11"],
        ["--payment", "0", "--pay-system", "11"],
        ["--payment", "271", "--pay-system", "11", "--portal", "a", "--webhook", "b"],
        ["--payment", "271", "--pay-system", "11", "--nonsense"],
    ],
)
def test_wrong_arguments_do_not_look_like_a_payment_in_doubt(arguments: list[str]) -> None:
    """argparse itself leaves with 2."""
    with pytest.raises(SystemExit) as ended:
        command.Command().run_from_argv(["manage.py", "pay", *arguments])
    assert ended.value.code == NOTHING_TRIED


@pytest.mark.parametrize(
    "arguments", [[WEBHOOK], ["--pay-system", WEBHOOK], ["--payment", WEBHOOK.rstrip("/")]]
)
def test_a_webhook_in_the_wrong_place_is_not_repeated(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.Command().run_from_argv(
            ["manage.py", "pay", "--payment", "271", "--pay-system", "11", *arguments]
        )
    assert ended.value.code == NOTHING_TRIED
    captured = capsys.readouterr()
    assert "usage: manage.py pay" in captured.err
    assert seed.WEBHOOK_CODE not in captured.err + captured.out


def test_a_name_that_cannot_be_written_does_not_change_the_exit_code(
    sandbox: Sandbox, alpha: Portal
) -> None:
    alpha.pay_systems[seed.ACME_PAY].name = "Оплата"
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with pytest.raises(SystemExit) as ended:
        call_command(
            "pay", "--webhook", WEBHOOK, "--yes", payment=271, pay_system=11, stdout=narrow
        )
    assert ended.value.code == PAID
