"""axe-core finds nothing on any screen or dialog; fields and buttons have visible edges."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, expect

from sandbox.api.faults import AFTER, BEFORE, Fault
from sandbox.tools.demo import Stage, on_stage
from sandbox.world import seed
from tests.browser.axe import Auditor
from tests.browser.test_history import hand_over
from tests.browser.visit import Visit, press_pay, row_of

PAY, READ_BACK, KEPT = "sale.paysystem.pay.payment", "crm.item.payment.list", "sale.payment.get"


# A stage of its own: these tests change everything, and other tests rely on theirs.
@pytest.fixture(scope="module")
def stage(chromium: str) -> Iterator[Stage]:
    with on_stage(port=0, portal_ports=(0, 0), app_port=0, say=lambda _: None) as up:
        for portal in up.sandbox.world.portals.values():
            portal.bucket_size = 100_000
        yield up


@pytest.fixture
def admin(browser: Browser, stage: Stage, installed: None) -> Iterator[Visit]:
    with Visit.of(browser, stage.alpha, seed.ADMIN) as visit:
        yield visit


@pytest.fixture
def auditor() -> Iterator[Auditor]:
    """Fails at the end of the test if anything was found."""
    auditor = Auditor()
    yield auditor
    assert auditor.looked
    assert not auditor.found, auditor.report()


def look(auditor: Auditor, name: str, visit: Visit) -> None:
    """At the app in its frame, with whatever dialog is open in it. What comes next is pressed by a
    key, not at its place: a page that was made narrow and wide again may still be moving."""
    auditor.look(name, visit.page, visit.frame())


def screen(visit: Visit, name: str) -> FrameLocator:
    visit.page.goto(f"{visit.portal.url}/crm/deal/")
    app = visit.main_page()
    app.get_by_role("navigation").get_by_role("link", name=name).press("Enter")
    expect(app.get_by_role("heading", name=name, level=1)).to_be_visible()
    return app


def question(app: FrameLocator, payment_id: int, button: str) -> Locator:
    row_of(app, payment_id).get_by_role("button", name=button).press("Enter")
    dialog = app.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def pill(app: FrameLocator, payment_id: int, words: str) -> None:
    expect(row_of(app, payment_id).locator(".pill").get_by_text(words, exact=True)).to_be_visible()


def test_the_main_page_and_the_doctor(admin: Visit, auditor: Auditor) -> None:
    app = admin.main_page()
    expect(app.locator("tr[data-payment]").first).to_be_visible()
    look(auditor, "unpaid", admin)
    app.get_by_role("button", name="Check the app's set-up").press("Enter")
    expect(app.get_by_role("row").filter(has_text="Tabs and events")).to_be_visible()
    look(auditor, "doctor", admin)
    app.get_by_role("searchbox").fill("9999999")
    expect(app.get_by_role("table").first).to_contain_text("the order or payment number 9999999")
    look(auditor, "nothing found", admin)
    admin.expected.add(400)
    app.get_by_role("searchbox").fill("163\a")
    expect(app.get_by_role("alert").first).to_contain_text("An order or payment number has at most")
    look(auditor, "a message", admin)


def test_the_tabs_and_the_questions(manager: Visit, auditor: Auditor) -> None:
    app = manager.deal(seed.SEVERAL_DEAL)
    look(auditor, "tab", manager)
    first = seed.SEVERAL_PAYMENTS[0]
    question(app, first, "Pay")
    look(auditor, "question", manager)
    app.get_by_role("button", name="Cancel").press("Enter")
    row_of(app, first).get_by_role("combobox").select_option("Demo Card Pay")
    question(app, first, "Pay")
    look(auditor, "question, another system", manager)
    app = manager.invoice(seed.INVOICE)
    look(auditor, "invoice tab", manager)
    app = manager.order(seed.ORDER)
    look(auditor, "order tab", manager)
    app = manager.deal(seed.EMPTY_DEAL)
    look(auditor, "empty tab", manager)
    app = manager.deal(seed.BUILT_IN_DEAL)
    question(app, seed.DOCUMENT_PAYMENT, "Mark as paid")
    look(auditor, "question to mark", manager)
    app.get_by_role("button", name="Cancel").press("Enter")
    app = manager.from_list("/crm/deal/list/", "Whiteboards")
    look(auditor, "list menu", manager)


def test_a_reader_who_may_not_pay(reader: Visit, auditor: Auditor) -> None:
    reader.deal(seed.SEVERAL_DEAL)
    look(auditor, "without the right", reader)


def test_a_row_in_each_state(manager: Visit, stage: Stage, auditor: Auditor) -> None:
    faults = stage.sandbox.faults
    paid, refused, unknown = seed.PLAIN_PAYMENTS[0:3]
    app = manager.deal(seed.PLAIN_DEALS[0])
    press_pay(app, paid).get_by_role("button", name="Pay").press("Enter")
    pill(app, paid, "Paid")
    look(auditor, "paid", manager)
    question(app, paid, "Undo…")
    look(auditor, "question to undo", manager)
    app.get_by_label("Reason").fill("Wrong order")
    app.get_by_role("dialog").get_by_role("button", name="Undo").press("Enter")
    pill(app, paid, "Undone")
    faults.add(Fault("true_without_payment", method=PAY))
    press_pay(app, refused).get_by_role("button", name="Pay").press("Enter")
    pill(app, refused, "Refused")

    def lose_reads() -> None:
        for method in (READ_BACK, KEPT):
            faults.add(Fault("drop", method=method, when=BEFORE, times=None))

    faults.add(Fault("drop", method=PAY, when=AFTER, on_hit=lose_reads))
    held = faults.add(Fault("hold", method=PAY, when=BEFORE))
    press_pay(app, unknown).get_by_role("button", name="Pay").press("Enter")
    expect(app.get_by_role("dialog").get_by_role("status")).to_have_text("Paying…")
    look(auditor, "paying", manager)
    held.release.set()
    pill(app, unknown, "Not confirmed")
    faults.clear()
    look(auditor, "undone, refused and not confirmed", manager)
    app = manager.deal(seed.CASH_DEAL)
    question(app, seed.CASH_PAYMENT, "Mark as paid").get_by_role(
        "button", name="Mark as paid"
    ).press("Enter")
    pill(app, seed.CASH_PAYMENT, "Marked as paid")
    look(auditor, "marked", manager)
    manager.deal(seed.CANCELED_DEAL)
    look(auditor, "cancelled", manager)
    manager.deal(seed.PAID_DEAL)
    look(auditor, "paid by somebody else", manager)


def test_several_at_once(manager: Visit, stage: Stage, auditor: Auditor) -> None:
    with stage.sandbox.world.lock:
        cash, *fresh = seed.fill(stage.alpha, 4)
        stage.alpha.payments[cash].pay_system_id = seed.CASH
    screen(manager, "Several at once")
    look(auditor, "bulk, empty", manager)
    app = manager.main_page()
    for payment_id in fresh:
        row_of(app, payment_id).get_by_role("checkbox").check()
    look(auditor, "ticked", manager)
    row_of(app, cash).get_by_role("checkbox").check()
    app.get_by_role("button", name="Review selected").press("Enter")
    expect(app.get_by_role("heading", name="Nothing is done yet")).to_be_visible()
    look(auditor, "dry run", manager)
    app.locator("#run-start").press("Enter")
    progress = app.locator("#progress")
    expect(progress).to_have_attribute("data-run", "running")
    expect(progress).to_contain_text("1 of 3 paid")
    app.get_by_role("button", name="Pause").press("Enter")
    expect(progress).to_contain_text("You paused it.")
    look(auditor, "run, paused", manager)
    app.get_by_role("button", name="Stop", exact=True).press("Enter")
    expect(progress).to_contain_text("Stop for good?")
    look(auditor, "run, to be stopped", manager)
    screen(manager, "Unpaid payments")
    look(auditor, "a run left unfinished", manager)
    app.get_by_role("button", name="Open", exact=True).press("Enter")
    app.get_by_role("button", name="Stop", exact=True).press("Enter")
    expect(progress).to_contain_text("Stop for good?")
    app.get_by_role("button", name="Stop for good").press("Enter")
    expect(app.get_by_role("heading", name="Stopped")).to_be_visible()
    look(auditor, "run, stopped", manager)


def test_rules_and_approvals(admin: Visit, manager: Visit, auditor: Auditor) -> None:
    app = screen(admin, "Rules")
    look(auditor, "rules", admin)
    app.locator("[name=limit_currency]").last.fill("EU")
    app.get_by_role("button", name="Save").press("Enter")
    expect(app.get_by_text("Nothing was saved")).to_be_visible()
    look(auditor, "rules, not stored", admin)
    app = screen(admin, "Rules")
    app.locator("[name=limit_currency]").last.fill("USD")
    app.locator("[name=limit_sum]").last.fill("1")
    app.get_by_role("button", name="Save").press("Enter")
    expect(app.get_by_text("Saved.")).to_be_visible()
    look(auditor, "rules, stored", admin)
    app = manager.deal(seed.USD_DEAL)
    question(app, seed.USD_PAYMENT, "Ask for approval")
    look(auditor, "question to ask", manager)
    app.get_by_role("dialog").get_by_role("button", name="Ask for approval").press("Enter")
    expect(row_of(app, seed.USD_PAYMENT)).to_contain_text("It has not been decided yet")
    look(auditor, "asked", manager)
    app = screen(admin, "Approvals")
    look(auditor, "approvals", admin)
    app.get_by_role("button", name="Decline").press("Enter")
    expect(app.get_by_role("dialog")).to_be_visible()
    look(auditor, "question to decline", admin)
    app.get_by_role("button", name="Cancel").press("Enter")
    dialog = app.get_by_role("dialog")
    expect(dialog).to_have_count(0)
    app.get_by_role("button", name="Approve").press("Enter")
    expect(dialog).to_be_visible()
    look(auditor, "question to approve", admin)
    dialog.get_by_role("button", name="Approve").press("Enter")
    expect(app.get_by_text("can pay it now")).to_be_visible()
    look(auditor, "approved", admin)
    manager.deal(seed.USD_DEAL)
    look(auditor, "approved, in the tab", manager)


def test_the_history(admin: Visit, stage: Stage, auditor: Auditor) -> None:
    app = admin.deal(seed.PLAIN_DEALS[1])
    paid = seed.PLAIN_PAYMENTS[3]
    press_pay(app, paid).get_by_role("button", name="Pay").press("Enter")
    pill(app, paid, "Paid")
    hand_over(stage, 990_002, "990/2")
    app = screen(admin, "History")
    for summary in app.locator("summary").all():
        summary.press("Enter")
    look(auditor, "history", admin)
    with admin.page.context.expect_page() as opened:
        app.get_by_role("button", name="Print").press("Enter")
    expect(opened.value.get_by_role("heading", name="History of payments")).to_be_visible()
    auditor.look("history on paper", opened.value)
    opened.value.close()
    app.get_by_label("Order or payment number").fill("9999999")
    app.get_by_role("button", name="Show", exact=True).press("Enter")
    expect(app.get_by_role("heading", name="Nothing was found")).to_be_visible()
    look(auditor, "history, nothing found", admin)


def test_payment_systems(admin: Visit, auditor: Auditor) -> None:
    app = screen(admin, "Payment systems")
    look(auditor, "payment systems", admin)
    for button in ("Add a handler", "Add a payment system"):
        app.get_by_role("button", name=button).press("Enter")
        expect(app.get_by_role("button", name="Save")).to_be_visible()
        look(auditor, button, admin)
        app.get_by_role("button", name="Back to the list").press("Enter")
    acme = app.get_by_role("row").filter(
        has=app.get_by_role("rowheader", name="Acme Pay", exact=True)
    )
    for button in ("Edit", "Settings", "Delete"):
        acme.first.get_by_role("button", name=button).press("Enter")
        expect(app.get_by_role("button", name="Back to the list")).to_be_visible()
        look(auditor, f"payment system: {button}", admin)
        app.get_by_role("button", name="Back to the list").press("Enter")
    acme.last.get_by_role("button", name="Delete").press("Enter")
    expect(app.get_by_role("button", name="Back to the list")).to_be_visible()
    look(auditor, "delete a handler", admin)


def test_manual_settlement_and_its_bill(admin: Visit, stage: Stage, auditor: Auditor) -> None:
    app = screen(admin, "Payment systems")
    app.get_by_role("button", name="Set it up").press("Enter")
    expect(app.get_by_text("Manual settlement is set up.")).to_be_visible()
    look(auditor, "manual settlement", admin)
    payment = stage.alpha.payments[seed.PLAIN_PAYMENTS[5]]
    with stage.sandbox.world.lock:
        payment.pay_system_id = max(stage.alpha.pay_systems)
    admin.page.goto(f"{stage.alpha.url}/pay/{payment.id}/")
    expect(admin.page.get_by_role("heading", name="Payment")).to_be_visible()
    auditor.look("bill", admin.page)


def test_pages_that_say_what_is_wrong(
    manager: Visit, browser: Browser, stage: Stage, auditor: Auditor
) -> None:
    manager.deal(seed.PLAIN_DEALS[2])
    address = urlsplit(manager.frame().url)
    manager.expected |= {404, 504}
    manager.page.goto(f"{address.scheme}://{address.netloc}/")
    auditor.look("outside of Bitrix24", manager.page)
    manager.page.goto(f"{address.scheme}://{address.netloc}/checkout/no-bill/")
    auditor.look("not found", manager.page)
    stage.sandbox.faults.add(Fault("html502", method=READ_BACK, times=None))
    manager.page.goto(f"{stage.alpha.url}/crm/deal/details/{seed.PLAIN_DEALS[2]}/")
    manager.page.get_by_role("navigation", name="Tabs").get_by_role("link").last.press("Enter")
    expect(manager.any_page().get_by_role("button", name="Try again")).to_be_visible()
    look(auditor, "not opened", manager)
    stage.sandbox.faults.clear()


def test_the_installer(browser: Browser, stage: Stage, auditor: Auditor) -> None:
    with Visit.of(browser, stage.beta, seed.ADMIN) as visit:
        visit.expected.add(504)
        stage.sandbox.faults.add(Fault("html502", method="placement.get", times=None))
        visit.page.goto(f"{stage.beta.url}/marketplace/")
        row = visit.page.get_by_role("row", name="Pay for Bitrix24")
        row.get_by_role("button", name="Install").press("Enter")
        expect(visit.app().get_by_role("button", name="Try again")).to_be_visible()
        look(auditor, "installation", visit)
        stage.sandbox.faults.clear()
