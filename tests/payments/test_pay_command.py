"""`manage.py pay`: the same steps as the screens, from a shell, with an exit code."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.utils import timezone

from b24app import models
from b24app.identity.session import Person
from payments.attempts.mark_paid import mark
from payments.attempts.undo import undo
from payments.management.commands import pay as command
from payments.models import SETTLE_AFTER, Attempt, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Webhook
from tests.payments import stage
from tests.payments.pressing import press
from tests.payments.unconfirmed import MARK, UNDO, lost, silence

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]

REST = "https://alpha.example.com/rest"
WEBHOOK = f"{REST}/{seed.ADMIN}/{seed.WEBHOOK_CODE}/"
PAID, REFUSED, NOT_CONFIRMED, NOTHING_TRIED = range(4)


@pytest.fixture(autouse=True)
def _code_is_written_nowhere(
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Asserts that the webhook's code is in no line of the log and in no output."""
    monkeypatch.delenv("B24_WEBHOOK", raising=False)
    caplog.set_level(logging.INFO)
    yield
    captured = capsys.readouterr()
    assert seed.WEBHOOK_CODE not in caplog.text + captured.out + captured.err
    for row in [*models.Portal.objects.values(), *Attempt.objects.values()]:
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


def by_webhook(payment: int = seed.PAYMENT, system: int = seed.ACME_PAY) -> tuple[int, str]:
    return run("--webhook", WEBHOOK, "--yes", payment=payment, system=system)


def webhook_of(alpha: Portal, user_id: int) -> str:
    alpha.webhooks.append(Webhook(user_id, "anotherswebhook1", seed.WEBHOOK_SCOPES))
    return f"{REST}/{user_id}/anotherswebhook1/"


def sent_long_ago(attempt: Attempt) -> None:
    sent_at = timezone.now() - SETTLE_AFTER - timedelta(seconds=1)
    Attempt.objects.filter(pk=attempt.pk).update(sent_at=sent_at)


# ---- paid


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_webhook_pays_as_its_owner(
    sandbox: Sandbox, alpha: Portal, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "environment":
        monkeypatch.setenv("B24_WEBHOOK", WEBHOOK)
    code, said = by_webhook() if by == "option" else run("--yes")
    assert code == PAID
    assert "Paid: 12 500.00 EUR, Acme Pay" in said
    payment = alpha.payments[seed.PAYMENT]
    assert (payment.paid, payment.emp_paid_id, payment.times_paid) == (True, seed.ADMIN, 1)
    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.user_id) == (State.PAID, seed.ADMIN)
    assert attempt.sum == Decimal("12500.00")
    assert attempt.portal.installed_at is None
    assert stage.sent_payments(sandbox) == 1


@pytest.mark.parametrize("payment_id", [seed.CASH_PAYMENT, seed.LOOSE_PAYMENT])
def test_another_pay_system_is_bound_first_also_to_a_payment_of_no_deal(
    sandbox: Sandbox, alpha: Portal, payment_id: int
) -> None:
    assert by_webhook(payment_id)[0] == PAID
    payment = alpha.payments[payment_id]
    assert (payment.paid, payment.pay_system_id) == (True, seed.ACME_PAY)


@pytest.mark.parametrize("user_id", [seed.ADMIN, seed.MANAGER])
def test_a_portal_with_the_app_pays_by_who_serves_it_or_has_opened_it(
    alpha: Portal, manager: Person, user_id: int
) -> None:
    options = ("--user", str(user_id)) if user_id == seed.MANAGER else ()
    domain = "alpha.example.com" if user_id == seed.ADMIN else manager.portal.member_id
    assert run("--portal", domain, *options, "--yes")[0] == PAID
    assert alpha.payments[seed.PAYMENT].emp_paid_id == user_id
    assert Attempt.objects.get().portal == manager.portal


def test_where_the_deal_goes_silent_the_payment_is_read_back_by_itself(sandbox: Sandbox) -> None:
    """No installer's token looks over a webhook's shoulder: its own has to."""
    silent = Fault("drop", method=stage.READ_BACK, times=None)
    stage.during(sandbox, stage.PAY, lambda: sandbox.faults.add(silent))
    assert by_webhook()[0] == PAID


@pytest.mark.parametrize(
    ("answer", "code"), [("y\n", PAID), ("n\n", NOTHING_TRIED), ("", NOTHING_TRIED)]
)
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
    code, said = by_webhook(payment, system)
    assert code == REFUSED
    assert "Refused" in said
    assert sentence in said
    assert stage.sent_payments(sandbox) == 0


@pytest.mark.parametrize("case", ["not saved", "systems unknown"])
def test_true_without_payment_is_refused(sandbox: Sandbox, alpha: Portal, case: str) -> None:
    """Also for cash, where the webhook may not list pay systems."""
    if case == "not saved":
        alpha.payment_save_fails = True
        code, said = by_webhook()
    else:
        options = ("--webhook", webhook_of(alpha, seed.MANAGER), "--yes")
        code, said = run(*options, payment=seed.CASH_PAYMENT, system=seed.CASH)
    assert code == REFUSED
    assert "the payment is still unpaid" in said
    assert Attempt.objects.get().state == State.REFUSED
    assert not alpha.payments[seed.CASH_PAYMENT].paid


