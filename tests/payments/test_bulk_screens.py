"""Several at once on the screens: from the boxes to the result, and the bar on other screens."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings

from b24app.identity.session import Person
from payments.bulk import runs as running
from payments.bulk.progress import progress_of
from payments.listing.unfinished_run import unfinished_run
from payments.models import MOST_PAYMENTS, Run, RunState, Who
from sandbox.server.app import Sandbox
from sandbox.world import seed
from tests.payments import runs, stage
from tests.payments.apart import twin_of
from tests.payments.frames import Frame, FrameOf, text_of, words
from tests.payments.runs import MARKS, THREE
from tests.payments.test_cost import statements

pytestmark = pytest.mark.django_db

SCREEN, NEW = "/payments/runs/", "/payments/runs/new/"
TWO = THREE[:2]


def boxes(html: str) -> set[int]:
    found = re.findall(r'type="checkbox"\s+form="bulk"\s+name="payment"\s+value="(\d+)"', html)
    return {int(number) for number in found}


def act(frame: Frame, run: Run, action: str, status: int = 200, **fields: Any) -> str:
    return frame.send(f"{SCREEN}{run.pk}/{action}/", status, **fields)


# ---- the selection


def test_rows_that_a_run_could_do_have_a_box(frame: Frame, frame_of: FrameOf) -> None:
    page = text_of(frame.opened())

    assert boxes(page) >= {seed.PAYMENT, *THREE, seed.CASH_PAYMENT, seed.BILL_PAYMENT}
    unfit = {seed.CANCELED_PAYMENT, seed.ZERO_PAYMENT, seed.INNER_PAYMENT, seed.INACTIVE_PAYMENT}
    assert not boxes(page) & unfit
    assert "Review selected" in page
    assert not boxes(frame.tab())
    assert not boxes(text_of(frame_of(seed.READER).opened()))


def test_without_permission_there_are_no_boxes(frame: Frame, manager: Person) -> None:
    stage.set_rules(manager.portal, bulk_by=Who.ADMINISTRATORS)

    page = text_of(frame.opened())

    assert not boxes(page)
    assert "Review selected" not in page
    assert not boxes(text_of(frame.get()))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "No payment is ticked"),
        ({"payment": ["x"]}, "not complete"),
        ({"all": "yes", "q": "1\n2"}, "An order or payment number has"),
    ],
)
def test_a_selection_that_cannot_be_read_is_refused_in_words(
    sandbox: Sandbox, frame: Frame, fields: dict[str, Any], says: str
) -> None:
    with stage.no_request(sandbox):
        assert says in frame.send(NEW, 400, **fields)
    assert not Run.objects.exists()


def posted(frame: Frame, path: str, fields: dict[str, Any], **headers: str) -> Any:
    """Posts as htmx encodes a form."""
    body = urlencode(fields, doseq=True)
    form = "application/x-www-form-urlencoded"
    return frame.client.post(path, body, content_type=form, headers=headers or frame.headers())


# Beyond the app's bound, Django's bound of fields, and the app's and Django's bounds of a body.
@pytest.mark.parametrize("count", [MOST_PAYMENTS + 1, 1_001, 10_000, 100_000, 200_000])
def test_too_many_ticked_payments_are_refused(sandbox: Sandbox, frame: Frame, count: int) -> None:
    with stage.no_request(sandbox):
        answer = posted(frame, NEW, {"payment": list(range(1, count + 1))})
    assert f"At most {MOST_PAYMENTS} payments at once." in text_of(answer, 400)
    assert not Run.objects.exists()


def test_as_many_as_allowed_fit_into_the_request(frame: Frame) -> None:
    longest = 10**18 - 1
    ids = range(longest - MOST_PAYMENTS + 1, longest + 1)

    text_of(posted(frame, NEW, {"payment": list(ids), "q": "1" * 100}))

    assert Run.objects.get().missing == MOST_PAYMENTS


@pytest.mark.parametrize("path", ["/payments/pay/", "/payments/history/export/", "/payments/mark/"])
@pytest.mark.parametrize("headers", [{}, {"hx-request": "true"}])
def test_any_form_with_too_many_fields_is_refused_in_words(
    frame: Frame, path: str, headers: dict[str, str]
) -> None:
    fields = {f"field{number}": "x" for number in range(1_001)}

    answer = posted(frame, path, fields, **headers)

    assert "more fields than the app reads" in text_of(answer, 400)


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1_000)
def test_a_form_that_is_too_long_is_refused_in_words(frame: Frame) -> None:
    answer = posted(frame, "/payments/pay/", {"offer": "x" * 2_000})

    assert "This request is too large. Nothing was done." in text_of(answer, 413)


# ---- the dry run


def test_the_dry_run_names_both_counts_and_both_sums(frame: Frame) -> None:
    ids = [*TWO, seed.USD_PAYMENT, *MARKS, seed.INNER_PAYMENT]
    dry = frame.send(NEW, payment=ids)

    pay = "Pay 3 payments: 118.00\xa0EUR, 1\xa0999.99\xa0USD"
    mark = "Mark 3 payments as paid: 1\xa0354.50\xa0EUR"
    ticks = re.findall(r'<input type="checkbox" name="kind" value="(\w+)"( checked)?', dry)
    assert ticks == [("pay", " checked"), ("mark", "")]
    button = re.search(r'<button id="run-start".*?</button>', dry, re.S)
    assert button is not None
    for sentence in (pay, mark):
        assert sentence in button[0]
        assert dry.count(sentence) == 2
    assert "No money moves by marking." in dry
    headings = re.findall(r'scope="rowgroup"[^>]*>(.*?)</th>', dry, re.S)
    assert [re.sub(r"<.*?>", "", heading) for heading in headings] == [
        "To pay: 3 · 118.00\xa0EUR, 1\xa0999.99\xa0USD",
        "To mark as paid: 3 · 1\xa0354.50\xa0EUR",
        "Left out: 1 · 12.00\xa0EUR",
    ]
    row = dry.split(f'id="run-row-{seed.CASH_PAYMENT}"')[1].split("</tr>")[0]
    assert "To mark as paid" in row
    assert "Cash takes no payments from an app." in row


def test_a_dry_run_of_marks_alone_has_one_button(frame: Frame) -> None:
    dry = frame.send(NEW, payment=[seed.CASH_PAYMENT])

    assert "Mark 1 payment as paid: 310.00\xa0EUR" in dry
    assert 'type="checkbox"' not in dry
    assert '<input type="hidden" name="kind" value="mark">' in dry
    assert "To pay" not in dry


def test_too_many_for_one_run_are_told(frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payments.bulk.selection.MOST_PAYMENTS", 2)

    dry = frame.send(NEW, all="yes", q="")

    assert "at most 500 payments at once, out of the newest 1000." in dry
    assert Run.objects.get().rows.count() == 2


# ---- the run


def test_the_screens_from_the_dry_run_to_the_result(sandbox: Sandbox, frame: Frame) -> None:
    dry = frame.send(NEW, payment=[*THREE, seed.INACTIVE_PAYMENT])
    for one in (
        "Nothing is done yet",
        "Pay 3 payments: 177.00\xa0EUR",
        "Its payment system does not take payments from an app.",
        "only while this page is open",
    ):
        assert one in dry
    assert "as paid:" not in dry
    run = Run.objects.get()

    assert f"{SCREEN}{run.pk}/step/" in act(frame, run, "start", kind="pay")
    assert stage.sent_payments(sandbox) == 0
    runs.due(run)
    after = act(frame, run, "step")
    assert "1 of 3 paid" in after
    delay = re.search(r'data-next-step-in="(\d+)"', after)
    assert delay is not None
    assert 2000 < int(delay[1]) < 4000
    assert after.count("<tr id=") == 1

    asked = act(frame, run, "pause", stop="ask")
    assert "Stop for good? The 2 payments that are left stay as they are." in asked
    assert "load delay" not in asked
    assert "Running: 1 of 3 paid" in act(frame, run, "resume")
    ended = act(frame, run, "stop")
    assert "Stopped" in ended
    assert "Earlier runs" in ended
    assert stage.sent_payments(sandbox) == 1
    assert "Nothing is selected" in frame.look(SCREEN)


def test_paused_in_the_middle_of_a_payment_the_screen_says_so(
    sandbox: Sandbox, manager: Person, frame: Frame
) -> None:
    run = runs.started(manager, *THREE)
    said: list[str] = []
    stage.during(sandbox, stage.PAY, lambda: said.append(act(frame, run, "pause")))

    runs.next_step(manager, run)

    assert "One payment is still under way" in said[0]
    assert run.state == RunState.PAUSED
    assert progress_of(run).words == "1 of 3 paid"
    assert "under way" not in frame.look(SCREEN)


def test_the_last_step_shows_every_row_again(manager: Person, frame: Frame) -> None:
    run = runs.started(manager, *THREE)
    runs.next_step(manager, run)
    page = frame.look(SCREEN)
    assert "Unfinished" in page
    assert "Resume" in page
    assert "load delay" not in page
    runs.next_step(manager, run)
    runs.due(run)

    last = act(frame, run, "step")

    assert last.count("<tr id=") == 3
    assert "Finished: 3 of 3 paid" in last
    assert "load delay" not in last


@pytest.mark.parametrize("action", ["", "start/", "step/", "pause/", "resume/", "stop/"])
def test_anothers_run_is_missing(
    sandbox: Sandbox, admin: Person, frame: Frame, action: str
) -> None:
    run = runs.started(admin, *THREE)
    path = f"{SCREEN}{run.pk}/{action}"

    if action:
        frame.send(path, 404, kind="pay")
    else:
        frame.look(path, 404)

    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    assert stage.sent_payments(sandbox) == 0


# ---- the bar on other screens


def opened(frame: Frame, screen: str) -> str:
    return frame.look(f"/payments/{screen}/") if screen else text_of(frame.opened())


def told(page: str) -> str:
    """Returns the bar's text, or an empty one without a bar."""
    bar = re.search(r'<div class="message unfinished-run">(.*?)</div>', page, re.S)
    return words(bar[1]).strip() if bar else ""


