"""The history in a browser: found, opened, exported, printed, and decided."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FrameLocator, expect

from sandbox.api.faults import Fault
from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit, press_pay, row_of


def history_of(visit: Visit) -> FrameLocator:
    app = visit.main_page()
    app.get_by_role("navigation").get_by_role("link", name="History").click()
    expect(app.get_by_role("heading", name="History")).to_be_visible()
    return app


def hand_over(stage: Stage, payment_id: int, number: str, **others: object) -> None:
    """Stores an unsettled attempt of the manager's in the app's database.

    `others` are columns with other values than here."""
    assert stage.app is not None
    database = sqlite3.connect(stage.app.log.parent / "db.sqlite3", timeout=20)
    values = {
        "portal_id": 1,
        "kind": "pay",
        "payment_id": payment_id,
        "account_number": number,
        "number_key": number,
        "pay_system_id": seed.ACME_PAY,
        "pay_system_name": "Acme Pay",
        "bound_pay_system_id": seed.ACME_PAY,
        "sum": "99.5",
        "currency": "EUR",
        "user_id": seed.MANAGER,
        "state": "unknown",
        "created_at": "2026-11-20 12:00:00",
        "sent_at": "2026-11-20 12:00:01",
        "handed_over_at": "2026-11-21 12:00:00",
        "looks": 9,
        "note": "",
        "reason": "no_answer",
        "evidence": json.dumps({"answer": "none", "failure": "OutcomeUnknown"}),
        **others,
    }
    names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
    with database:
        database.execute(f"INSERT INTO payments_attempt ({names}) VALUES ({places})", values)
    database.close()


@pytest.fixture(scope="module")
def paid(browser: Browser, stage: Stage, installed: None) -> str:
    """Pays one payment as the manager; returns its number."""
    payment_id = seed.PLAIN_PAYMENTS[0]
    with Visit.of(browser, stage.alpha, seed.MANAGER) as visit:
        app = visit.deal(seed.PLAIN_DEALS[0])
        press_pay(app, payment_id).get_by_role("button", name="Pay").click()
        expect(row_of(app, payment_id).get_by_text("Paid", exact=True)).to_be_visible()
    return stage.alpha.payments[payment_id].account_number


def test_a_payment_is_found_with_its_evidence(manager: Visit, paid: str) -> None:
    app = history_of(manager)
    expect(app.get_by_role("heading", name="History")).to_be_focused()
    row = app.locator("tr[data-attempt]").filter(has_text=paid)
    expect(row.locator(".outcome .pill")).to_have_text("Paid")
    expect(row).to_contain_text("Max Manager")
    # By keyboard alone.
    row.locator("summary").focus()
    manager.page.keyboard.press("Enter")
    expect(row).to_contain_text("Bitrix24 answered that it was done.")
    app.get_by_label("Outcome").select_option("Refused")
    app.get_by_label("Order or payment number").press("Enter")
    expect(app.get_by_role("heading", name="Nothing was found")).to_be_visible()
    app.get_by_role("button", name="Clear").press("Enter")
    expect(row).to_be_visible()


def test_markup_in_the_filter_is_searched_for_as_text(manager: Visit, paid: str) -> None:
    app = history_of(manager)
    app.get_by_label("Order or payment number").fill("<b>")
    app.get_by_role("button", name="Show", exact=True).click()
    expect(app.get_by_role("heading", name="Nothing was found")).to_be_visible()


def test_the_file_is_saved_and_no_address_carries_the_session(manager: Visit, paid: str) -> None:
    addresses: list[str] = []
    manager.page.context.on("request", lambda request: addresses.append(request.url))
    app = history_of(manager)
    app.get_by_label("Order or payment number").fill(paid)
    app.get_by_role("button", name="Show", exact=True).click()
    expect(app.locator("tr[data-attempt]")).to_have_count(1)
    with manager.page.expect_download() as got:
        app.get_by_role("button", name="Save as CSV").click()
    assert got.value.suggested_filename.startswith("payments_127.0.0.1-")
    text = Path(got.value.path()).read_text(encoding="utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert (row["Payment"], row["Person"], row["Outcome"]) == (paid, "Max Manager", "Paid")
    # The screen stays where it was.
    expect(app.locator("tr[data-attempt]")).to_have_count(1)
    assert not [address for address in addresses if "frame_session" in address]


def test_the_page_to_be_printed_opens_beside_the_portal(manager: Visit, paid: str) -> None:
    app = history_of(manager)
    with manager.page.context.expect_page() as opened:
        app.get_by_role("button", name="Print").click()
    paper = opened.value
    expect(paper.get_by_role("heading", name="History of payments")).to_be_visible()
    expect(paper.locator("tr[data-attempt]").filter(has_text=paid)).to_be_visible()
    assert "frame_session" not in paper.url
    paper.wait_for_function("window.asked_to_print")
    paper.close()


def test_an_administrator_closes_what_waits(browser: Browser, stage: Stage, paid: str) -> None:
    hand_over(stage, 990_001, "990/1")
    with Visit.of(browser, stage.alpha, seed.ADMIN) as visit:
        app = visit.main_page()
        badge = app.get_by_role("navigation").get_by_role("link", name="History").locator(".badge")
        expect(badge).to_have_text("1")
        app.get_by_role("navigation").get_by_role("link", name="History").click()
        card = app.get_by_role("article").filter(has_text="990/1")
        expect(card).to_contain_text("Handed over to a person")
        card.get_by_text("Close without an answer").first.click()
        card.get_by_label("Why, and how you know").fill("The bank says that nothing came.")
        # If the last read brings an answer, that answer counts.
        for method in ("crm.item.payment.list", "sale.payment.get"):
            stage.sandbox.faults.add(Fault("drop", method=method, times=None))
        card.get_by_role("button", name="Close without an answer").click()
        said = app.get_by_role("status").filter(has_text="Payment 990/1 is settled")
        expect(said).to_be_visible()
        stage.sandbox.faults.clear()
        expect(said).to_be_focused()
        expect(badge).to_be_empty()
        row = app.locator("tr[data-attempt]").filter(has_text="990/1")
        expect(row.locator(".outcome .pill")).to_have_text(["Closed by hand"])