def test_without_the_order_right_or_a_scope_it_is_refused(sandbox: Sandbox, alpha: Portal) -> None:
    code, said = run("--webhook", webhook_of(alpha, seed.READER), "--yes")
    assert code == REFUSED
    assert "permission" in said
    alpha.webhooks[0].scopes = ("crm", "sale")
    assert by_webhook()[0] == REFUSED
    assert stage.sent_payments(sandbox) == 0
    assert not alpha.payments[seed.PAYMENT].paid


# ---- not confirmed


def test_a_second_run_joins_and_does_not_pay_again(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("drop", method=stage.PAY))
    for _ in range(2):
        code, said = by_webhook()
        assert code == NOT_CONFIRMED
        assert "Not confirmed" in said
        assert "12 500.00 EUR" in said
    assert stage.sent_payments(sandbox) == 1
    sent_long_ago(Attempt.objects.get())
    code, said = by_webhook()
    assert code == REFUSED
    assert "did not carry out this payment" in said
    assert by_webhook()[0] == PAID


def test_a_second_run_finds_that_it_was_paid(sandbox: Sandbox, alpha: Portal) -> None:
    """Paid, the answer lost, and the portal gone silent before it could be read back."""
    lost_answer = Fault("drop", stage.PAY, "after", on_hit=lambda: silence(sandbox))
    sandbox.faults.add(lost_answer)
    assert by_webhook()[0] == NOT_CONFIRMED
    sandbox.faults.clear()
    code, said = by_webhook()
    assert code == PAID
    assert "Paid: 12 500.00 EUR" in said
    assert alpha.payments[seed.PAYMENT].times_paid == 1
    assert stage.sent_payments(sandbox) == 1


def test_a_script_joins_what_a_frame_has_begun(sandbox: Sandbox, manager: Person) -> None:
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("drop", method=stage.PAY))
    assert press(manager, offer).state == State.UNKNOWN
    assert by_webhook()[0] == NOT_CONFIRMED
    assert stage.sent_payments(sandbox) == 1


@pytest.mark.parametrize(("when", "word"), [("before", "Refused"), ("after", "Undone")])
def test_an_undoing_it_joins_is_no_payment_of_this_run(
    sandbox: Sandbox, manager: Person, when: str, word: str
) -> None:
    """Whether that was undone or not: nothing was paid or refused here."""
    offer = stage.offer_of(manager)
    assert press(manager, offer).state == State.PAID

    sent_long_ago(lost(sandbox, lambda: undo(manager, offer, note="Wrong"), method=UNDO, when=when))
    code, said = by_webhook()
    assert (code, stage.sent_payments(sandbox)) == (NOTHING_TRIED, 0)
    assert word in said


@pytest.mark.parametrize(("when", "code"), [("before", REFUSED), ("after", PAID)])
def test_a_mark_it_joins_says_whether_it_is_paid(
    sandbox: Sandbox, manager: Person, when: str, code: int
) -> None:
    offer = stage.offer_of(manager, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)
    sent_long_ago(lost(sandbox, lambda: mark(manager, offer), method=MARK, when=when))
    assert by_webhook(seed.CASH_PAYMENT)[0] == code
    assert stage.sent_payments(sandbox) == 0


def test_a_bug_after_it_was_sent_is_not_called_refused(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
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
        ("--webhook", f"{REST}/1/"),
        ("--webhook", f"{REST}/1/wrongcode/"),
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


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ({}, ("--user", str(seed.MANAGER))),
        ({"uninstalled_at": timezone.now()}, ()),
        ({"installed_at": None}, ()),
    ],
    ids=["a person who never opened the app", "removed", "installation not finished"],
)
def test_nothing_is_tried_by_who_does_not_have_the_app(
    alpha: Portal, portal: models.Portal, values: dict[str, object], options: tuple[str, ...]
) -> None:
    models.Portal.objects.update(**values)
    assert run("--portal", portal.member_id, *options, "--yes")[0] == NOTHING_TRIED
    assert not alpha.payments[seed.PAYMENT].paid


def test_a_payment_that_is_not_there_is_not_tried(sandbox: Sandbox) -> None:
    assert by_webhook(999_999)[0] == NOTHING_TRIED


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--payment", "271"],
        ["--payment", "x", "--pay-system", "11"],
        ["--payment", "0", "--pay-system", "11"],
        ["--payment", "271", "--pay-system", "11", "--portal", "a", "--webhook", "b"],
        ["--payment", "271", "--pay-system", "11", "--nonsense"],
        # A webhook in the wrong place is not repeated.
        ["--payment", "271", "--pay-system", "11", WEBHOOK],
        ["--payment", "271", "--pay-system", WEBHOOK],
        ["--payment", WEBHOOK.rstrip("/"), "--pay-system", "11"],
    ],
)
def test_wrong_arguments_do_not_look_like_a_payment_in_doubt(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """argparse itself leaves with 2."""
    with pytest.raises(SystemExit) as ended:
        command.Command().run_from_argv(["manage.py", "pay", *arguments])
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
