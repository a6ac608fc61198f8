"""An unfinished run is shown on the other screens of its person, with one statement."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from b24app.identity.session import Person
from payments.bulk import runs as running
from payments.listing.unfinished_run import unfinished_run
from payments.models import Kind
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import runs, stage
from tests.payments.apart import twin_of
from tests.payments.frames import Frame, text_of
from tests.payments.test_cost import statements

pytestmark = pytest.mark.django_db

THREE = seed.PLAIN_PAYMENTS[:3]


@pytest.fixture
def frame(client: Client, sandbox: Sandbox, alpha: Portal, manager: Person) -> Frame:
    return Frame(client, sandbox, alpha, seed.MANAGER)


def _opened(frame: Frame) -> Any:
    return frame.opened()


def _unpaid(frame: Frame) -> Any:
    return frame.client.get("/payments/unpaid/", headers=frame.headers())


def _history(frame: Frame) -> Any:
    return frame.client.get("/payments/history/", headers=frame.headers())


SCREENS = pytest.mark.parametrize("screen", [_opened, _unpaid, _history])


def told(page: str) -> str:
    """Returns the bar's text, or an empty one without a bar."""
    bar = re.search(r'<div class="message unfinished-run">(.*?)</div>', page, re.S)
    return " ".join(re.sub(r"<.*?>", "", bar[1], flags=re.S).split()) if bar else ""


@SCREENS
def test_the_other_screens_tell_of_an_unfinished_run(
    manager: Person, frame: Frame, screen: Callable[[Frame], Any]
) -> None:
    run = runs.started(manager, *THREE, seed.CASH_PAYMENT, seed.CANCELED_PAYMENT)
    runs.next_step(manager, run)

    page = text_of(screen(frame))
    assert told(page) == "Several at once: 1 of 4 done, not finished. Open"
    assert f'hx-get="/payments/runs/{run.pk}/"' in page

    running.pause(run)
    assert told(text_of(screen(frame))) == "Several at once: 1 of 4 done, paused. Open"
    running.resume(run)
    runs.worked(manager, run)
    assert told(text_of(screen(frame))) == ""


@SCREENS
def test_they_tell_of_no_other_run(
    sandbox: Sandbox,
    manager: Person,
    frame: Frame,
    screen: Callable[[Frame], Any],
) -> None:
    run = runs.started(manager, *THREE)
    twin_of(manager.portal)
    running.stop(run)
    runs.started(stage.person(sandbox, manager.portal, seed.ADMIN), *THREE)
    runs.drafted(manager, seed.PAYMENT)

    assert told(text_of(screen(frame))) == ""


def test_the_tab_of_a_deal_tells_of_none(manager: Person, frame: Frame) -> None:
    runs.started(manager, *THREE)

    assert told(frame.tab()) == ""


@SCREENS
def test_what_it_costs(
    sandbox: Sandbox, manager: Person, frame: Frame, screen: Callable[[Frame], Any]
) -> None:
    """One statement, the same whether there is a run, and no request to the portal."""
    screen(frame)
    costs = []
    for begin in (lambda: None, lambda: runs.started(manager, *THREE, kinds=[Kind.PAY])):
        begin()
        since = len(sandbox.log)
        with CaptureQueriesContext(connection) as queries:
            screen(frame)
        of_runs = [sql for sql in statements(queries) if "payments_run" in sql]
        costs.append((len(of_runs), len(statements(queries)), len(sandbox.log) - since))
    assert costs[0] == costs[1]
    assert costs[0][0] == 1


def test_its_statement_reads_by_an_index(manager: Person) -> None:
    with CaptureQueriesContext(connection) as queries:
        unfinished_run(manager)
    (sql,) = statements(queries)
    with connection.cursor() as cursor:
        explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        if connection.vendor != "sqlite":
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"{explain} {sql}")
        plan = str(cursor.fetchall())
    assert "one_active_run_a_person" in plan or "runs_of_a_person" in plan
