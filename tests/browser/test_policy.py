"""Rules and approvals in several browsers: a limit, a request and an answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import FrameLocator, expect

from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit, press_pay, row_of

SETTLED = "() => !document.querySelector('.htmx-request, .htmx-settling')"


@pytest.fixture
def no_rules(admin: Visit) -> Iterator[None]:
    """Removes the rules at the end, because the stage is shared."""
    yield
    rules = opened(admin, "Rules")
    for name in ("limit_currency", "limit_sum"):
        for field in rules.locator(f"[name={name}]").all():
            field.fill("")
    rules.get_by_role("radio", name="All of this portal").check()
    rules.get_by_label("Hours in which").fill("24")
    rules.get_by_role("button", name="Save").click()
    expect(rules.get_by_text("Saved.")).to_be_visible()


def opened(visit: Visit, name: str) -> FrameLocator:
    visit.page.goto(f"{visit.portal.url}/crm/deal/")
    app = visit.main_page()
    app.get_by_role("link", name=name).click()
    expect(app.get_by_role("heading", name=name, level=1)).to_be_visible()
    # The form is sent by script, once the screen has come whole.
    visit.frame().wait_for_function(SETTLED)
    return app


def set_limit(app: FrameLocator, currency: str, amount: str) -> None:
    app.locator("[name=limit_currency]").last.fill(currency)
    app.locator("[name=limit_sum]").last.fill(amount)
    app.get_by_role("button", name="Save").click()
    expect(app.get_by_text("Saved.")).to_be_visible()


def test_one_sets_a_limit_one_asks_and_one_agrees(
    admin: Visit, manager: Visit, stage: Stage, no_rules: None
) -> None:
    set_limit(opened(admin, "Rules"), "USD", "1")

    row = row_of(manager.deal(seed.USD_DEAL), seed.USD_PAYMENT)
    expect(row.get_by_role("button", name="Pay")).to_have_count(0)
    row.get_by_role("button", name="Ask for approval").click()
    question = manager.app().get_by_role("dialog")
    expect(question).to_contain_text("Neither your request nor the approval pays it")
    question.get_by_role("button", name="Ask for approval").click()
    expect(row).to_contain_text("It has not been decided yet")

    app = admin.main_page()
    badge = app.get_by_role("link", name="Approvals").locator(".badge")
    expect(badge).to_have_text("1")
    app.get_by_role("link", name="Approvals").click()
    app.get_by_role("button", name="Approve").click()
    question = app.get_by_role("dialog")
    expect(question).to_contain_text("Your approval itself pays nothing")
    question.get_by_role("button", name="Approve").click()
    expect(app.get_by_role("dialog")).to_have_count(0)
    expect(app.get_by_text("can pay it now")).to_be_visible()
    expect(badge).to_have_text("")
    assert not stage.alpha.payments[seed.USD_PAYMENT].paid

    app = manager.deal(seed.USD_DEAL)
    expect(row_of(app, seed.USD_PAYMENT)).to_contain_text("Approved by")
    press_pay(app, seed.USD_PAYMENT).get_by_role("button", name="Pay").click()
    expect(row_of(app, seed.USD_PAYMENT).get_by_text("Paid", exact=True)).to_be_visible()
    payment = stage.alpha.payments[seed.USD_PAYMENT]
    assert (payment.emp_paid_id, payment.times_paid) == (seed.MANAGER, 1)


def test_a_request_is_declined_with_a_reason_or_withdrawn(
    admin: Visit, manager: Visit, stage: Stage, no_rules: None
) -> None:
    set_limit(opened(admin, "Rules"), "JPY", "1")
    ask(manager, seed.JPY_DEAL, seed.JPY_PAYMENT)
    app = opened(admin, "Approvals")
    app.get_by_role("button", name="Decline").click()
    question = app.get_by_role("dialog")
    question.get_by_label("Why").fill("Ask for a discount first")
    question.get_by_role("button", name="Decline").click()
    expect(app.get_by_text("Declined", exact=True)).to_be_visible()

    app = opened(manager, "Approvals")
    expect(app.get_by_text("Ask for a discount first")).to_be_visible()
    ask(manager, seed.JPY_DEAL, seed.JPY_PAYMENT)
    withdraw(manager, stage.alpha.payments[seed.JPY_PAYMENT].account_number)
    assert not stage.alpha.payments[seed.JPY_PAYMENT].paid


def ask(visit: Visit, deal_id: int, payment_id: int) -> None:
    row = row_of(visit.deal(deal_id), payment_id)
    row.get_by_role("button", name="Ask for approval").click()
    visit.app().get_by_role("dialog").get_by_role("button", name="Ask for approval").click()
    expect(row).to_contain_text("It has not been decided yet")


def withdraw(visit: Visit, number: str) -> None:
    app = opened(visit, "Approvals")
    app.get_by_role("button", name="Withdraw").click()
    app.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    request = app.locator("tr[data-approval]").filter(has_text=number)
    expect(request.get_by_text("Withdrawn", exact=True)).to_be_visible()


def test_what_came_of_saving_is_what_the_person_is_led_to(admin: Visit, no_rules: None) -> None:
    app = opened(admin, "Rules")
    # The message is at the end of a screen that is higher than the window.
    app.get_by_role("button", name="Save").click()
    said = app.get_by_role("status").filter(has_text="Saved.")
    expect(said).to_be_focused()
    expect(said).to_be_in_viewport()
    app.get_by_label("Hours in which").fill("9999")
    app.get_by_role("button", name="Save").click()
    expect(app.get_by_label("Hours in which")).to_be_focused()


def test_a_mistake_in_the_rules_is_shown_beside_its_field(admin: Visit) -> None:
    app = opened(admin, "Rules")
    app.locator("[name=limit_currency]").last.fill("EURO"[:2])
    app.locator("[name=limit_sum]").last.fill("1,000")
    app.get_by_label("Hours in which").fill("9999")
    app.get_by_role("button", name="Save").click()
    expect(app.get_by_text("Nothing was saved")).to_be_visible()
    expect(app.get_by_text("A currency is three letters")).to_be_visible()
    expect(app.get_by_text("from 0 to 720")).to_be_visible()


def test_only_the_chosen_people_and_systems_are_asked_for(
    admin: Visit, manager: Visit, no_rules: None
) -> None:
    app = opened(admin, "Rules")
    other = app.get_by_role("checkbox", name="Other Wallet")
    expect(other).to_be_hidden()
    app.get_by_role("radio", name="Only these").check()
    app.get_by_role("checkbox", name="Acme Pay", exact=True).check()
    app.get_by_role("button", name="Save").click()
    expect(app.get_by_text("Saved.")).to_be_visible()
    choice = row_of(manager.deal(seed.PLAIN_DEALS[2]), seed.PLAIN_PAYMENTS[8]).get_by_role(
        "combobox"
    )
    expect(choice.locator("option")).to_have_text(["Acme Pay"])


def test_rules_are_not_shown_to_a_manager(manager: Visit) -> None:
    app = manager.main_page()
    expect(app.get_by_role("link", name="Approvals")).to_be_visible()
    expect(app.get_by_role("link", name="Rules")).to_have_count(0)
