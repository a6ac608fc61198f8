"""The history: whose attempts, which of them, page by page, and for printing."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from b24app import models
from payments import reasons
from payments.models import Attempt, Kind, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role
from tests import clocks
from tests.payments import attempts, stage
from tests.payments.frames import Frame, rows_in, text_of, words

pytestmark = pytest.mark.django_db

SCREEN, FOUND, MORE = "/payments/history/", "/payments/history/found/", "/payments/history/more/"
PRINT, EXPORT = "/payments/history/print/", "/payments/history/export/"
WAITING = "/payments/history/waiting/"
CHECK, CLOSE = f"{WAITING}check/", f"{WAITING}close/"


def shown(html: str) -> list[int]:
    return rows_in(html, "attempt")


def read(frame: Frame, path: str, status: int = 200, **fields: Any) -> str:
    """Opens a list, or sends a form of the history."""
    is_list = path in (SCREEN, FOUND, MORE)
    return (frame.look if is_list else frame.send)(path, status, **fields)


# ---- whose


def test_a_manager_sees_their_own_and_the_administrator_all(
    portal: models.Portal, frame: Frame, admin_frame: Frame
) -> None:
    own = attempts.keep(portal)
    others = attempts.keep(portal, user_id=seed.READER)
    assert shown(frame.look(SCREEN)) == [own.pk]
    assert shown(admin_frame.look(SCREEN)) == [others.pk, own.pk]


@pytest.mark.parametrize("path", [FOUND, MORE, PRINT])
def test_no_field_shows_attempts_of_others(portal: models.Portal, frame: Frame, path: str) -> None:
    attempts.keep(portal, user_id=seed.READER, account_number="777/1")
    own = attempts.keep(portal)
    asked: dict[str, Any] = {"person": seed.READER, "is_admin": "true", "user_id": seed.READER}
    html = read(frame, path, **asked, **({"before": own.pk} if path == MORE else {}))
    assert shown(html) == []
    assert "777/1" not in html
    assert "Rita" not in html


def test_nothing_of_another_portal_is_shown(
    client: Client, sandbox: Sandbox, beta: Portal, admin_frame: Frame
) -> None:
    elsewhere = stage.install(sandbox, beta)
    there = attempts.keep(elsewhere, account_number="888/1")
    waits = attempts.handed_over(elsewhere, payment_id=2, account_number="888/2")
    assert shown(admin_frame.look(SCREEN)) == []
    assert "888" not in admin_frame.look(SCREEN) + admin_frame.send(PRINT)
    assert admin_frame.look(WAITING) == ""
    admin_frame.look(MORE, 404, before=there.pk)
    admin_frame.send(CHECK, 404, attempt=waits.pk)
    admin_frame.send(CLOSE, 404, attempt=waits.pk, note="not mine")
    waits.refresh_from_db()
    assert waits.state == State.UNKNOWN
    assert shown(Frame(client, sandbox, beta, seed.ADMIN).look(SCREEN)) == [waits.pk, there.pk]


@pytest.mark.usefixtures("no_pauses")
def test_the_portal_is_asked_each_time_who_is_administrator(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal, admin_frame: Frame
) -> None:
    attempts.keep(portal, user_id=seed.READER, account_number="999/1")
    assert len(shown(admin_frame.look(SCREEN))) == 1
    alpha.users[seed.ADMIN].role = Role.MANAGER
    for path in (SCREEN, FOUND):
        assert shown(admin_frame.look(path)) == []
    sandbox.faults.add(Fault("status500", method="profile"))
    assert "999/1" not in admin_frame.look(SCREEN, 504)


def test_without_a_session_there_is_no_history(client: Client, portal: models.Portal) -> None:
    attempts.keep(portal)
    for path in (SCREEN, FOUND, MORE, WAITING):
        assert client.get(path).status_code == 401
    for path in (PRINT, CHECK, CLOSE, EXPORT):
        assert client.post(path).status_code == 401


def test_a_manager_costs_one_request_and_other_names_are_not_read(
    sandbox: Sandbox, portal: models.Portal, frame: Frame
) -> None:
    attempts.keep(portal)
    attempts.keep(portal, user_id=seed.READER)
    since = len(sandbox.log)
    assert "Max Manager" in frame.look(SCREEN)
    (one,) = sandbox.log[since:]
    assert set(one.methods) == {"profile", "user.get"}
    frame.look(SCREEN)
    assert sum("user.get" in call.methods for call in sandbox.log[since:]) == 1


# ---- evidence


def test_a_line_says_who_what_how_much_through_what_and_how_it_ended(
    portal: models.Portal, admin_frame: Frame
) -> None:
    attempts.keep(portal, reason=reasons.PAID_BY_OTHER)
    html = admin_frame.look(SCREEN)
    said = words(html)
    for one in (
        "163/1",
        f"Deal {seed.DEAL}",
        "Max Manager",
        "12 500.00 EUR",
        "Acme Pay",
        "Paid",
        "It is paid, but another person paid it at the same time.",
        "Bitrix24 answered that it was done.",
        "Nov. 20, 2026, 15:00:01 UTC+3",
        "Max Manager (number 3)",
        "Nov. 20, 2026, 15:00:02 UTC+3",
    ):
        assert one in said
    assert f'data-open-path="/crm/deal/details/{seed.DEAL}/"' in html
    assert "{" not in said


def test_evidence_of_each_kind_has_a_message(portal: models.Portal, admin_frame: Frame) -> None:
    attempts.keep(
        portal,
        user_id=4711,
        pay_system_name="",
        state=State.REFUSED,
        reason=reasons.REFUSED_BY_BITRIX24,
        evidence={
            "answer": "refused",
            "error": {"code": "ERROR_X", "description": "<b>No</b>", "status": 400},
            "clock": 42,
            "before": {"object": None, "order": "2026-11-01T10:00:00+03:00"},
            "readIn": "object",
            "other": {"skew": 42, "trusted": False},
            "empPaidId": "nonsense",
            "datePaid": "yesterday",
        },
    )
    html = admin_frame.look(SCREEN)
    for one in (
        "Bitrix24 refused: ERROR_X. &lt;b&gt;No&lt;/b&gt;",
        "42 seconds",
        "Nov. 1, 2026, 10:00",
        "skew: 42, trusted: no",
        f"Payment system {seed.ACME_PAY}",
        "User 4711",
    ):
        assert one in html
    for code in ("readIn", ">before<", ">clock<", "yesterday"):
        assert code not in html


def test_a_mark_and_its_undoing_say_so(portal: models.Portal, admin_frame: Frame) -> None:
    mark = attempts.keep(portal, kind=Kind.MARK)
    note = "Paid the wrong bill"
    undo = attempts.keep(portal, kind=Kind.UNDO, state=State.UNDONE, undoes=mark, note=note)
    said = words(admin_frame.look(SCREEN))
    for one in (
        "Mark as paid, no money moved",
        "Marked as paid",
        f"It was undone later, by attempt {undo.pk}.",
        f"attempt {mark.pk}",
        note,
    ):
        assert one in said


# ---- which of them


@pytest.fixture
def several(portal: models.Portal) -> dict[str, Attempt]:
    """Attempts of six days, of different people, systems and outcomes."""
    first = datetime(2026, 11, 1, 0, 0, tzinfo=clocks.EAST)

    def kept(day: int, **values: Any) -> Attempt:
        at = values.pop("created_at", first + timedelta(days=day))
        return attempts.keep(portal, created_at=at, **values)

    late = first + timedelta(days=1, seconds=-1)
    return {
        "first": kept(0, account_number="100/1"),
        "late": kept(0, account_number="100/2", created_at=late),
        "next": kept(1, account_number="1001/1", state=State.REFUSED),
        "card": kept(
            2,
            account_number="A-7",
            pay_system_id=seed.DEMO_CARD_PAY,
            pay_system_name="Demo Card Pay",
            user_id=seed.READER,
        ),
        "open": kept(3, payment_id=2, state=State.UNKNOWN),
        "waits": attempts.handed_over(portal, created_at=first + timedelta(days=4), payment_id=3),
        "paying": kept(5, payment_id=4, state=State.PAYING),
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"from": "2026-11-02"}, "next card open waits paying"),
        ({"to": "2026-11-01"}, "first late"),
        ({"from": "2026-11-01", "to": "2026-11-01"}, "first late"),
        ({"from": "2026-11-02", "to": "2026-11-03"}, "next card"),
        ({"person": seed.READER}, "card"),
        ({"system": seed.DEMO_CARD_PAY}, "card"),
        ({"outcome": "paid"}, "first late card"),
        ({"outcome": "refused"}, "next"),
        ({"outcome": "unknown"}, "open waits"),
        ({"outcome": "waiting"}, "waits"),
        ({"outcome": "paying"}, "paying"),
        ({"outcome": "closed"}, ""),
        ({"q": "100"}, "first late"),
        ({"q": " 100/2 "}, "late"),
        ({"q": "1001"}, "next"),
        ({"q": "A-7"}, "card"),
        ({"q": "10"}, ""),
        ({"q": "163", "outcome": "waiting", "person": seed.MANAGER}, "waits"),
    ],
)
def test_the_filter(
    several: dict[str, Attempt], admin_frame: Frame, fields: dict[str, Any], expected: str
) -> None:
    names = {attempt.pk: name for name, attempt in several.items()}
    found = shown(admin_frame.look(FOUND, **fields))
    assert {names[pk] for pk in found} == set(expected.split())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"from": "24.11.2026"}, "A day is written as"),
        ({"from": "2026-02-30"}, "A day is written as"),
        ({"to": "0001-01-01"}, "A day is written as"),
        ({"to": "9999-12-31"}, "A day is written as"),
        ({"to": "2026-W01-1"}, "A day is written as"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "later than the last one"),
        ({"outcome": "lost"}, "Choose from the lists"),
        ({"person": "everybody"}, "Choose from the lists"),
        ({"person": "-1"}, "Choose from the lists"),
        ({"system": "1 OR 1=1"}, "Choose from the lists"),
        ({"q": "1\n2"}, "An order or payment number has at most"),
    ],
)
@pytest.mark.parametrize("path", [FOUND, MORE, PRINT, EXPORT])
def test_nonsense_gets_a_message_and_no_portal_is_asked(
    sandbox: Sandbox, admin_frame: Frame, path: str, fields: dict[str, Any], sentence: str
) -> None:
    with stage.no_request(sandbox):
        assert sentence in read(admin_frame, path, 400, **fields)
        admin_frame.look(MORE, 400, before="x")


@pytest.mark.usefixtures("several")
def test_the_lists_offer_people_and_systems_found(frame: Frame, admin_frame: Frame) -> None:
    html = admin_frame.look(SCREEN)
    assert f'<option value="{seed.READER}">Rita Reader</option>' in html
    assert f'<option value="{seed.ADMIN}">' not in html
    assert '<option value="12">Demo Card Pay</option>' in html
    html = frame.look(SCREEN)
    assert 'name="person"' not in html
    assert '<option value="11">Acme Pay</option>' in html
    assert "Demo Card Pay" not in html


def test_no_page_repeats_or_skips_an_attempt(portal: models.Portal, admin_frame: Frame) -> None:
    # Many at the same moment, so that the time alone does not say where a page ends.
    kept = Attempt.objects.bulk_create(
        attempts.made(portal, created_at=attempts.NOON - timedelta(minutes=number // 40))
        for number in range(120)
    )
    html = admin_frame.look(FOUND, outcome="paid")
    found = shown(html)
    for _page in range(2):
        attempts.keep(portal, created_at=attempts.NOON + timedelta(hours=1))
        before = re.search(r'name="before" value="(\d+)"', html)
        assert before
        assert '<input type="hidden" name="outcome" value="paid">' in html
        html = admin_frame.look(MORE, outcome="paid", before=before[1])
        found += shown(html)
    newest_first = sorted(kept, key=lambda one: (one.created_at, one.pk), reverse=True)
    assert found == [one.pk for one in newest_first]
    assert "Show more" not in html


def test_more_rows_cost_no_more_statements(portal: models.Portal, admin_frame: Frame) -> None:
    costs = []
    attempts.keep(portal)
    admin_frame.look(SCREEN)
    for more in (0, 49):
        Attempt.objects.bulk_create(attempts.made(portal) for _ in range(more))
        with CaptureQueriesContext(connection) as queries:
            admin_frame.look(SCREEN)
        costs.append(len(queries))
    assert costs[0] == costs[1]


# ---- for printing


def test_paper_has_nothing_to_press(several: dict[str, Attempt], admin_frame: Frame) -> None:
    asked: dict[str, Any] = {"from": "2026-11-03", "person": seed.READER}
    html = admin_frame.send(PRINT, **asked)
    assert shown(html) == [several["card"].pk]
    for said in ("Rita Reader", "Printed by Ada Admin", "From Nov. 3, 2026.", "Everybody"):
        assert said in words(html)
    for control in ("<button", "<form", "<select", "<a ", "hx-", "data-session"):
        assert control not in html


def test_paper_is_opened_by_a_form_with_the_session_and_cut_with_a_sentence(
    client: Client, portal: models.Portal, frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payments.history.views.PRINTED_ROWS", 2)
    fields = {"frame_session": frame.session}
    assert client.get(PRINT, fields).status_code == 405
    for count in (2, 3):
        while Attempt.objects.count() < count:
            attempts.keep(portal)
        html = text_of(client.post(PRINT, fields))
        assert len(shown(html)) == 2
        assert ("Only the newest 2 attempts are printed." in html) is (count == 3)
