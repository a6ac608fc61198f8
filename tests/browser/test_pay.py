"""Paying and its three outcomes, in the browser of the payer."""

from __future__ import annotations

from playwright.sync_api import expect

from sandbox.api.faults import AFTER, BEFORE, Fault
from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit, press_pay, row_of

PAY = "sale.paysystem.pay.payment"


def test_a_manager_pays_in_the_tab_of_a_deal(manager: Visit, stage: Stage) -> None:
    app = manager.deal(seed.DEAL)
    row = row_of(app, seed.PAYMENT)
    expect(row).to_contain_text("12\xa0500.00\xa0EUR")
    question = press_pay(app, seed.PAYMENT)
    expect(question.get_by_role("heading")).to_have_text(
        "Pay 12\xa0500.00\xa0EUR by Acme Pay for payment 163/1?"
    )
    question.get_by_role("button", name="Pay").click()
    expect(row.get_by_text("Paid", exact=True)).to_be_visible()
    expect(app.get_by_role("dialog")).to_have_count(0)
    expect(row.locator("[data-state='paid']")).to_be_focused()
    expect(manager.in_crm(seed.PAYMENT)).to_contain_text("Max Manager")
    payment = stage.alpha.payments[seed.PAYMENT]
    assert (payment.paid, payment.emp_paid_id, payment.times_paid) == (True, seed.MANAGER, 1)


def test_a_manager_pays_in_the_tab_of_an_invoice(manager: Visit, stage: Stage) -> None:
    app = manager.invoice(seed.INVOICE)
    press_pay(app, seed.INVOICE_PAYMENT).get_by_role("button", name="Pay").click()
    expect(row_of(app, seed.INVOICE_PAYMENT).get_by_text("Paid", exact=True)).to_be_visible()
    assert stage.alpha.payments[seed.INVOICE_PAYMENT].times_paid == 1


def test_cancel_sends_nothing_and_gives_the_row_back(manager: Visit, stage: Stage) -> None:
    app = manager.deal(seed.USD_DEAL)
    question = press_pay(app, seed.USD_PAYMENT)
    # Enter still held down from the row's Pay must not pay.
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    manager.page.keyboard.press("Escape")
    expect(app.get_by_role("dialog")).to_have_count(0)
    pay = row_of(app, seed.USD_PAYMENT).get_by_role("button", name="Pay")
    expect(pay).to_be_focused()
    expect(pay).to_be_enabled()
    assert not stage.alpha.payments[seed.USD_PAYMENT].paid


def test_another_payment_system_is_named_in_the_question_and_used(
    manager: Visit, stage: Stage
) -> None:
    app = manager.deal(seed.PLAIN_DEALS[0])
    payment_id = seed.PLAIN_PAYMENTS[0]
    row = row_of(app, payment_id)
    row.get_by_role("combobox").select_option(label="Demo Card Pay")
    question = press_pay(app, payment_id)
    expect(question).to_contain_text("changed to Demo Card Pay first")
    question.get_by_role("button", name="Pay").click()
    expect(row.get_by_text("Paid", exact=True)).to_be_visible()
    expect(row).to_contain_text("Demo Card Pay")
    payment = stage.alpha.payments[payment_id]
    assert (payment.pay_system_id, payment.times_paid) == (seed.DEMO_CARD_PAY, 1)


def test_pay_waits_with_words_and_cannot_be_pressed_twice(manager: Visit, stage: Stage) -> None:
    payment_id = seed.PLAIN_PAYMENTS[1]
    held = stage.sandbox.faults.add(Fault("hold", method=PAY))
    app = manager.deal(seed.PLAIN_DEALS[0])
    question = press_pay(app, payment_id)
    pay = question.get_by_role("button", name="Pay")
    pay.dblclick()
    expect(question.get_by_role("status")).to_have_text("Paying…")
    expect(pay).to_be_disabled()
    expect(question.get_by_role("button", name="Cancel")).to_be_disabled()
    for _ in range(3):
        manager.page.keyboard.press("Escape")
    expect(question).to_be_visible()
    held.release.set()
    expect(row_of(app, payment_id).get_by_text("Paid", exact=True)).to_be_visible()
    assert stage.alpha.payments[payment_id].times_paid == 1


def test_a_payment_changed_meanwhile_is_refused_with_the_reason(
    manager: Visit, stage: Stage
) -> None:
    payment_id = seed.OTHER_PAYMENT
    app = manager.deal(seed.OTHER_DEAL)
    question = press_pay(app, payment_id)
    with stage.sandbox.world.lock:
        stage.alpha.payments[payment_id].sum += 1
    question.get_by_role("button", name="Pay").click()
    row = row_of(app, payment_id)
    expect(row.get_by_text("Refused", exact=True)).to_be_visible()
    expect(row).to_contain_text("The sum was changed in Bitrix24 meanwhile.")
    expect(row.get_by_role("button")).to_have_count(0)
    assert not stage.alpha.payments[payment_id].paid


def test_true_without_payment_is_refused_and_can_be_tried_again(
    manager: Visit, stage: Stage
) -> None:
    payment_id = seed.PLAIN_PAYMENTS[2]
    stage.sandbox.faults.add(Fault("true_without_payment", method=PAY))
    app = manager.deal(seed.PLAIN_DEALS[0])
    row = row_of(app, payment_id)
    press_pay(app, payment_id).get_by_role("button", name="Pay").click()
    expect(row.get_by_text("Refused", exact=True)).to_be_visible()
    expect(row).to_contain_text("still unpaid")
    press_pay(app, payment_id).get_by_role("button", name="Pay").click()
    expect(row.get_by_text("Paid", exact=True)).to_be_visible()
    assert stage.alpha.payments[payment_id].times_paid == 1


def test_an_answer_that_got_lost_is_not_confirmed_until_check_now(
    manager: Visit, stage: Stage
) -> None:
    payment_id = seed.KWD_PAYMENT
    app = manager.deal(seed.KWD_DEAL)
    row = row_of(app, payment_id)
    question = press_pay(app, payment_id)
    faults = stage.sandbox.faults

    def lose_reads() -> None:
        for method in ("crm.item.payment.list", "sale.payment.get"):
            faults.add(Fault("drop", method=method, when=BEFORE, times=None))

    faults.add(Fault("drop", method=PAY, when=AFTER, on_hit=lose_reads))
    question.get_by_role("button", name="Pay").click()
    expect(row.get_by_text("Not confirmed", exact=True)).to_be_visible()
    expect(row.get_by_role("button", name="Pay")).to_have_count(0)
    faults.clear()
    row.get_by_role("button", name="Check now").click()
    expect(row.get_by_text("Paid", exact=True)).to_be_visible()
    assert stage.alpha.payments[payment_id].times_paid == 1


def test_without_the_order_right_there_is_advice_instead_of_pay(
    reader: Visit, stage: Stage
) -> None:
    app = reader.deal(seed.PLAIN_DEALS[1])
    row = row_of(app, seed.PLAIN_PAYMENTS[3])
    expect(row).to_contain_text("84.20\xa0EUR")
    expect(app.get_by_role("button", name="Pay")).to_have_count(0)
    expect(app.get_by_text("You do not have permission")).to_contain_text("administrator")


def test_a_deal_without_payments_says_so(manager: Visit) -> None:
    app = manager.deal(seed.EMPTY_DEAL)
    expect(app.get_by_role("heading", name="There is nothing to pay here yet")).to_be_visible()