SCREENS = pytest.mark.parametrize("screen", ["", "unpaid", "history"])


@SCREENS
def test_other_screens_tell_of_the_run(manager: Person, frame: Frame, screen: str) -> None:
    run = runs.started(manager, *THREE, seed.CASH_PAYMENT, seed.CANCELED_PAYMENT)
    runs.next_step(manager, run)

    page = opened(frame, screen)
    assert told(page) == "Several at once: 1 of 4 done, not finished. Open"
    assert f'hx-get="/payments/runs/{run.pk}/"' in page
    assert told(frame.tab()) == ""

    running.pause(run)
    assert told(opened(frame, screen)) == "Several at once: 1 of 4 done, paused. Open"
    running.resume(run)
    runs.worked(manager, run)
    assert told(opened(frame, screen)) == ""


@SCREENS
def test_they_tell_of_no_other(manager: Person, admin: Person, frame: Frame, screen: str) -> None:
    run = runs.started(manager, *THREE)
    twin_of(manager.portal)
    running.stop(run)
    runs.started(admin, *THREE)
    runs.drafted(manager, seed.PAYMENT)

    assert told(opened(frame, screen)) == ""


@SCREENS
def test_the_bar_costs_one_statement_and_no_request(
    sandbox: Sandbox, manager: Person, frame: Frame, screen: str
) -> None:
    opened(frame, screen)
    costs = []
    for has_run in (False, True):
        if has_run:
            runs.started(manager, *THREE)
        since = len(sandbox.log)
        with CaptureQueriesContext(connection) as queries:
            opened(frame, screen)
        of_runs = [sql for sql in statements(queries) if "payments_run" in sql]
        costs.append((len(of_runs), len(statements(queries)), len(sandbox.log) - since))
    assert costs[0] == costs[1]
    assert costs[0][0] == 1


def test_the_bars_statement_reads_by_an_index(manager: Person) -> None:
    with CaptureQueriesContext(connection) as queries:
        unfinished_run(manager)
    (sql,) = statements(queries)
    with connection.cursor() as cursor:
        explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        if connection.vendor != "sqlite":
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"{explain} {sql}")
        plan = str(cursor.fetchall())
    # PostgreSQL may take the portal's index as well while the table is small.
    indexes = ["one_active_run_a_person", "runs_of_a_person"]
    if connection.vendor != "sqlite":
        indexes.append("payments_run_portal_id")
    assert any(index in plan for index in indexes), plan
