"""Several at once, in the browser: ticked, checked, paid, paused, stopped, resumed."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import FrameLocator, Locator, expect

from sandbox.api.faults import BEFORE, Fault
from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit, row_of


@pytest.fixture
def fresh(stage: Stage) -> list[int]:
    """Returns payments that no other test uses, newest first, as the list shows them."""
    with stage.sandbox.world.lock:
        return seed.fill(stage.alpha, 4)[::-1]


@pytest.fixture
def visit(manager: Visit) -> Iterator[Visit]:
    """Stops an unfinished run at the end, because a person has one run at a time."""
    yield manager
    app = manager.main_page()
    _screen(app)
    stop = app.get_by_role("button", name="Stop", exact=True)
    if stop.count():
        stop.click()
        app.get_by_role("button", name="Stop for good").click()
        expect(app.get_by_role("heading", name="Stopped")).to_be_visible()


def _screen(app: FrameLocator) -> None:
    app.get_by_role("link", name="Several at once").click()
    expect(app.get_by_role("heading", name="Several at once")).to_be_visible()


def _ticked(visit: Visit, payment_ids: list[int]) -> FrameLocator:
    app = visit.main_page()
    for payment_id in payment_ids:
        row_of(app, payment_id).get_by_role("checkbox").check()
    return app


def _dry_run(visit: Visit, payment_ids: list[int]) -> FrameLocator:
    app = _ticked(visit, payment_ids)
    app.get_by_role("button", name="Review selected").click()
    expect(app.get_by_role("heading", name="Nothing is done yet")).to_be_visible()
    return app


def _begin(app: FrameLocator) -> Locator:
    app.locator("#run-start").click()
    progress = app.locator("#progress")
    expect(progress).to_have_attribute("data-run", "running")
    return progress


def test_ticked_payments_are_looked_over_and_paid(
    visit: Visit, stage: Stage, fresh: list[int]
) -> None:
    app = _ticked(visit, fresh[:2])
    expect(app.get_by_role("button", name="Review selected")).to_contain_text("(2)")
    row_of(app, fresh[1]).get_by_role("checkbox").uncheck()
    expect(app.get_by_role("button", name="Review selected")).to_contain_text("(1)")
    row_of(app, fresh[1]).get_by_role("checkbox").check()
    app.get_by_role("button", name="Review selected").click()
    expect(app.get_by_role("button", name="Pay 2 payments: 2")).to_be_visible()
    expect(app.get_by_role("link", name="Several at once")).to_have_attribute(
        "aria-current", "page"
    )
    assert not any(stage.alpha.payments[number].paid for number in fresh)

    progress = _begin(app)

    expect(progress).to_contain_text("2 of 2 paid")
    expect(app.get_by_role("heading", name="Finished")).to_be_visible()
    for payment_id in fresh[:2]:
        expect(row_of(app, payment_id).get_by_text("Paid", exact=True)).to_be_visible()
        assert stage.alpha.payments[payment_id].times_paid == 1
    assert not any(stage.alpha.payments[number].paid for number in fresh[2:])
    expect(app.get_by_role("status").first).to_contain_text("Finished: 2 of 2 paid")


def _cash(stage: Stage, payment_id: int) -> None:
    with stage.sandbox.world.lock:
        stage.alpha.payments[payment_id].pay_system_id = seed.CASH


def test_marking_is_confirmed_by_a_box_of_its_own(
    visit: Visit, stage: Stage, fresh: list[int]
) -> None:
    payable, cash = fresh[:2], fresh[2]
    _cash(stage, cash)
    app = _dry_run(visit, fresh[:3])
    start = app.locator("#run-start")
    expect(start).to_have_text(
        re.compile(r"^\s*Pay 2 payments: [\d.]+\xa0EUR\s*$"), use_inner_text=True
    )
    marking = app.get_by_role("checkbox", name="Mark 1 payment as paid:")
    expect(marking).not_to_be_checked()

    marking.check()
    expect(start).to_contain_text("Pay 2 payments:", use_inner_text=True)
    expect(start).to_contain_text("Mark 1 payment as paid:", use_inner_text=True)
    app.get_by_role("checkbox", name="Pay 2 payments:").uncheck()
    expect(start).not_to_contain_text("Pay 2", use_inner_text=True)
    marking.uncheck()
    expect(start).to_have_text("Tick what is to be done", use_inner_text=True)
    visit.expected.add(400)
    start.click()
    expect(app.get_by_role("alert").first).to_contain_text("Neither paying nor marking")
    marking.check()
    progress = _begin(app)

    expect(progress).to_contain_text("1 of 1 marked as paid, 2 left out")
    expect(app.get_by_role("heading", name="Finished")).to_be_visible()
    expect(row_of(app, cash).get_by_text("Marked as paid", exact=True)).to_be_visible()
    assert stage.alpha.payments[cash].times_paid == 1
    assert not any(stage.alpha.payments[number].paid for number in payable)


# The frame is 284 pixels narrower: the menu of the portal is beside it.
@pytest.mark.parametrize("width", [1280, 1680])
def test_nothing_jumps_while_a_run_goes(
    visit: Visit, stage: Stage, fresh: list[int], width: int
) -> None:
    """The left edges of the states and the edges of all columns stay, whatever the words."""
    _cash(stage, fresh[1])
    visit.page.set_viewport_size({"width": width, "height": 900})
    app = _dry_run(visit, fresh[:3])
    app.get_by_role("checkbox", name="Mark 1 payment as paid:").check()
    with stage.sandbox.world.lock:
        stage.alpha.payments[fresh[0]].sum += 1  # refused, with a sentence below its state
    progress = _begin(app)
    seen = [_edges(app)]
    for done in ("1 refused", "1 of 2 paid", "1 of 1 marked as paid"):
        expect(progress).to_contain_text(done)
        seen.append(_edges(app))
    for pills, columns in seen:
        assert len(set(pills)) == 1
        assert (pills, columns) == seen[0]


def _edges(app: FrameLocator) -> tuple[list[float], list[float]]:
    """The left edge of each state and of each column's heading, in pixels."""
    edge = "els => els.map((el) => Math.round(el.getBoundingClientRect().left))"
    return (
        app.locator(".run-rows .pill").evaluate_all(edge),
        app.locator(".run-rows thead th").evaluate_all(edge),
    )


