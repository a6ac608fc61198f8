"""The doctor at the foot of the main page: shown in place, and repaired in place."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit


def test_an_administrator_has_the_set_up_checked_and_repaired(
    browser: Browser, stage: Stage, installed: None
) -> None:
    events = stage.alpha.installations[seed.OUR_CLIENT_ID].events
    with stage.sandbox.world.lock:
        bound = len(events)
        events.clear()
    with Visit.of(browser, stage.alpha, seed.ADMIN) as visit:
        app = visit.main_page()
        app.get_by_role("button", name="Check the app's set-up").click()
        row = app.get_by_role("row").filter(has_text="Tabs and events")
        expect(row.get_by_text("Problem", exact=True)).to_be_visible()
        # The list above it is still there.
        expect(app.get_by_role("heading", name="Unpaid payments")).to_be_visible()
        row.get_by_role("button", name="Put them back").click()
        expect(row.get_by_text("In order", exact=True)).to_be_visible()
    assert len(events) == bound


def test_a_manager_is_not_offered_it(manager: Visit) -> None:
    app = manager.main_page()
    expect(app.get_by_role("heading", name="Unpaid payments")).to_be_visible()
    expect(app.get_by_role("button", name="Check the app's set-up")).to_have_count(0)
