"""What a person reads where Pay cannot be pressed, and where it was pressed too late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit, press_pay, row_of


def test_a_bill_is_named_with_the_reason_and_cannot_be_paid_through(
    manager: Visit, stage: Stage
) -> None:
    row = row_of(manager.deal(seed.BILL_DEAL), seed.BILL_PAYMENT)
    expect(row).to_contain_text("cannot be paid from here; mark it as paid instead")
    row.get_by_text("Pay by another system").click()
    expect(row.get_by_role("option", name="Bill")).to_have_count(0)

    row.get_by_role("button", name="Pay", exact=True).click()

    # The browser asks for a choice; no question comes up, and nothing leaves the page.
    expect(row.get_by_role("combobox")).to_be_focused()
    expect(manager.app().get_by_role("dialog")).to_have_count(0)
    expect(row.get_by_role("combobox")).to_have_js_property("validity.valueMissing", True)
    assert not stage.alpha.payments[seed.BILL_PAYMENT].paid


def test_what_was_paid_and_set_back_meanwhile_is_told_and_stays_told(
    manager: Visit, stage: Stage
) -> None:
    app = manager.deal(seed.PLAIN_DEALS[1])
    question = press_pay(app, seed.PLAIN_PAYMENTS[4])
    payment = stage.alpha.payments[seed.PLAIN_PAYMENTS[4]]
    # Paid and set back by another person; dates have whole seconds, so well after the page.
    payment.date_paid = datetime.now(UTC) + timedelta(seconds=5)

    question.get_by_role("button", name="Pay").click()

    row = row_of(app, seed.PLAIN_PAYMENTS[4])
    expect(row.get_by_text("Refused")).to_be_visible()
    expect(row).to_contain_text("the payment was paid and then set back to unpaid")
    expect(row.get_by_role("button", name="Pay")).to_have_count(0)
    assert payment.times_paid == 0

    row = row_of(manager.deal(seed.PLAIN_DEALS[1]), seed.PLAIN_PAYMENTS[4])
    expect(row).to_contain_text("has been set back to unpaid since.")
    expect(row.get_by_role("button", name="Pay")).to_be_enabled()
