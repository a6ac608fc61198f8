"""How the screens sit in their frame: no scroll bars of their own, from a phone to a desk."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from sandbox import seed
from tests.browser.visit import Visit, press_pay, row_of

# Wide enough for any content: the difference is a scroll bar.
FITS = """() => {
  const { scrollWidth, clientWidth, scrollHeight, clientHeight } = document.documentElement;
  return scrollWidth <= clientWidth && scrollHeight <= clientHeight && innerWidth === clientWidth;
}"""
PORTAL_ON_A_PHONE = ".menu { display: none } .page { margin: 0; padding: 0 }"
NARROW = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def test_a_tab_has_no_scroll_bar_at_1280_even_with_a_question_open(manager: Visit) -> None:
    app = manager.deal(seed.SEVERAL_DEAL)
    expect(row_of(app, seed.SEVERAL_PAYMENTS[0])).to_be_visible()
    frame = manager.frame()
    frame.wait_for_function(FITS)
    # The longer question, which is higher than the frame was.
    row_of(app, seed.SEVERAL_PAYMENTS[0]).get_by_role("combobox").select_option("Demo Card Pay")
    question = press_pay(app, seed.SEVERAL_PAYMENTS[0])
    frame.wait_for_function(FITS)
    expect(question.get_by_role("button", name="Cancel")).to_be_in_viewport(ratio=1)


def test_the_main_page_has_no_scroll_bar_at_1280(manager: Visit) -> None:
    app = manager.main_page()
    expect(app.locator("tr[data-payment]").first).to_be_visible()
    manager.frame().wait_for_function(FITS)


@pytest.mark.parametrize("width", [320, 390, 720])
def test_a_phone_shows_every_payment_without_scrolling_sideways(manager: Visit, width: int) -> None:
    app = manager.deal(seed.SEVERAL_DEAL)
    manager.page.set_viewport_size({"width": width, "height": 844})
    manager.page.add_style_tag(content=PORTAL_ON_A_PHONE)
    row = row_of(app, seed.SEVERAL_PAYMENTS[0])
    expect(row.get_by_role("button", name="Pay")).to_be_visible()
    frame = manager.frame()
    frame.wait_for_function(NARROW)
    press_pay(app, seed.SEVERAL_PAYMENTS[0])
    frame.wait_for_function(NARROW)
