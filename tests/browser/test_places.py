"""An order's card and the menus of the lists, in the browser of a manager who pays there."""

from __future__ import annotations

from playwright.sync_api import FrameLocator, expect

from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit, press_pay, row_of


def pay_in(app: FrameLocator, payment_id: int) -> None:
    press_pay(app, payment_id).get_by_role("button", name="Pay").click()
    expect(row_of(app, payment_id).get_by_text("Paid", exact=True)).to_be_visible()


def test_an_order_is_paid_in_its_own_card(manager: Visit, stage: Stage) -> None:
    payment_id = seed.PLAIN_PAYMENTS[3]
    app = manager.order(185)
    expect(app.locator("tr[data-payment]")).to_have_count(3)
    pay_in(app, payment_id)
    expect(manager.in_crm(payment_id)).to_contain_text("Max Manager")
    assert stage.alpha.payments[payment_id].times_paid == 1


def test_pay_in_the_menu_of_a_deal_in_the_list(manager: Visit, stage: Stage) -> None:
    payment_id = seed.PLAIN_PAYMENTS[4]
    pay_in(manager.from_list("/crm/deal/list/", "Plants for the lobby"), payment_id)
    assert stage.alpha.payments[payment_id].times_paid == 1


def test_pay_in_the_menu_of_an_invoice_in_the_list(manager: Visit, stage: Stage) -> None:
    pay_in(manager.from_list("/crm/type/31/list/", "Invoice 502"), seed.INVOICE_PAYMENT)
    assert stage.alpha.payments[seed.INVOICE_PAYMENT].times_paid == 1
