"""Several at once, in the browser: ticked, looked over, paid, paused, stopped, taken up again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import FrameLocator, Locator, expect

from sandbox import seed
from sandbox.demo import Stage
from tests.browser.visit import Visit, row_of


@pytest.fixture
def fresh(stage: Stage) -> list[int]:
    """Payments that no other test touches, newest first, as the list shows them."""
    with stage.sandbox.world.lock:
        return seed.fill(stage.alpha, 4)[::-1]


@pytest.fixture
def visit(manager: Visit) -> Iterator[Visit]:
    """Whatever a test leaves unfinished is stopped, for a person has one run at a time."""
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
    app.get_by_role("button", name="Pay selected").click()
    expect(app.get_by_role("heading", name="will be paid")).to_be_visible()
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
    expect(app.get_by_role("button", name="Pay selected")).to_contain_text("(2)")
    row_of(app, fresh[1]).get_by_role("checkbox").uncheck()
    expect(app.get_by_role("button", name="Pay selected")).to_contain_text("(1)")
    row_of(app, fresh[1]).get_by_role("checkbox").check()
    app.get_by_role("button", name="Pay selected").click()
    expect(app.get_by_role("heading", name="2 payments will be paid")).to_be_visible()
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


def test_a_step_without_an_answer_stands_still_and_goes_on_when_told(
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
    expect(app.get_by_role("button", name="Pay selected")).to_contain_text("(3)")
    expect(app.locator("#rows").get_by_role("checkbox").first).to_be_checked()

    app.get_by_role("button", name="Pay all that the search finds").click()

    expect(app.get_by_role("heading", name="3 payments will be paid")).to_be_visible()
    expect(app.locator("#progress")).to_contain_text("690.00\xa0USD")
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
    expect(app.get_by_role("button", name="Pay selected")).to_contain_text("(1)")


def test_nobody_without_the_right_to_pay_has_boxes(reader: Visit) -> None:
    app = reader.main_page()
    expect(app.locator("tr[data-payment]").first).to_be_visible()
    expect(app.get_by_role("checkbox")).to_have_count(0)
