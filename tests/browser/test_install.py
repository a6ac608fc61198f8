"""The installer, as an administrator's browser goes through it."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from sandbox.api.faults import Fault
from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit


def test_an_administrator_installs_and_each_failure_on_the_way_can_be_tried_again(
    browser: Browser, stage: Stage
) -> None:
    with Visit.of(browser, stage.beta, seed.ADMIN) as visit:
        visit.expected.add(504)
        told: list[str] = []
        visit.page.on("request", lambda sent: told.append(sent.url))
        # The installing person cannot be read: the page that says so has no session yet.
        stage.sandbox.faults.add(Fault("html502", method="app.info", times=None))
        visit.page.goto(f"{stage.beta.url}/marketplace/")
        row = visit.page.get_by_role("row", name="Pay for Bitrix24")
        row.get_by_role("button", name="Install").click()
        unproved = visit.any_page()
        expect(unproved.get_by_role("heading", name="This did not work")).to_be_visible()
        stage.sandbox.faults.clear()
        # Then the tabs cannot be bound.
        stage.sandbox.faults.add(Fault("html502", method="placement.get", times=None))
        unproved.get_by_role("button", name="Try again").click()
        again = visit.app().get_by_role("button", name="Try again")
        expect(again).to_be_visible()
        assert not stage.beta.installations[seed.OUR_CLIENT_ID].finished
        stage.sandbox.faults.clear()
        again.click()
        visit.page.wait_for_url("**install_finished=Y**")
        expect(visit.app().get_by_role("heading", name="Unpaid payments")).to_be_visible()
    assert stage.beta.installations[seed.OUR_CLIENT_ID].finished
    assert len([url for url in told if url.endswith("/installed")]) == 1


def test_a_tab_that_could_not_be_opened_can_be_tried_again(
    installed: None, manager: Visit, stage: Stage
) -> None:
    manager.expected.add(504)
    stage.sandbox.faults.add(Fault("html502", method="crm.item.payment.list", times=None))
    manager.page.goto(f"{stage.alpha.url}/crm/deal/details/{seed.PLAIN_DEALS[2]}/")
    manager.page.get_by_role("navigation", name="Tabs").get_by_role("link").last.click()
    again = manager.any_page().get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    stage.sandbox.faults.clear()
    again.click()
    # The same deal's payments, not the main page.
    expect(manager.app().get_by_role("columnheader", name="State")).to_be_visible()


def test_what_an_update_dropped_is_bound_again_by_an_administrators_page(
    browser: Browser, stage: Stage, installed: None
) -> None:
    installation = stage.alpha.installations[seed.OUR_CLIENT_ID]
    with stage.sandbox.world.lock:
        bound = sorted(row["event"] for row in installation.events)
        installation.events.clear()
        # The frame shows the change by it, if the event is late.
        installation.application_token = "of the new version".replace(" ", "-")
    with Visit.of(browser, stage.alpha, seed.ADMIN) as visit:
        with visit.page.expect_response("**/bindings/") as asked:
            app = visit.main_page()
        assert asked.value.status == 204
        expect(app.get_by_role("heading", name="Unpaid payments")).to_be_visible()
        expect(app.locator(".notices > [data-message]")).to_be_empty()
    assert sorted(row["event"] for row in installation.events) == bound


def test_the_app_needs_no_cookie_and_could_not_have_one(installed: None, manager: Visit) -> None:
    app = manager.deal(seed.PLAIN_DEALS[2])
    expect(app.get_by_role("table")).to_be_visible()
    keep = "document.cookie = 'probe=1; SameSite=None; Secure', document.cookie"
    frame = manager.frame()
    assert frame.evaluate(keep) == ""
    host = frame.url.split("/")[2]
    assert manager.page.context.cookies(f"http://{host}/") == []
    # Outside a frame the same address may, so the browser blocked it before.
    outside = manager.page.context.new_page()
    outside.goto(f"http://{host}/")
    assert outside.evaluate(keep) == "probe=1"
