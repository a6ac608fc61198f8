"""How the screens sit in their frame: no scroll bars of their own, from a phone to a desk."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from sandbox import seed
from sandbox.demo import Stage
from sandbox.faults import Fault
from tests.browser.visit import NARROW, PORTAL_ON_A_PHONE, Visit, press_pay, row_of

# Wide enough for any content: the difference is a scroll bar.
FITS = """() => {
  const { scrollWidth, clientWidth, scrollHeight, clientHeight } = document.documentElement;
  return scrollWidth <= clientWidth && scrollHeight <= clientHeight && innerWidth === clientWidth;
}"""

# Not a line more, and not one less, than what is in it.
FILLED = "() => innerHeight === Math.ceil(document.body.getBoundingClientRect().height)"


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


def test_the_frame_is_as_high_as_the_screen_in_it_also_after_a_longer_one(manager: Visit) -> None:
    app = manager.main_page()
    expect(app.locator("tr[data-payment]").nth(10)).to_be_visible()
    frame = manager.frame()
    frame.wait_for_function(FILLED)
    long = frame.evaluate("innerHeight")
    app.get_by_role("link", name="Approvals").click()
    expect(app.get_by_role("heading", name="Approvals")).to_be_visible()
    frame.wait_for_function(FILLED)
    assert frame.evaluate("innerHeight") < long / 2


def test_a_screen_that_is_long_in_coming_is_seen_to_come(manager: Visit, stage: Stage) -> None:
    app = manager.main_page()
    held = stage.sandbox.faults.add(Fault("hold", method="batch"))
    app.get_by_role("link", name="Approvals").click()
    screen = app.locator("#screen")
    expect(screen).to_have_attribute("aria-busy", "true")
    held.release.set()
    expect(app.get_by_role("heading", name="Approvals")).to_be_visible()
    expect(screen).not_to_have_attribute("aria-busy", "true")


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