def test_an_unfinished_run_is_shown_on_and_opened_from_other_screens(
    visit: Visit, fresh: list[int]
) -> None:
    app = _dry_run(visit, fresh)
    progress = _begin(app)
    expect(progress).to_contain_text("1 of 4 paid")
    for name in ("Unpaid payments", "History"):
        app.get_by_role("link", name=name).click()
        expect(app.get_by_role("heading", name=name, level=1)).to_be_visible()
        told = app.locator(".unfinished-run")
        expect(told).to_contain_text(re.compile(r"Several at once: [12] of 4 done, not finished\."))
        told.get_by_role("button", name="Open").click()
        expect(app.get_by_role("heading", name="Unfinished")).to_be_visible()


@pytest.mark.parametrize(
    ("button", "said"), [("Stop", "Stop for good?"), ("Pause", "You paused it.")]
)
def test_a_run_is_halted_while_a_payment_is_under_way(
    visit: Visit, stage: Stage, fresh: list[int], button: str, said: str
) -> None:
    app = _dry_run(visit, fresh[:2])
    sent = threading.Event()
    held = stage.sandbox.faults.add(
        Fault("hold", method="sale.paysystem.pay.payment", when=BEFORE, on_hit=sent)
    )
    progress = _begin(app)
    assert sent.wait(15)
    app.get_by_role("button", name=button, exact=True).click()
    expect(progress).to_contain_text(said)
    expect(progress).to_contain_text("One payment is still under way.")
    held.release.set()
    expect(row_of(app, fresh[0]).get_by_text("Paid", exact=True)).to_be_visible()
    expect(progress).to_contain_text(said)
    assert not stage.alpha.payments[fresh[1]].paid


def test_more_than_the_bound_cannot_be_sent(visit: Visit, fresh: list[int]) -> None:
    app = visit.main_page()
    app.locator("[data-most]").evaluate("el => { el.dataset.most = 2; }")
    review = app.get_by_role("button", name="Review selected")
    for payment_id in fresh[:3]:
        row_of(app, payment_id).get_by_role("checkbox").check()
    expect(review).to_be_disabled()
    expect(app.locator("#bulk")).to_contain_text("Tick fewer of them.")

    row_of(app, fresh[0]).get_by_role("checkbox").uncheck()
    expect(review).to_be_enabled()
    expect(app.locator("#bulk")).not_to_contain_text("Tick fewer of them.")


