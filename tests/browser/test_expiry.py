"""A tab that stays open past its session says so, and goes on where it was."""

from __future__ import annotations

import sqlite3

from playwright.sync_api import expect

from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit, press_pay, row_of

UNAUTHORIZED = 401
OVER = "This tab was open for too long, so nothing was sent."
OPEN_AGAIN = "This tab is open again"


def end_sessions(stage: Stage) -> None:
    """Ends every session of every portal, as after an hour."""
    assert stage.app is not None
    database = sqlite3.connect(stage.app.log.parent / "db.sqlite3", timeout=20)
    with database:
        database.execute("UPDATE b24app_portal SET session_generation = session_generation + 1")
    database.close()


def test_reopening_keeps_the_payment_system_that_was_chosen(manager: Visit, stage: Stage) -> None:
    manager.expected.add(UNAUTHORIZED)
    payment_id = seed.PLAIN_PAYMENTS[6]
    app = manager.deal(seed.PLAIN_DEALS[2])
    row = row_of(app, payment_id)
    row.get_by_role("combobox").select_option(label="Demo Card Pay")
    end_sessions(stage)
    row.get_by_role("button", name="Pay").click()
    expect(row).to_contain_text(OVER)
    row.get_by_role("button", name="Reopen").click()
    expect(row).to_contain_text(OPEN_AGAIN)
    expect(row.get_by_role("combobox")).to_have_value(str(seed.DEMO_CARD_PAY))
    question = press_pay(app, payment_id)
    expect(question).to_contain_text("by Demo Card Pay")
    question.get_by_role("button", name="Pay").click()
    expect(row.get_by_text("Paid", exact=True)).to_be_visible()
    payment = stage.alpha.payments[payment_id]
    assert (payment.pay_system_id, payment.times_paid) == (seed.DEMO_CARD_PAY, 1)


def test_a_question_left_open_can_be_answered_after_reopening(manager: Visit, stage: Stage) -> None:
    manager.expected.add(UNAUTHORIZED)
    payment_id = seed.PLAIN_PAYMENTS[7]
    app = manager.deal(seed.PLAIN_DEALS[2])
    question = press_pay(app, payment_id)
    end_sessions(stage)
    pay = question.get_by_role("button", name="Pay")
    pay.click()
    expect(question).to_contain_text(OVER)
    assert not stage.alpha.payments[payment_id].paid
    question.get_by_role("button", name="Reopen").click()
    expect(question).to_contain_text(OPEN_AGAIN)
    pay.click()
    expect(row_of(app, payment_id).get_by_text("Paid", exact=True)).to_be_visible()


def test_where_the_portal_gives_no_answer_the_tab_says_so(manager: Visit, stage: Stage) -> None:
    manager.expected.add(UNAUTHORIZED)
    payment_id = seed.PLAIN_PAYMENTS[8]
    manager.page.clock.install()
    app = manager.deal(seed.PLAIN_DEALS[2])
    row = row_of(app, payment_id)
    expect(row).to_be_visible()
    end_sessions(stage)
    # The portal's page cannot get a new token, and then it says nothing to the frame either.
    manager.page.route("**/_host/layout/*/refresh", lambda _: None)
    row.get_by_role("button", name="Pay").click()
    row.get_by_role("button", name="Reopen").click()
    expect(row).to_contain_text("Reopening…")
    manager.page.clock.fast_forward("00:10")
    expect(row).to_contain_text("Bitrix24 did not reopen this tab.")
    expect(row.get_by_role("button", name="Try again")).to_be_visible()
