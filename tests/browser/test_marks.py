"""Marking as paid by hand and undoing, in the browser of a manager or administrator."""

from __future__ import annotations

import re
import sqlite3

from playwright.sync_api import FrameLocator, Locator, expect

from sandbox.api.faults import Fault
from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit, choose_other_way, press_pay, row_of

MARK, UNPAY = "crm.item.payment.pay", "crm.item.payment.unpay"
# Names, labels and ids, as a program that reads pages aloud needs them.
TROUBLES = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  const twice = ids.filter((id, place) => ids.indexOf(id) !== place);
  const described = [...document.querySelectorAll("[aria-describedby], [aria-labelledby]")];
  const lost = described
    .flatMap((element) => ["aria-describedby", "aria-labelledby"]
      .flatMap((name) => element.getAttribute(name)?.split(" ") ?? []))
    .filter((id) => !document.getElementById(id));
  const unnamed = [...document.querySelectorAll("button, input:not([type=hidden]), select")]
    .filter((element) => !element.textContent.trim()
      && !element.labels?.length && !element.getAttribute("aria-label"))
    .map((element) => element.outerHTML);
  return [...twice, ...lost, ...unnamed];
}"""


def press(app: FrameLocator, payment_id: int, name: str) -> Locator:
    """Presses a button of the row; returns the dialog."""
    row_of(app, payment_id).get_by_role("button", name=name).click()
    question = app.get_by_role("dialog")
    expect(question).to_be_visible()
    return question


def state(row: Locator, words: str) -> Locator:
    return row.locator(".pill").get_by_text(words, exact=True)


def calls_of(stage: Stage, method: str) -> int:
    return sum(method in call.methods for call in stage.sandbox.log)


def test_a_manager_marks_cash_and_undoes_it_with_a_reason(manager: Visit, stage: Stage) -> None:
    undoings = calls_of(stage, UNPAY)
    app = manager.deal(seed.CASH_DEAL)
    row = row_of(app, seed.CASH_PAYMENT)
    question = press(app, seed.CASH_PAYMENT, "Mark as paid")
    expect(question.get_by_role("heading")).to_have_text(
        "Mark 310.00\xa0EUR by Cash for payment 166/1 as paid?"
    )
    expect(question).to_contain_text("No money moves by this.")
    question.get_by_role("button", name="Mark as paid").click()

    expect(state(row, "Marked as paid")).to_be_visible()
    expect(app.get_by_role("dialog")).to_have_count(0)
    expect(row.locator("[data-state='marked']")).to_be_focused()
    expect(row.get_by_role("button")).to_have_text(["Undo…"])
    in_crm = manager.in_crm(seed.CASH_PAYMENT)
    expect(in_crm).to_contain_text("Max Manager")
    payment = stage.alpha.payments[seed.CASH_PAYMENT]
    assert (payment.paid, payment.emp_paid_id, payment.times_paid) == (True, seed.MANAGER, 1)

    app = manager.deal(seed.CASH_DEAL)
    row = row_of(app, seed.CASH_PAYMENT)
    expect(state(row, "Marked as paid")).to_be_visible()
    question = press(app, seed.CASH_PAYMENT, "Undo…")
    expect(question).to_contain_text("This sends no money back")
    reason = question.get_by_label("Reason")
    expect(reason).to_be_focused()
    # Enter still held down from the row's button must not undo.
    manager.page.keyboard.press("Enter")
    question.get_by_role("button", name="Undo").click()
    expect(question).to_be_visible()
    expect(reason).to_have_js_property("validity.valueMissing", True)
    assert calls_of(stage, UNPAY) == undoings

    reason.fill("The customer took the tools back")
    question.get_by_role("button", name="Undo").click()
    expect(state(row, "Undone")).to_be_visible()
    expect(row.locator("[data-state='undone']")).to_be_focused()
    expect(row.get_by_role("button")).to_have_text(["Mark as paid"])
    assert not payment.paid

    choose_other_way(app, seed.CASH_PAYMENT, "Acme Pay")
    press_pay(app, seed.CASH_PAYMENT).get_by_role("button", name="Pay").click()
    expect(state(row, "Paid")).to_be_visible()
    assert (payment.pay_system_id, payment.times_paid) == (seed.ACME_PAY, 2)


def test_escape_gives_the_focus_back_to_the_button_that_was_pressed(
    manager: Visit, stage: Stage
) -> None:
    app = manager.deal(seed.BUILT_IN_DEAL)
    question = press(app, seed.DOCUMENT_PAYMENT, "Mark as paid")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    manager.page.keyboard.press("Escape")
    expect(app.get_by_role("dialog")).to_have_count(0)
    row = row_of(app, seed.DOCUMENT_PAYMENT)
    expect(row.get_by_role("button", name="Mark as paid")).to_be_focused()
    assert not stage.alpha.payments[seed.DOCUMENT_PAYMENT].paid


def test_a_double_click_marks_once_and_shows_that_it_waits(manager: Visit, stage: Stage) -> None:
    held = stage.sandbox.faults.add(Fault("hold", method=MARK))
    marks = calls_of(stage, MARK)
    app = manager.deal(seed.BUILT_IN_DEAL)
    question = press(app, seed.ON_DELIVERY_PAYMENT, "Mark as paid")
    mark = question.get_by_role("button", name="Mark as paid")
    mark.dblclick()
    expect(question.get_by_role("status")).to_have_text("Marking…")
    expect(mark).to_be_disabled()
    for _ in range(3):
        manager.page.keyboard.press("Escape")
    expect(question).to_be_visible()
    held.release.set()
    expect(state(row_of(app, seed.ON_DELIVERY_PAYMENT), "Marked as paid")).to_be_visible()
    assert calls_of(stage, MARK) == marks + 1


def test_enter_held_down_in_the_reason_undoes_once(manager: Visit, stage: Stage) -> None:
    payment_id = seed.PLAIN_PAYMENTS[6]
    app = manager.deal(seed.PLAIN_DEALS[2])
    press_pay(app, payment_id).get_by_role("button", name="Pay").click()
    row = row_of(app, payment_id)
    expect(state(row, "Paid")).to_be_visible()
    held = stage.sandbox.faults.add(Fault("hold", method=UNPAY))
    undoings = calls_of(stage, UNPAY)
    question = press(app, payment_id, "Undo…")
    question.get_by_label("Reason").fill("Wrong order")
    for _ in range(3):
        manager.page.keyboard.press("Enter")
    expect(question.get_by_role("status")).to_have_text("Undoing…")
    held.release.set()
    expect(state(row, "Undone")).to_be_visible()
    assert calls_of(stage, UNPAY) == undoings + 1
    assert not stage.alpha.payments[payment_id].paid


def test_after_its_time_a_payment_stays_paid(manager: Visit, stage: Stage) -> None:
    payment_id = seed.PLAIN_PAYMENTS[7]
    app = manager.deal(seed.PLAIN_DEALS[2])
    press_pay(app, payment_id).get_by_role("button", name="Pay").click()
    row = row_of(app, payment_id)
    expect(row.get_by_role("button", name="Undo…")).to_be_visible()
    let_a_day_pass(stage, payment_id)

    manager.expected.add(409)
    row.get_by_role("button", name="Undo…").click()
    expect(row.get_by_role("alert")).to_contain_text("The time for undoing this payment is over.")
    expect(app.get_by_role("dialog")).to_have_count(0)
    row = row_of(manager.deal(seed.PLAIN_DEALS[2]), payment_id)
    expect(state(row, "Paid")).to_be_visible()
    expect(row.get_by_role("button")).to_have_count(0)
    assert stage.alpha.payments[payment_id].paid


def let_a_day_pass(stage: Stage, payment_id: int) -> None:
    assert stage.app is not None
    database = sqlite3.connect(stage.app.log.parent / "db.sqlite3", timeout=20)
    with database:
        changed = database.execute(
            "UPDATE payments_attempt SET settled_at = datetime(settled_at, '-25 hours')"
            " WHERE payment_id = ?",
            (payment_id,),
        )
        assert changed.rowcount == 1
    database.close()


def test_an_administrator_marks_and_undoes_on_the_main_page(admin: Visit, stage: Stage) -> None:
    app = admin.main_page()
    row = row_of(app, seed.ACQUIRER_PAYMENT)
    question = press(app, seed.ACQUIRER_PAYMENT, "Mark as paid")
    question.get_by_role("button", name="Mark as paid").click()
    expect(state(row, "Marked as paid")).to_be_visible()
    assert stage.alpha.payments[seed.ACQUIRER_PAYMENT].emp_paid_id == seed.ADMIN

    question = press(app, seed.ACQUIRER_PAYMENT, "Undo…")
    question.get_by_label("Reason").fill("Marked in the wrong row")
    question.get_by_role("button", name="Undo").click()
    expect(state(row, "Undone")).to_be_visible()
    expect(row.get_by_text("Pay by another system")).to_be_visible()
    assert not stage.alpha.payments[seed.ACQUIRER_PAYMENT].paid


def test_another_persons_payment_says_so_and_can_be_undone(
    manager: Visit, admin: Visit, stage: Stage
) -> None:
    payment_id = seed.PLAIN_PAYMENTS[8]
    app = manager.deal(seed.PLAIN_DEALS[2])
    press_pay(app, payment_id).get_by_role("button", name="Pay").click()
    expect(state(row_of(app, payment_id), "Paid")).to_be_visible()
    row = row_of(admin.deal(seed.PLAIN_DEALS[2]), payment_id)
    expect(row).to_contain_text("Paid by another person.")
    expect(row.get_by_role("button", name="Undo…")).to_be_visible()


def test_the_questions_are_named(manager: Visit, stage: Stage) -> None:
    app = manager.deal(seed.BUILT_IN_DEAL)
    question = press(app, seed.DOCUMENT_PAYMENT, "Mark as paid")
    assert manager.frame().evaluate(TROUBLES) == []
    expect(question).to_have_accessible_name(re.compile("^Mark 13.00.EUR by Invoice document"))
    question.get_by_role("button", name="Cancel").click()
    expect(app.get_by_role("dialog")).to_have_count(0)