def test_paused_resumed_and_stopped(visit: Visit, stage: Stage, fresh: list[int]) -> None:
    app = _dry_run(visit, fresh)
    progress = _begin(app)
    expect(progress).to_contain_text("1 of 4 paid")
    app.get_by_role("button", name="Pause").click()
    expect(progress).to_contain_text("You paused it.")
    app.get_by_role("button", name="Resume").click()
    expect(progress).to_contain_text("2 of 4 paid")
    app.get_by_role("button", name="Stop", exact=True).click()
    expect(progress).to_contain_text("Stop for good?")
    app.get_by_role("button", name="Stop for good").click()
    expect(app.get_by_role("heading", name="Stopped")).to_be_visible()
    paid = sum(stage.alpha.payments[number].times_paid for number in fresh)
    assert 2 <= paid < 4
    expect(app.locator(".run-results")).to_contain_text("Not paid")
    expect(app.locator(".past-runs li").first).to_contain_text(f"{paid} of 4 paid")


def test_a_run_whose_page_was_left_waits_and_is_taken_up_again(
    visit: Visit, stage: Stage, fresh: list[int]
) -> None:
    app = _dry_run(visit, fresh)
    progress = _begin(app)
    expect(progress).to_contain_text("1 of 4 paid")

    visit.page.reload()
    app = visit.app()
    _screen(app)
    progress = app.locator("#progress")
    expect(progress).to_contain_text("Unfinished")
    left = sum(stage.alpha.payments[number].times_paid for number in fresh)
    assert left < 4
    app.get_by_role("button", name="Resume").click()

    expect(app.get_by_role("heading", name="Finished")).to_be_visible(timeout=30_000)
    expect(progress).to_contain_text("4 of 4 paid")
    assert [stage.alpha.payments[number].times_paid for number in fresh] == [1, 1, 1, 1]


def test_a_step_without_an_answer_waits_and_goes_on_when_asked(
    visit: Visit, stage: Stage, fresh: list[int]
) -> None:
    visit.expected.add(502)
    app = _dry_run(visit, fresh[:2])
    broken = "**/step/"
    visit.page.route(broken, lambda route: route.fulfill(status=502, body="Bad gateway"))
    _begin(app)
    expect(app.get_by_role("alert").first).to_contain_text("No answer came back.")
    assert not any(stage.alpha.payments[number].paid for number in fresh)
    visit.page.unroute(broken)

    app.get_by_role("button", name="Go on").click()

    expect(app.get_by_role("heading", name="Finished")).to_be_visible()
    assert [stage.alpha.payments[number].times_paid for number in fresh[:2]] == [1, 1]


def test_focus_stays_where_it_is_from_step_to_step(visit: Visit, fresh: list[int]) -> None:
    app = _dry_run(visit, fresh[:3])
    progress = _begin(app)
    expect(app.get_by_role("button", name="Go on")).to_be_hidden()
    pause = app.get_by_role("button", name="Pause")
    pause.focus()
    expect(progress).to_contain_text("1 of 3 paid")
    expect(pause).to_be_focused()
    expect(progress).to_contain_text("2 of 3 paid")
    expect(pause).to_be_focused()


def test_select_all_shown_and_all_that_the_search_finds(visit: Visit, stage: Stage) -> None:
    app = visit.main_page()
    app.get_by_role("searchbox").fill("186")
    expect(app.locator("tr[data-payment]")).to_have_count(3)
    app.get_by_role("checkbox", name="Select all shown").check()
    expect(app.get_by_role("button", name="Review selected")).to_contain_text("(3)")
    expect(app.locator("#rows").get_by_role("checkbox").first).to_be_checked()

    app.get_by_role("button", name="Review all that the search finds").click()

    expect(app.get_by_role("button", name="Pay 3 payments: 690.00\xa0USD")).to_be_visible()
    app.get_by_role("button", name="Back to the list").click()
    expect(app.get_by_role("heading", name="Unpaid payments")).to_be_visible()
    assert not any(stage.alpha.payments[number].paid for number in seed.PLAIN_PAYMENTS[6:9])


def test_a_row_paid_by_itself_is_not_ticked_any_more(visit: Visit, fresh: list[int]) -> None:
    app = _ticked(visit, fresh[:2])
    row = row_of(app, fresh[0])
    row.get_by_role("button", name="Pay").click()
    app.get_by_role("dialog").get_by_role("button", name="Pay").click()
    expect(row.get_by_text("Paid", exact=True)).to_be_visible()

    expect(row.get_by_role("checkbox")).to_be_disabled()
    expect(app.get_by_role("button", name="Review selected")).to_contain_text("(1)")


def test_without_the_right_to_pay_there_are_no_boxes(reader: Visit) -> None:
    app = reader.main_page()
    expect(app.locator("tr[data-payment]").first).to_be_visible()
    expect(app.get_by_role("checkbox")).to_have_count(0)
