"""From one screen of the main page to another, and back after a reload of the frame."""

from __future__ import annotations

from playwright.sync_api import Route, expect

from sandbox.host.visit import memory_of
from sandbox.tools.demo import Stage
from tests.browser.visit import NARROW, Visit

SHAPE = "() => getComputedStyle(document.getElementById('screen'), '::after').opacity === '1'"
HIDDEN = "() => getComputedStyle(document.querySelector('#screen .bar')).visibility === 'hidden'"


def test_the_frames_address_brings_its_screen_and_filters_back(
    manager: Visit, stage: Stage
) -> None:
    app = manager.main_page()
    app.get_by_role("navigation").get_by_role("link", name="History").click()
    # The screen before it has a field of the same name.
    expect(app.locator("main[data-screen=history]")).to_be_visible()
    app.get_by_label("Order or payment number").fill("9999")
    app.get_by_label("Outcome").select_option(label="Refused")
    app.get_by_role("button", name="Show", exact=True).click()
    expect(app.get_by_role("heading", name="Nothing was found")).to_be_visible()
    address = manager.frame().url
    assert "#screen=history&" in address
    assert manager.frame().evaluate("() => document.body.dataset.session") not in address
    # What the portal keeps is for its own page's reload; this one is the frame's alone.
    memory_of(stage.sandbox.world).user_options.clear()

    manager.frame().evaluate("() => { window.isOld = true; window.location.reload(); }")
    manager.frame().wait_for_function("() => !window.isOld")

    app = manager.app()
    expect(app.locator("main[data-screen=history]")).to_be_visible()
    expect(app.get_by_label("Order or payment number")).to_have_value("9999")
    expect(app.get_by_label("Outcome")).to_have_value("refused")
    expect(app.get_by_role("heading", name="Nothing was found")).to_be_visible()
    app.get_by_role("button", name="Clear").click()
    expect(app.get_by_role("heading", name="Nothing was found")).to_have_count(0)
    assert manager.frame().url.endswith("#screen=history")


def test_a_screen_that_is_long_in_coming_shows_its_shape(manager: Visit) -> None:
    app = manager.main_page()
    held: list[Route] = []
    manager.page.route("**/payments/approvals/", lambda route: held.append(route))
    app.get_by_role("navigation").get_by_role("link", name="Approvals").click()
    frame = manager.frame()
    frame.wait_for_function(SHAPE)
    frame.wait_for_function(HIDDEN)
    assert frame.evaluate(NARROW)
    held[0].continue_()
    expect(app.locator("main[data-screen=approvals]")).to_be_visible()
    expect(app.locator("[data-left]")).to_have_count(0)
