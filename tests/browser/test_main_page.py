"""The app's own page: the list, its search, its pages, its links into the CRM."""

from __future__ import annotations

from playwright.sync_api import expect

from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit, press_pay, row_of


def test_an_order_is_searched_for_and_paid(manager: Visit, stage: Stage) -> None:
    payment_id = seed.JPY_PAYMENT
    number = stage.alpha.payments[payment_id].account_number
    app = manager.main_page()
    app.get_by_role("searchbox").fill(number)
    expect(app.locator("tr[data-payment]")).to_have_count(1)
    row = row_of(app, payment_id)
    expect(row).to_contain_text("150\xa0000\xa0JPY")
    press_pay(app, payment_id).get_by_role("button", name="Pay").click()
    expect(row.get_by_text("Paid", exact=True)).to_be_visible()
    assert stage.alpha.payments[payment_id].times_paid == 1


def test_a_search_that_finds_nothing_says_so(manager: Visit) -> None:
    app = manager.main_page()
    app.get_by_role("searchbox").fill("9999999")
    expect(app.get_by_role("table")).to_contain_text("the order or payment number 9999999")


def test_markup_is_searched_for_as_text(manager: Visit) -> None:
    app = manager.main_page()
    app.get_by_role("searchbox").fill("<b>")
    expect(app.get_by_role("table")).to_contain_text("the order or payment number <b>")


def test_show_more_goes_on_below(manager: Visit, stage: Stage) -> None:
    with stage.sandbox.world.lock:
        oldest, *_ = seed.fill(stage.alpha, 60)
    app = manager.main_page()
    more = app.get_by_role("button", name="Show more")
    expect(more).to_be_visible()
    assert row_of(app, oldest).count() == 0
    shown = app.locator("tr[data-payment]").count()
    more.click()
    expect(row_of(app, oldest)).to_be_attached()
    assert app.locator("tr[data-payment]").count() > shown


def test_a_deal_opens_in_the_crm(manager: Visit) -> None:
    app = manager.main_page()
    app.get_by_role("searchbox").fill("186")
    app.get_by_role("link", name="Whiteboards").first.click()
    slider = manager.page.frame_locator("iframe.slider-page")
    expect(slider.get_by_role("heading", name="Whiteboards")).to_be_visible()
