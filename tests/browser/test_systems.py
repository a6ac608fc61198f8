"""A pay system from start to end: handler, pay system, settings, a payment, deletion."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, expect

from sandbox.tools.demo import Stage, on_stage
from sandbox.world import seed
from tests.browser.visit import Visit, choose_other_way, install, press_pay, row_of

DEAL, PAYMENT = seed.PLAIN_DEALS[2], seed.PLAIN_PAYMENTS[-1]


def named(app: FrameLocator, name: str) -> Locator:
    return app.get_by_role("row").filter(has=app.get_by_role("rowheader", name=name, exact=True))


def open_systems(visit: Visit) -> FrameLocator:
    app = visit.main_page()
    app.get_by_role("link", name="Payment systems").click()
    expect(app.get_by_role("heading", name="Payment systems", level=1)).to_be_visible()
    return app


def add_handler(app: FrameLocator) -> None:
    app.get_by_role("button", name="Add a handler").click()
    app.get_by_label("Name", exact=True).first.fill("Walked Provider")
    app.locator("#id_code").fill("walkedprovider")
    app.get_by_label("Checkout:").check()
    app.get_by_label("Address of the provider").fill("https://provider.example.com/pay/")
    setting = app.get_by_role("group", name="Setting 1")
    setting.get_by_label("Code", exact=True).fill("SHOP_KEY")
    setting.get_by_label("Name", exact=True).fill("Key of the shop")
    field = app.get_by_role("group", name="Field 1")
    field.get_by_label("Field", exact=True).fill("key")
    field.get_by_label("Code, or question to the buyer").fill("SHOP_KEY")
    app.get_by_role("button", name="Save").click()
    expect(app.get_by_text("Saved.")).to_be_visible()


def add_system(app: FrameLocator) -> None:
    app.get_by_role("button", name="Add a payment system").click()
    app.get_by_label("Name", exact=True).fill("Walked Pay")
    app.get_by_label("Handler").select_option("walkedprovider")
    app.get_by_label("For which documents and payers").select_option("ORDER:1")
    app.get_by_role("button", name="Save").click()
    expect(app.get_by_text("Saved.")).to_be_visible()
    expect(named(app, "Walked Pay").get_by_text("Yes", exact=True)).to_be_visible()


def set_settings(app: FrameLocator) -> None:
    named(app, "Walked Pay").get_by_role("button", name="Settings").click()
    setting = app.get_by_role("group", name="Key of the shop")
    setting.get_by_label("Value", exact=True).fill("made-up-walked-key")
    app.get_by_role("button", name="Save").click()
    expect(app.get_by_text("Saved.")).to_be_visible()
    expect(setting.get_by_label("Value", exact=True)).to_have_value("")
    app.get_by_role("button", name="Back to the list").click()


def test_from_a_handler_to_a_payment_and_back(
    browser: Browser, stage: Stage, installed: None
) -> None:
    portal = stage.alpha
    with Visit.of(browser, portal, seed.ADMIN) as visit:
        app = open_systems(visit)
        add_handler(app)
        add_system(app)
        set_settings(app)
        system = next(one for one in portal.pay_systems.values() if one.name == "Walked Pay")
        assert system.registry == "ORDER"
        assert system.settings["SHOP_KEY"]["VALUE"] == "made-up-walked-key"

        app = visit.deal(DEAL)
        row_of(app, PAYMENT).get_by_role("combobox").select_option(label="Walked Pay")
        press_pay(app, PAYMENT).get_by_role("button", name="Pay").click()
        expect(row_of(app, PAYMENT).get_by_text("Paid", exact=True)).to_be_visible()
        assert portal.payments[PAYMENT].paid
        assert portal.payments[PAYMENT].pay_system_id == system.id

        app = open_systems(visit)
        named(app, "Walked Provider").get_by_role("button", name="Delete").click()
        expect(app.get_by_text("Bitrix24 does not delete it")).to_be_visible()
        expect(app.get_by_role("listitem").filter(has_text="Walked Pay")).to_be_visible()
        expect(app.get_by_role("button", name="Delete", exact=True)).to_be_disabled()
        app.get_by_role("button", name="Back to the list").click()
        named(app, "Walked Pay").get_by_role("button", name="Delete").click()
        expect(app.get_by_text("No unpaid payment is set to it.")).to_be_visible()
        app.get_by_role("button", name="Delete", exact=True).click()
        expect(app.get_by_text("Deleted.")).to_be_visible()
        named(app, "Walked Provider").get_by_role("button", name="Delete").click()
        app.get_by_role("button", name="Delete", exact=True).click()
        expect(app.get_by_text("Deleted.")).to_be_visible()
        expect(named(app, "Walked Provider")).to_have_count(0)
    assert system.id not in portal.pay_systems
    assert not any(one.code == "walkedprovider" for one in portal.handlers.values())


@pytest.fixture
def bare() -> Iterator[Stage]:
    """Starts another stage, whose portals have only cash."""
    with on_stage(port=0, portal_ports=(0, 0), app_port=0, say=lambda _: None) as up:
        for system in up.alpha.pay_systems.values():
            system.active = system.action_file == "cash"
        yield up


def test_a_portal_without_an_acquirer_is_offered_manual_settlement(
    browser: Browser, bare: Stage
) -> None:
    """From the offer on the first page to a buyer who reads how to pay."""
    portal = bare.alpha
    with Visit.of(browser, portal, seed.ADMIN) as visit:
        install(visit)
        app = visit.main_page()
        app.get_by_role("button", name="Set up Manual settlement").click()
        expect(app.get_by_text("Manual settlement is set up.")).to_be_visible()

        app = visit.deal(DEAL)
        choose_other_way(app, PAYMENT, "Manual settlement")
        press_pay(app, PAYMENT).get_by_role("button", name="Pay").click()
        expect(row_of(app, PAYMENT).get_by_text("Paid", exact=True)).to_be_visible()

        # Another payment by it, opened by its buyer.
        payment = portal.payments[seed.PLAIN_PAYMENTS[0]]
        with bare.sandbox.world.lock:
            payment.pay_system_id = portal.payments[PAYMENT].pay_system_id
        visit.page.goto(f"{portal.url}/pay/{payment.id}/")
        heading = visit.page.get_by_role("heading", name=f"Payment {payment.account_number}")
        expect(heading).to_be_visible()
        expect(visit.page.get_by_text("Please transfer the sum")).to_be_visible()
    assert portal.payments[PAYMENT].paid
    assert not payment.paid
