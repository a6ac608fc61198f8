"""Without a mouse: from the search to a payment, from row to row; the search is kept."""

from __future__ import annotations

from playwright.sync_api import FrameLocator, Page, expect

from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit, row_of


def keys(page: Page, *names: str) -> None:
    for name in names:
        page.keyboard.press(name)


def into(app: FrameLocator) -> None:
    """Puts the focus into the frame, as pressing Tab does."""
    app.locator("body").evaluate("body => { body.tabIndex = -1; body.focus(); }")


def test_a_payment_without_a_mouse(manager: Visit, stage: Stage) -> None:
    payment_id = seed.COMPANY_PAYMENT
    number = stage.alpha.payments[payment_id].account_number
    page, app = manager.page, manager.main_page()
    into(app)
    keys(page, "/")
    field = app.get_by_role("searchbox")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    page.keyboard.type(number)
    expect(app.locator("tr[data-payment]")).to_have_count(1)
    expect(app.locator("[data-shown]")).to_have_text("Payments shown: 1")
    keys(page, "ArrowDown")
    row = row_of(app, payment_id)
    expect(row).to_be_focused()
    keys(page, "Enter")
    question = app.get_by_role("dialog")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    # Neither a row nor the search is to be reached behind an open question.
    keys(page, "ArrowDown", "/")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    keys(page, "Escape")
    expect(question).to_have_count(0)
    expect(row).to_be_focused()
    assert not stage.alpha.payments[payment_id].paid
    keys(page, "Enter")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    keys(page, "Shift+Tab", "Enter")
    expect(row.get_by_text("Paid", exact=True)).to_be_visible()
    expect(row.locator("[data-state='paid']")).to_be_focused()
    assert stage.alpha.payments[payment_id].times_paid == 1


def test_arrows_go_from_row_to_row_and_stop_at_the_ends(manager: Visit) -> None:
    page, app = manager.page, manager.deal(seed.PLAIN_DEALS[2])
    rows = app.locator("tr[data-payment]")
    into(app)
    keys(page, "ArrowDown")
    expect(rows.nth(0)).to_be_focused()
    keys(page, "ArrowUp")
    expect(rows.nth(0)).to_be_focused()
    keys(page, "ArrowDown", "ArrowDown")
    expect(rows.nth(2)).to_be_focused()
    keys(page, "ArrowDown")
    expect(rows.nth(2)).to_be_focused()
    # A choice keeps its arrows: the row does not change meanwhile.
    choice = app.locator("tr[data-payment] select").first
    choice.focus()
    keys(page, "ArrowDown")
    expect(choice).to_be_focused()


def test_the_slash_is_a_slash_where_one_types(manager: Visit) -> None:
    page, app = manager.page, manager.main_page()
    field = app.get_by_role("searchbox")
    field.focus()
    page.keyboard.type("186/1")
    expect(field).to_have_value("186/1")


def test_the_search_outlives_a_reload_of_the_portals_page(manager: Visit) -> None:
    app = manager.main_page()
    rows = app.locator("tr[data-payment]")
    with manager.page.expect_response("**/user-option"):
        app.get_by_role("searchbox").fill("186")
    expect(app.locator("[data-shown]")).to_have_text("Payments shown: 3")
    manager.page.reload()
    app = manager.app()
    expect(app.get_by_role("searchbox")).to_have_value("186")
    expect(rows).to_have_count(3)
    session = manager.frame().evaluate("() => document.body.dataset.session")
    kept = manager.frame().evaluate("() => BX24.userOption.get('search')")
    assert "186" in kept
    assert session not in kept
    with manager.page.expect_response("**/user-option"):
        app.get_by_role("searchbox").fill("")
    expect(rows.nth(5)).to_be_visible()
    manager.page.reload()
    app = manager.app()
    expect(rows.nth(5)).to_be_visible()
    expect(app.get_by_role("searchbox")).to_have_value("")


def test_the_filter_of_the_history_comes_back_and_can_be_cleared(manager: Visit) -> None:
    app = manager.main_page()
    link = app.get_by_role("navigation").get_by_role("link", name="History")
    link.click()
    app.get_by_label("Outcome").select_option("Refused")
    app.get_by_label("Order or payment number").fill("9999999")
    with manager.page.expect_response("**/user-option"):
        app.get_by_role("button", name="Show", exact=True).click()
    expect(app.get_by_role("heading", name="Nothing was found")).to_be_visible()
    manager.page.reload()
    app = manager.app()
    app.get_by_role("navigation").get_by_role("link", name="History").click()
    expect(app.get_by_label("Order or payment number")).to_have_value("9999999")
    expect(app.get_by_role("heading", name="Nothing was found")).to_be_visible()
    with manager.page.expect_response("**/user-option"):
        app.get_by_role("button", name="Clear").click()
    expect(app.get_by_label("Order or payment number")).to_have_value("")
    expect(app.get_by_role("heading", name="Nothing was found")).to_have_count(0)
    # Cleared is cleared, also after the next reload.
    manager.page.reload()
    app = manager.app()
    app.get_by_role("navigation").get_by_role("link", name="History").click()
    expect(app.get_by_role("button", name="Clear")).to_be_visible()
    expect(app.get_by_label("Order or payment number")).to_have_value("")


def test_what_was_paid_by_last_never_replaces_the_payments_own_system(manager: Visit) -> None:
    """Enter, Enter marks a bill as paid; it takes a third decision to pay it by a card."""
    app = manager.deal(seed.PLAIN_DEALS[1])
    row = row_of(app, seed.PLAIN_PAYMENTS[5])
    row.get_by_role("combobox").select_option(label="Demo Card Pay")
    row.get_by_role("button", name="Pay").click()
    app.get_by_role("dialog").get_by_role("button", name="Pay").click()
    expect(row.get_by_text("Paid", exact=True)).to_be_visible()
    app = manager.deal(seed.BILL_DEAL)
    row = row_of(app, seed.BILL_PAYMENT)
    expect(row.get_by_role("combobox")).to_be_hidden()
    into(app)
    keys(manager.page, "ArrowDown")
    expect(row).to_be_focused()
    keys(manager.page, "Enter")
    dialog = app.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_contain_text("Mark 845.50\xa0EUR by Bill")
    dialog.get_by_role("button", name="Cancel").click()

    row.get_by_text("Pay by another system").click()
    choice = row.get_by_role("combobox")
    expect(choice).to_have_value("")
    expect(choice.locator("option").nth(1)).to_have_text("Demo Card Pay")


def test_a_payment_with_another_way_alone_opens_it_by_enter(manager: Visit) -> None:
    app = manager.deal(seed.INACTIVE_DEAL)
    row = row_of(app, seed.INACTIVE_PAYMENT)
    expect(row.get_by_role("combobox")).to_be_hidden()
    into(app)
    keys(manager.page, "ArrowDown")
    expect(row).to_be_focused()
    keys(manager.page, "Enter")
    expect(row.get_by_role("combobox")).to_be_focused()
    expect(app.get_by_role("dialog")).to_have_count(0)
