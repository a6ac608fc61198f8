"""The history: whose attempts, which of them, page by page, their totals, and what waits."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from b24app import models
from payments import reasons
from payments.history.filters import Filter
from payments.history.query import visible_to
from payments.history.totals import LONGEST_DAYS, Totals, totals
from payments.models import Attempt, Kind, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role
from tests import clocks
from tests.payments import attempts, stage
from tests.payments.frames import Frame, text_of

pytestmark = pytest.mark.django_db

SCREEN, FOUND, MORE = "/payments/history/", "/payments/history/found/", "/payments/history/more/"
PRINT, WAITING = "/payments/history/print/", "/payments/history/waiting/"
CHECK, CLOSE = f"{WAITING}check/", f"{WAITING}close/"


class Reader(Frame):
    """A frame that opens the history."""

    def look(self, path: str = FOUND, status: int = 200, **fields: Any) -> str:
        headers = {"x-frame-session": self.session, "hx-request": "true"}
        return text_of(self.client.get(path, fields, headers=headers), status)

    def send(self, path: str, status: int = 200, **fields: Any) -> str:
        return text_of(self.post(path, **fields), status)


@pytest.fixture
def manager(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Reader:
    return Reader(client, sandbox, alpha, seed.MANAGER)


@pytest.fixture
def admin(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Reader:
    return Reader(client, sandbox, alpha, seed.ADMIN)


def shown(html: str) -> list[int]:
    return [int(pk) for pk in re.findall(r'<tr data-attempt="(\d+)">', html)]


def words(html: str) -> str:
    return re.sub(r"[ \n\xa0]+", " ", re.sub(r"<[^>]*>", " ", html.replace("&nbsp;", " ")))


def calls(sandbox: Sandbox, since: int = 0) -> list[str]:
    return [method for call in sandbox.log[since:] for method in call.methods]


# ---- whose


def test_a_manager_sees_their_own_and_the_administrator_all(
    portal: models.Portal, manager: Reader, admin: Reader
) -> None:
    own = attempts.keep(portal)
    others = attempts.keep(portal, user_id=seed.READER)
    assert shown(manager.look(SCREEN)) == [own.pk]
    assert shown(admin.look(SCREEN)) == [others.pk, own.pk]


@pytest.mark.parametrize("path", [FOUND, MORE, PRINT])
def test_no_field_shows_a_manager_what_is_not_theirs(
    portal: models.Portal, manager: Reader, path: str
) -> None:
    attempts.keep(portal, user_id=seed.READER, account_number="777/1")
    own = attempts.keep(portal)
    asked: dict[str, Any] = {"person": seed.READER, "is_admin": "true", "user_id": seed.READER}
    if path == MORE:
        asked["before"] = own.pk
    html = manager.send(path, **asked) if path == PRINT else manager.look(path, **asked)
    assert shown(html) == []
    assert "777/1" not in html
    assert "Rita" not in html


def test_nothing_of_another_portal_is_shown(
    client: Client, sandbox: Sandbox, beta: Portal, portal: models.Portal, admin: Reader
) -> None:
    elsewhere = stage.install(sandbox, beta)
    there = attempts.keep(elsewhere, account_number="888/1")
    waits = attempts.handed_over(elsewhere, payment_id=2, account_number="888/2")
    assert shown(admin.look(SCREEN)) == []
    assert "888" not in admin.look(SCREEN) + admin.send(PRINT)
    assert admin.look(WAITING) == ""
    admin.look(MORE, 404, before=there.pk)
    admin.send(CHECK, 404, attempt=waits.pk)
    admin.send(CLOSE, 404, attempt=waits.pk, note="not mine")
    waits.refresh_from_db()
    assert waits.state == State.UNKNOWN
    assert shown(Reader(client, sandbox, beta, seed.ADMIN).look(SCREEN)) == [waits.pk, there.pk]


def test_who_is_administrator_is_asked_each_time(
    alpha: Portal, portal: models.Portal, admin: Reader
) -> None:
    attempts.keep(portal, user_id=seed.READER)
    assert len(shown(admin.look(SCREEN))) == 1
    alpha.users[seed.ADMIN].role = Role.MANAGER
    assert shown(admin.look(SCREEN)) == []
    assert shown(admin.look(FOUND)) == []


def test_who_cannot_be_asked_is_shown_nothing(
    sandbox: Sandbox, portal: models.Portal, admin: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
    attempts.keep(portal, user_id=seed.ADMIN, account_number="999/1")
    sandbox.faults.add(Fault("status500", method="profile"))
    assert "999/1" not in admin.look(SCREEN, 504)


def test_without_a_session_there_is_no_history(client: Client, portal: models.Portal) -> None:
    attempts.keep(portal)
    for path in (SCREEN, FOUND, MORE, WAITING):
        assert client.get(path).status_code == 401
    for path in (PRINT, CHECK, CLOSE, "/payments/history/export/"):
        assert client.post(path).status_code == 401


def test_a_manager_costs_one_request_and_other_names_are_not_read(
    sandbox: Sandbox, portal: models.Portal, manager: Reader
) -> None:
    attempts.keep(portal)
    attempts.keep(portal, user_id=seed.READER)
    since = len(sandbox.log)
    assert "Max Manager" in manager.look(SCREEN)
    (one,) = sandbox.log[since:]
    assert set(one.methods) == {"profile", "user.get"}
    manager.look(SCREEN)
    assert calls(sandbox, since).count("user.get") == 1


# ---- evidence


def test_a_line_says_who_what_how_much_through_what_and_how_it_ended(
    portal: models.Portal, admin: Reader
) -> None:
    attempts.keep(portal, reason=reasons.PAID_BY_OTHER)
    html = admin.look(SCREEN)
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


def test_evidence_of_each_kind_has_a_message(portal: models.Portal, admin: Reader) -> None:
    attempts.keep(
        portal,
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
    html = admin.look(SCREEN)
    assert "Bitrix24 refused: ERROR_X. &lt;b&gt;No&lt;/b&gt;" in html
    assert "42 seconds" in html
    assert "Nov. 1, 2026, 10:00" in html
    assert not [code for code in ("readIn", ">before<", ">clock<") if code in html]
    assert "skew: 42, trusted: no" in html
    assert "yesterday" not in html


def test_a_mark_an_undoing_and_what_was_undone_say_so(portal: models.Portal, admin: Reader) -> None:
    mark = attempts.keep(portal, kind=Kind.MARK)
    undo = attempts.keep(
        portal, kind=Kind.UNDO, state=State.UNDONE, undoes=mark, note="Paid the wrong bill"
    )
    said = words(admin.look(SCREEN))
    assert "Mark as paid, no money moved" in said
    assert "Marked as paid" in said
    assert f"It was undone later, by attempt {undo.pk}." in said
    assert f"attempt {mark.pk}" in said
    assert "Paid the wrong bill" in said


def test_what_is_shown_of_a_portal_that_came_back_has_numbers_for_names(
    portal: models.Portal, admin: Reader
) -> None:
    attempts.keep(portal, pay_system_name="", user_id=4711)
    said = words(admin.look(SCREEN))
    assert f"Payment system {seed.ACME_PAY}" in said
    assert "User 4711" in said


# ---- filters


@pytest.fixture
def several(portal: models.Portal) -> dict[str, Attempt]:
    day = datetime(2026, 11, 1, tzinfo=clocks.EAST)
    return {
        "first": attempts.keep(portal, created_at=day, account_number="100/1"),
        "late": attempts.keep(
            portal, created_at=day + timedelta(hours=24, seconds=-1), account_number="100/2"
        ),
        "next": attempts.keep(
            portal, created_at=day + timedelta(days=1), state=State.REFUSED, account_number="1001/1"
        ),
        "card": attempts.keep(
            portal,
            created_at=day + timedelta(days=2),
            pay_system_id=seed.DEMO_CARD_PAY,
            pay_system_name="Demo Card Pay",
            user_id=seed.READER,
            account_number="A-7",
        ),
        "open": attempts.keep(
            portal, created_at=day + timedelta(days=3), payment_id=2, state=State.UNKNOWN
        ),
        "waits": attempts.handed_over(portal, created_at=day + timedelta(days=4), payment_id=3),
        "paying": attempts.keep(
            portal, created_at=day + timedelta(days=5), payment_id=4, state=State.PAYING
        ),
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"from": "2026-11-02"}, {"next", "card", "open", "waits", "paying"}),
        ({"to": "2026-11-01"}, {"first", "late"}),
        ({"from": "2026-11-01", "to": "2026-11-01"}, {"first", "late"}),
        ({"from": "2026-11-02", "to": "2026-11-03"}, {"next", "card"}),
        ({"person": seed.READER}, {"card"}),
        ({"system": seed.DEMO_CARD_PAY}, {"card"}),
        ({"outcome": "paid"}, {"first", "late", "card"}),
        ({"outcome": "refused"}, {"next"}),
        ({"outcome": "unknown"}, {"open", "waits"}),
        ({"outcome": "waiting"}, {"waits"}),
        ({"outcome": "paying"}, {"paying"}),
        ({"outcome": "closed"}, set()),
        ({"q": "100"}, {"first", "late"}),
        ({"q": " 100/2 "}, {"late"}),
        ({"q": "1001"}, {"next"}),
        ({"q": "A-7"}, {"card"}),
        ({"q": "10"}, set()),
        ({"q": "163", "outcome": "waiting", "person": seed.MANAGER}, {"waits"}),
    ],
)
def test_the_filter(
    several: dict[str, Attempt], admin: Reader, fields: dict[str, Any], expected: set[str]
) -> None:
    names = {attempt.pk: name for name, attempt in several.items()}
    assert {names[pk] for pk in shown(admin.look(**fields))} == expected


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
        ({"before": "x"}, ""),
    ],
)
@pytest.mark.parametrize("path", [FOUND, MORE, PRINT, "/payments/history/export/"])
def test_nonsense_gets_a_message_and_no_portal_is_asked(
    sandbox: Sandbox, admin: Reader, path: str, fields: dict[str, Any], sentence: str
) -> None:
    since = len(sandbox.log)
    if "before" in fields and path != MORE:
        return
    posts = path not in (FOUND, MORE)
    html = admin.send(path, 400, **fields) if posts else admin.look(path, 400, **fields)
    assert sentence in html
    assert len(sandbox.log) == since


def test_the_lists_offer_who_and_what_is_in_the_history(
    several: dict[str, Attempt], portal: models.Portal, manager: Reader, admin: Reader
) -> None:
    html = admin.look(SCREEN)
    assert f'<option value="{seed.READER}">Rita Reader</option>' in html
    assert f'<option value="{seed.ADMIN}">' not in html
    assert '<option value="12">Demo Card Pay</option>' in html
    html = manager.look(SCREEN)
    assert 'name="person"' not in html
    assert '<option value="11">Acme Pay</option>' in html
    assert "Demo Card Pay" not in html


def test_the_pages_hang_together_whatever_comes_meanwhile(
    portal: models.Portal, admin: Reader
) -> None:
    # Many at the same moment, so that the time alone does not say where a page ends.
    kept = Attempt.objects.bulk_create(
        attempts.made(portal, created_at=attempts.NOON - timedelta(minutes=number // 40))
        for number in range(120)
    )
    expected = [one.pk for one in sorted(kept, key=lambda one: (one.created_at, one.pk))][::-1]
    html = admin.look(outcome="paid")
    found = shown(html)
    for _page in range(2):
        attempts.keep(portal, created_at=attempts.NOON + timedelta(hours=1))
        before = re.search(r'name="before" value="(\d+)"', html)
        assert before
        assert '<input type="hidden" name="outcome" value="paid">' in html
        html = admin.look(MORE, outcome="paid", before=before[1])
        found += shown(html)
    assert found == expected
    assert "Show more" not in html


def test_a_page_costs_no_more_statements_with_more_rows(
    portal: models.Portal, admin: Reader
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            admin.look(SCREEN)
        return len(queries)

    attempts.keep(portal)
    admin.look(SCREEN)
    one = statements()
    Attempt.objects.bulk_create(attempts.made(portal) for _ in range(49))
    assert statements() == one


# ---- totals


def totals_of(portal: models.Portal, wanted: Filter | None = None) -> Totals:
    visible = visible_to(portal, seed.ADMIN, is_admin=True)
    with timezone.override(portal.zone):
        return totals(visible, wanted or Filter(), systems={seed.ACME_PAY: "Acme Pay"})


def test_totals_are_of_what_is_paid_and_stayed_so(portal: models.Portal) -> None:
    attempts.keep(portal, sum=Decimal("0.10"))
    attempts.keep(portal, sum=Decimal("0.20"))
    attempts.keep(portal, kind=Kind.MARK, sum=Decimal("5"))
    undone = attempts.keep(portal, sum=Decimal("1000"))
    attempts.keep(portal, kind=Kind.UNDO, state=State.UNDONE, undoes=undone, sum=Decimal("1000"))
    kept = attempts.keep(portal, sum=Decimal("7"))
    attempts.keep(portal, kind=Kind.UNDO, state=State.REFUSED, undoes=kept, sum=Decimal("7"))
    for place, state in enumerate((State.REFUSED, State.UNKNOWN, State.CLOSED), 50):
        attempts.keep(portal, payment_id=place, state=state, sum=Decimal("99"))
    (euros,) = totals_of(portal).currencies
    assert (euros.all.paid, euros.all.marked) == (Decimal("7.3"), Decimal("5"))
    assert (euros.all.sum, euros.all.count) == (Decimal("12.3"), 4)
    assert euros.systems == [("Acme Pay", euros.all)]


def test_currencies_are_never_added_up(portal: models.Portal, admin: Reader) -> None:
    attempts.keep(portal, sum=Decimal("100"))
    attempts.keep(portal, sum=Decimal("100"))
    attempts.keep(portal, sum=Decimal("40"), currency="JPY")
    sums = {one.currency: one.all.sum for one in totals_of(portal).currencies}
    assert sums == {"EUR": Decimal(200), "JPY": Decimal(40)}
    said = words(admin.look(SCREEN))
    assert "200.00 EUR 2 payments" in said
    assert "40 JPY 1 payment" in said


def test_days_are_the_portals_and_the_last_quarter_is_shown(
    portal: models.Portal, admin: Reader
) -> None:
    last = datetime(2026, 11, 20, 0, 0, tzinfo=clocks.EAST)
    attempts.keep(portal, created_at=last)
    attempts.keep(portal, created_at=last - timedelta(seconds=1))
    attempts.keep(portal, created_at=last - timedelta(days=LONGEST_DAYS - 1))
    (euros,) = totals_of(portal).currencies
    assert list(euros.days) == [date(2026, 8, 21), date(2026, 11, 19), date(2026, 11, 20)]
    assert not totals_of(portal).is_cut
    attempts.keep(portal, created_at=last - timedelta(days=LONGEST_DAYS, seconds=-3600))
    assert totals_of(portal).currencies[0].all.count == 3
    assert totals_of(portal).is_cut
    assert "Only the last 92 days are summed up" in admin.look(SCREEN)
    older = totals_of(portal, Filter(last=date(2026, 8, 20)))
    assert (older.currencies[0].all.count, older.is_cut) == (1, False)


def test_totals_follow_the_filter_and_the_sight(
    several: dict[str, Attempt], manager: Reader, admin: Reader
) -> None:
    assert "37 500.00 EUR 3 payments" in words(admin.look(SCREEN))
    assert "25 000.00 EUR 2 payments" in words(manager.look(SCREEN))
    assert "12 500.00 EUR 1 payment" in words(admin.look(system=seed.DEMO_CARD_PAY))
    assert "payments-title" not in admin.look(outcome="refused")
    assert 'class="days"' not in admin.look(outcome="refused")


def test_a_chart_says_it_in_words_and_patterns_and_has_no_style(
    portal: models.Portal, admin: Reader
) -> None:
    attempts.keep(portal, sum=Decimal("100"))
    attempts.keep(portal, sum=Decimal("50"), kind=Kind.MARK)
    attempts.keep(portal, sum=Decimal("75"), created_at=attempts.NOON - timedelta(days=2))
    html = admin.look(SCREEN)
    chart = html.split('<svg class="days"')[1].split("</svg>")[0]
    assert "<title>Nov. 20, 2026: 150.00\xa0EUR</title>" in chart
    assert 'fill="url(#marked-eur)"' in chart
    assert ">150.00</text>" in chart
    assert ">Nov 20</text>" in chart
    assert "style=" not in html
    table = words(html.split('<table class="numbers">')[1].split("</table>")[0])
    assert "Nov. 18, 2026 1 75.00 0.00" in table
    assert "Nov. 20, 2026 2 100.00 50.00" in table


def test_many_pay_systems_and_currencies_are_bounded_and_said(portal: models.Portal) -> None:
    for number in range(1, 15):
        attempts.keep(portal, pay_system_id=number, sum=Decimal(number))
    for currency in ("USD", "JPY", "KWD", "GBP", "CHF", "SEK", "NOK"):
        attempts.keep(portal, currency=currency)
    found = totals_of(portal)
    assert [name for name, _ in found.currencies[0].systems][-1] is None
    assert found.currencies[0].systems[-1][1].sum == Decimal(3)
    assert sum(amount.sum for _, amount in found.currencies[0].systems) == Decimal(105)
    assert found.left_out == ("SEK", "USD")


# ---- for printing


def test_paper_has_the_rows_and_nothing_to_press(
    several: dict[str, Attempt], admin: Reader
) -> None:
    asked: dict[str, Any] = {"from": "2026-11-03", "person": seed.READER}
    html = admin.send(PRINT, **asked)
    assert shown(html) == [several["card"].pk]
    for said in ("Rita Reader", "Printed by Ada Admin", "From Nov. 3, 2026.", "Everybody"):
        assert said in words(html)
    for control in ("<button", "<form", "<select", "<a ", "hx-", "data-session"):
        assert control not in html


def test_paper_is_cut_with_a_sentence(
    portal: models.Portal, manager: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payments.history.views.PRINTED_ROWS", 2)
    for _ in range(2):
        attempts.keep(portal)
    assert "Only the newest" not in manager.send(PRINT)
    attempts.keep(portal)
    html = manager.send(PRINT)
    assert "Only the newest 2 attempts are printed." in html
    assert len(shown(html)) == 2


def test_paper_is_opened_by_a_form_that_carries_the_session(
    client: Client, portal: models.Portal, manager: Reader
) -> None:
    attempts.keep(portal)
    answer = client.post(PRINT, {"frame_session": manager.session})
    assert answer.status_code == 200
    assert len(shown(answer.content.decode())) == 1
    assert client.get(PRINT, {"frame_session": manager.session}).status_code == 405


# ---- what waits for a decision


def test_the_badge_is_the_administrators(
    sandbox: Sandbox, portal: models.Portal, manager: Reader, admin: Reader
) -> None:
    since = len(sandbox.log)
    assert admin.look(WAITING) == ""
    assert len(sandbox.log) == since
    attempts.handed_over(portal, payment_id=1)
    attempts.handed_over(portal, payment_id=2)
    attempts.keep(portal, payment_id=3, state=State.UNKNOWN)
    attempts.handed_over(portal, payment_id=4, state=State.CLOSED)
    assert admin.look(WAITING) == "2"
    assert manager.look(WAITING) == ""


def test_an_administrator_sees_the_facts_of_what_waits(
    portal: models.Portal, manager: Reader, admin: Reader
) -> None:
    waits = attempts.handed_over(portal)
    assert "data-waiting" not in manager.look(SCREEN)
    said = words(admin.look(SCREEN).split('id="waiting"')[1].split("</section>")[0])
    for one in ("163/1", "12 500.00 EUR", "Max Manager", "Handed over", "No clear answer"):
        assert one in said
    assert f'data-waiting="{waits.pk}"' in admin.look(SCREEN)


def test_only_an_administrator_decides(portal: models.Portal, manager: Reader) -> None:
    waits = attempts.handed_over(portal)
    manager.send(CHECK, 403, attempt=waits.pk)
    manager.send(CLOSE, 403, attempt=waits.pk, note="I want it gone")
    waits.refresh_from_db()
    assert (waits.state, waits.note) == (State.UNKNOWN, "")


def test_closing_keeps_the_reason_and_asks_the_others_to_look_again(
    sandbox: Sandbox, portal: models.Portal, admin: Reader
) -> None:
    waits = attempts.handed_over(portal)
    for method in (stage.KEPT, stage.READ_BACK):
        sandbox.faults.add(Fault("status500", method=method, times=None))
    answer = admin.post(CLOSE, attempt=waits.pk, note="  The bank\nsays no  ")
    assert "Payment 163/1 is settled: Closed by hand." in text_of(answer)
    assert answer["HX-Trigger"] == "badges, attempts"
    waits.refresh_from_db()
    assert (waits.state, waits.note) == (State.CLOSED, "The bank says no")
    assert admin.look(WAITING) == ""


@pytest.mark.parametrize("note", ["", "   ", "x" * 256])
def test_nothing_is_closed_without_a_reason(
    sandbox: Sandbox, portal: models.Portal, admin: Reader, note: str
) -> None:
    waits = attempts.handed_over(portal)
    since = len(sandbox.log)
    assert "Say why" in admin.send(CLOSE, 400, attempt=waits.pk, note=note)
    assert len(sandbox.log) == since
    waits.refresh_from_db()
    assert waits.state == State.UNKNOWN


def test_what_was_not_handed_over_cannot_be_closed(portal: models.Portal, admin: Reader) -> None:
    attempt = attempts.keep(portal, state=State.UNKNOWN)
    admin.send(CLOSE, 404, attempt=attempt.pk, note="too early")
    attempt.refresh_from_db()
    assert attempt.state == State.UNKNOWN


def test_check_now_settles_by_what_the_portal_says(
    alpha: Portal, portal: models.Portal, admin: Reader
) -> None:
    waits = attempts.handed_over(portal)
    payment = alpha.payments[seed.PAYMENT]
    payment.paid, payment.emp_paid_id = True, seed.MANAGER
    assert "Payment 163/1 is settled: Paid." in admin.send(CHECK, attempt=waits.pk)
    waits.refresh_from_db()
    assert (waits.state, waits.evidence["empPaidId"]) == (State.PAID, seed.MANAGER)
    assert payment.times_paid == 0


def test_check_now_leaves_open_what_no_token_can_read(
    sandbox: Sandbox, portal: models.Portal, admin: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
    waits = attempts.handed_over(portal)
    for method in (stage.READ_BACK, stage.KEPT):
        sandbox.faults.add(Fault("status500", method=method, times=None))
    admin.send(CHECK, 504, attempt=waits.pk)
    waits.refresh_from_db()
    assert waits.state == State.UNKNOWN
