"""The history as a file: whose, which rows, safe to open, of any length."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from openpyxl import load_workbook

from b24app import models
from b24app.identity.session import Person
from payments import reasons
from payments.history import crm_facts, csv_export, export_table, xlsx_export
from payments.history.filters import Filter
from payments.history.query import visible_to
from payments.models import Attempt, Kind, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import DEAL, Portal
from tests.payments import attempts, stage
from tests.payments.frames import Frame

pytestmark = pytest.mark.django_db

EXPORT = "/payments/history/export/"
# The sandbox's portals are three hours east of UTC.
BEGUN = "Begun (UTC+03:00)"
MEGABYTE = 1024 * 1024


@pytest.fixture
def manager(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.MANAGER)


@pytest.fixture
def admin(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.ADMIN)


def sent(frame: Frame, **fields: object) -> Any:
    """Posts as the form does: a plain POST with the session among its fields."""
    answer = frame.client.post(EXPORT, {"frame_session": frame.session, **fields})
    assert answer.status_code == 200
    assert answer.streaming
    return answer


def saved(frame: Frame, **fields: object) -> list[dict[str, str]]:
    content = b"".join(sent(frame, **fields).streaming_content)
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def numbers(rows: list[dict[str, str]]) -> list[str]:
    return [row["Payment"] for row in rows]


# ---- whose, and which


def test_a_manager_takes_their_own_and_the_administrator_all(
    portal: models.Portal, manager: Frame, admin: Frame
) -> None:
    attempts.keep(portal, account_number="1/1")
    attempts.keep(portal, account_number="2/1", user_id=seed.READER)
    assert numbers(saved(manager)) == ["1/1"]
    assert numbers(saved(manager, person=seed.READER)) == []
    assert numbers(saved(admin)) == ["2/1", "1/1"]
    assert numbers(saved(admin, person=seed.READER)) == ["2/1"]


def test_nothing_of_another_portal_is_in_it(
    sandbox: Sandbox, beta: Portal, portal: models.Portal, admin: Frame
) -> None:
    attempts.keep(stage.install(sandbox, beta))
    assert saved(admin) == []


def test_the_file_has_the_rows_of_the_filter_in_their_order(
    portal: models.Portal, admin: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_table, "CHUNK", 3)
    for number in range(8):
        attempts.keep(
            portal,
            account_number=f"{number}/1",
            created_at=attempts.NOON - timedelta(minutes=number // 3),
            state=State.REFUSED if number == 4 else State.PAID,
        )
    paid = ["2/1", "1/1", "0/1", "5/1", "3/1", "7/1", "6/1"]
    assert numbers(saved(admin, outcome="paid")) == paid
    assert numbers(saved(admin, to="2026-11-19")) == []


def test_the_session_is_asked_for_in_the_body_and_nowhere_else(
    client: Client, portal: models.Portal, manager: Frame
) -> None:
    assert client.post(EXPORT).status_code == 401
    assert client.post(f"{EXPORT}?frame_session={manager.session}").status_code == 401
    assert client.get(EXPORT, {"frame_session": manager.session}).status_code == 405


# ---- what is in a row


def test_a_row_has_ids_names_titles_and_plain_sums(portal: models.Portal, admin: Frame) -> None:
    attempts.keep(portal, sum=Decimal("1234567.5"), reason=reasons.PAID_BY_OTHER)
    (row,) = saved(admin)
    assert row[BEGUN] == "2026-11-20 15:00:00"
    assert row["Paid on"] == "2026-11-20 15:00:01"
    assert (row["Person's number"], row["Person"]) == ("3", "Max Manager")
    assert (row["Paid by number"], row["Paid by"]) == ("3", "Max Manager")
    assert (row["Sum"], row["Currency"]) == ("1234567.50", "EUR")
    assert (row["Tried"], row["Outcome"]) == ("Pay", "Paid")
    assert row["Why"] == "It is paid, but another person paid it at the same time."
    assert row["Answer"] == "Bitrix24 answered that it was done."
    assert (row["CRM type"], row["CRM number"]) == ("2", str(seed.DEAL))
    assert row["Deal or invoice"] == "Office chairs for the new floor"
    assert row["Customer"] == "Sample Customer Ltd"


def test_the_customer_is_the_company_else_the_contact(
    alpha: Portal, portal: models.Portal, admin: Frame
) -> None:
    attempts.keep(portal)
    alpha.items[DEAL, seed.DEAL].company_id = 0
    assert saved(admin)[0]["Customer"] == "Cora Contact"


def test_an_attempt_made_from_a_tab_has_its_order(portal: models.Portal, admin: Frame) -> None:
    attempts.keep(portal, order_id=None)
    assert saved(admin)[0]["Order's number in Bitrix24"] == str(seed.ORDER)


def test_titles_and_customers_are_those_that_the_person_may_read(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    attempts.keep(portal, user_id=seed.OWN_MANAGER)
    own = Frame(client, sandbox, alpha, seed.OWN_MANAGER)
    (row,) = saved(own)
    assert row["CRM number"] == str(seed.DEAL)
    assert (row["Deal or invoice"], row["Customer"]) == ("", "")


def test_a_silent_portal_leaves_its_cells_empty(
    sandbox: Sandbox, portal: models.Portal, admin: Frame
) -> None:
    attempts.keep(portal)
    admin.session  # noqa: B018 - signs in before the portal falls silent
    sandbox.faults.add(Fault("status500", method="crm.item.list"))
    (row,) = saved(admin)
    assert row["Payment"] == "163/1"
    assert row["Deal or invoice"] == ""


@pytest.mark.parametrize(
    ("language", "delimiter", "sum_", "begun"),
    [
        ("en", ",", "1234567.50", "2026-11-20 12:00:00"),
        ("de", ";", "1234567,50", "20.11.2026 12:00:00"),
        ("es", ";", "1234567,50", "20/11/2026 12:00:00"),
        ("fr", ";", "1234567,50", "20/11/2026 12:00:00"),
        ("pl", ";", "1234567,50", "20.11.2026 12:00:00"),
        ("pt-br", ";", "1234567,50", "20/11/2026 12:00:00"),
        ("ru", ";", "1234567,50", "20.11.2026 12:00:00"),
        ("tr", ";", "1234567,50", "20/11/2026 12:00:00"),
    ],
)
def test_separator_decimals_and_dates_are_those_of_the_language(
    sandbox: Sandbox,
    portal: models.Portal,
    language: str,
    delimiter: str,
    sum_: str,
    begun: str,
) -> None:
    attempts.keep(portal, sum=Decimal("1234567.5"))
    person = stage.person(sandbox, portal, seed.ADMIN)
    with translation.override(language):
        parts = csv_export.parts(visible_to(portal, seed.ADMIN, is_admin=True), Filter(), person)
        text = "".join(parts)
    _heading, row = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    assert begun in row
    assert sum_ in row


def test_signs_of_every_alphabet_come_through(portal: models.Portal, admin: Frame) -> None:
    undone = attempts.keep(portal)
    note = 'Größe "M", 東京, Ёж; a,b'
    attempts.keep(portal, kind=Kind.UNDO, state=State.UNDONE, undoes=undone, note=note)
    row, _undone = saved(admin)
    assert row["Note"] == note
    assert row["Takes back attempt"] == str(undone.pk)


@pytest.mark.parametrize(
    "beginning", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]
)
def test_what_a_spreadsheet_would_carry_out_is_text(
    portal: models.Portal, admin: Frame, beginning: str
) -> None:
    formula = f"{beginning}HYPERLINK(0)"
    attempts.keep(
        portal, note=formula, account_number=formula, pay_system_name=formula, currency=beginning
    )
    (row,) = saved(admin)
    for column in ("Note", "Payment", "Payment system"):
        assert row[column] == f"'{formula}"
    assert row["Currency"] == f"'{beginning}"


@pytest.mark.parametrize("separator", [";", ",", "|", "\t", "\n", "; "])
def test_a_formula_behind_any_separator_is_text(
    portal: models.Portal, admin: Frame, separator: str
) -> None:
    """Reads the file as a program that splits at this sign and knows no quotation marks."""
    attempts.keep(portal, account_number=f"163{separator}=1+1/1")
    content = b"".join(sent(admin).streaming_content).decode()
    assert f"163{separator}'=1+1/1" in content
    assert '"' + saved(admin)[0]["Payment"] + '"' in content


def test_names_of_people_are_never_formulas(
    alpha: Portal, portal: models.Portal, admin: Frame
) -> None:
    alpha.users[seed.MANAGER].name = '=cmd|"/c calc"!A1'
    attempts.keep(portal)
    assert saved(admin)[0]["Person"].startswith("'=cmd")


@pytest.mark.parametrize(
    ("amount", "text"),
    [("-12.5", "-12.50"), ("1E+3", "1000.00"), ("0.0001", "0.0001"), ("-0", "0.00")],
)
def test_a_sum_is_written_whole(amount: str, text: str) -> None:
    assert csv_export.plain(Decimal(amount)) == text


@pytest.mark.parametrize("text", ["-5", "-12.50", "-12,50", "a=b", ""])
def test_numbers_and_plain_text_stay_as_they_are(text: str) -> None:
    assert csv_export.without_formula(text) == text


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (
            {"from": "2026-11-01", "to": "2026-11-24"},
            "payments_alpha.example.com_2026-11-01_2026-11-24.csv",
        ),
        ({"to": "2026-11-24"}, "payments_alpha.example.com_beginning_2026-11-24.csv"),
    ],
)
def test_the_name_says_which_portal_and_which_days(
    admin: Frame, fields: dict[str, str], name: str
) -> None:
    answer = sent(admin, **fields)
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"
    assert "Content-Length" not in answer


# ---- as a spreadsheet


def sheet_of(frame: Frame, **fields: object) -> list[tuple[Any, ...]]:
    answer = sent(frame, format="xlsx", **fields)
    assert answer["Content-Type"] == xlsx_export.CONTENT_TYPE
    assert answer["Content-Disposition"].endswith('.xlsx"')
    book = load_workbook(io.BytesIO(b"".join(answer.streaming_content)))
    return list(book.worksheets[0].iter_rows())


def test_a_spreadsheet_has_numbers_dates_and_text(portal: models.Portal, admin: Frame) -> None:
    attempts.keep(portal, sum=Decimal("1234567.5"), note="=1+1")
    heading, row = sheet_of(admin)
    cells = {head.value: cell for head, cell in zip(heading, row, strict=True)}
    assert cells["Sum"].value == 1234567.5
    assert cells["Sum"].data_type == "n"
    assert cells[BEGUN].value == datetime(2026, 11, 20, 15, tzinfo=UTC).replace(tzinfo=None)
    assert (cells["Note"].value, cells["Note"].data_type) == ("=1+1", "s")
    assert cells["Customer"].value == "Sample Customer Ltd"
    assert cells["Order's number in Bitrix24"].value == seed.ORDER
    assert cells["Handed over"].value is None


def test_a_spreadsheet_takes_every_text(portal: models.Portal, admin: Frame) -> None:
    attempts.keep(portal, note="a\x01b\x1f", pay_system_name="Ж" * 255)
    _heading, row = sheet_of(admin)
    assert "a\ufffdb\ufffd" in [cell.value for cell in row]


# ---- as long as it may be


def many(portal: models.Portal, count: int) -> None:
    Attempt.objects.bulk_create(
        (
            attempts.made(portal, created_at=attempts.NOON - timedelta(seconds=number))
            for number in range(count)
        ),
        batch_size=5000,
    )


def test_one_file_of_a_portal_is_made_at_a_time(
    client: Client, sandbox: Sandbox, beta: Portal, portal: models.Portal, admin: Frame
) -> None:
    """Each holds a thread of the process; another portal has its own place."""
    stage.install(sandbox, beta)
    first = sent(admin)
    refused = admin.client.post(EXPORT, {"frame_session": admin.session})
    assert refused.status_code == 503
    assert refused["Retry-After"]
    assert "Another file" in refused.content.decode()
    saved(Frame(client, sandbox, beta, seed.ADMIN))
    assert b"".join(first.streaming_content)
    saved(admin)


def test_rows_are_read_as_the_client_takes_them_and_hanging_up_ends_it(
    portal: models.Portal, admin: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_table, "CHUNK", 100)
    many(portal, 1000)
    answer = sent(admin)
    parts: Iterator[bytes] = iter(answer.streaming_content)
    with CaptureQueriesContext(connection) as queries:
        heading = next(parts)
        assert not queries
        first = next(parts)
        assert heading.count(b"\r\n") == 1
        assert first.count(b"\r\n") == 100
        before = len(queries)
        next(parts)
        assert len(queries) == before + 1
        answer.close()
        assert list(parts) == []
        assert len(queries) == before + 1


@pytest.mark.parametrize("writer", [csv_export, xlsx_export])
def test_seven_times_the_rows_take_no_more_memory(
    sandbox: Sandbox, portal: models.Portal, monkeypatch: pytest.MonkeyPatch, writer: Any
) -> None:
    """More than one chunk of either, so that what one chunk takes is in both."""
    monkeypatch.setattr(crm_facts, "pause", lambda seconds: None)
    monkeypatch.setattr(export_table, "CHUNK", 100)
    person: Person = stage.person(sandbox, portal, seed.ADMIN)
    visible = visible_to(portal, seed.ADMIN, is_admin=True)
    many(portal, 2_100)
    Attempt.objects.filter(pk__in=visible.order_by("-pk").values("pk")[:300]).update(user_id=77)

    def taken(wanted: Filter) -> tuple[int, int]:
        """Returns the length of the file, and the most bytes that were held at one time."""
        tracemalloc.start(1)
        try:
            taken_up = 0
            for _part in writer.parts(visible, wanted, person):
                taken_up += len(_part)
            return taken_up, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    taken(Filter(user_id=77))  # Fills the caches that are made once.
    few, small = taken(Filter(user_id=77))
    all_, large = taken(Filter())
    assert all_ > 5 * few
    assert large < small + MEGABYTE / 2
