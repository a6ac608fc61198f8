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
from tests.payments.frames import Frame, FrameOf
from tests.payments.test_history import EXPORT

pytestmark = pytest.mark.django_db

# The sandbox's portals are three hours east of UTC.
BEGUN = "Begun (UTC+03:00)"
MEGABYTE = 1024 * 1024


_sent: list[Any] = []


@pytest.fixture(autouse=True)
def _every_file_is_closed() -> Iterator[None]:
    """Closes files that a test has not read to the end, as a server does: each holds a place."""
    yield
    while _sent:
        _sent.pop().close()


def sent(frame: Frame, **fields: object) -> Any:
    """Posts as the form does: a plain POST with the session among its fields."""
    answer = frame.client.post(EXPORT, {"frame_session": frame.session, **fields})
    assert answer.status_code == 200
    assert answer.streaming
    _sent.append(answer)
    return answer


def saved(frame: Frame, **fields: object) -> list[dict[str, str]]:
    content = b"".join(sent(frame, **fields).streaming_content)
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def numbers(rows: list[dict[str, str]]) -> list[str]:
    return [row["Payment"] for row in rows]


# ---- whose, and which


def test_a_manager_takes_their_own_and_the_administrator_all_of_one_portal(
    sandbox: Sandbox, beta: Portal, portal: models.Portal, frame: Frame, admin_frame: Frame
) -> None:
    attempts.keep(portal, account_number="1/1")
    attempts.keep(portal, account_number="2/1", user_id=seed.READER)
    attempts.keep(stage.install(sandbox, beta))
    assert numbers(saved(frame)) == ["1/1"]
    assert numbers(saved(frame, person=seed.READER)) == []
    assert numbers(saved(admin_frame)) == ["2/1", "1/1"]
    assert numbers(saved(admin_frame, person=seed.READER)) == ["2/1"]


def test_the_file_has_the_rows_of_the_filter_in_their_order(
    portal: models.Portal, admin_frame: Frame, monkeypatch: pytest.MonkeyPatch
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
    assert numbers(saved(admin_frame, outcome="paid")) == paid
    assert numbers(saved(admin_frame, to="2026-11-19")) == []


def test_the_session_is_asked_for_in_the_body_alone(client: Client, frame: Frame) -> None:
    assert client.post(EXPORT).status_code == 401
    assert client.post(f"{EXPORT}?frame_session={frame.session}").status_code == 401
    assert client.get(EXPORT, {"frame_session": frame.session}).status_code == 405


# ---- the rows


def test_a_row_has_ids_names_titles_and_plain_sums(
    alpha: Portal, portal: models.Portal, admin_frame: Frame
) -> None:
    alpha.users[seed.MANAGER].name = '=cmd|"/c calc"!A1'
    attempts.keep(portal, sum=Decimal("1234567.5"), reason=reasons.PAID_BY_OTHER, order_id=None)
    (row,) = saved(admin_frame)
    expected = {
        BEGUN: "2026-11-20 15:00:00",
        "Paid on": "2026-11-20 15:00:01",
        "Person's number": "3",
        "Paid by number": "3",
        "Sum": "1234567.50",
        "Currency": "EUR",
        "Tried": "Pay",
        "Outcome": "Paid",
        "Why": "It is paid, but another person paid it at the same time.",
        "Answer": "Bitrix24 answered that it was done.",
        "CRM type": "2",
        "CRM number": str(seed.DEAL),
        "Deal or invoice": "Office chairs for the new floor",
        "Customer": "Sample Customer Ltd",
        "Order's number in Bitrix24": str(seed.ORDER),
    }
    assert expected.items() <= row.items()
    assert row["Person"] == row["Paid by"]
    # A name is not a formula either.
    assert row["Person"].startswith("'=cmd")
    alpha.items[DEAL, seed.DEAL].company_id = 0
    assert saved(admin_frame)[0]["Customer"] == "Cora Contact"


def test_titles_are_read_with_the_persons_rights_and_left_empty_by_a_silent_portal(
    sandbox: Sandbox, portal: models.Portal, frame_of: FrameOf, admin_frame: Frame
) -> None:
    attempts.keep(portal, user_id=seed.OWN_MANAGER)
    own = frame_of(seed.OWN_MANAGER)
    for frame in (own, admin_frame):
        if frame is admin_frame:
            sandbox.faults.add(Fault("status500", method="crm.item.list"))
        (row,) = saved(frame)
        assert (row["Payment"], row["CRM number"]) == ("163/1", str(seed.DEAL))
        assert (row["Deal or invoice"], row["Customer"]) == ("", "")


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
    admin: Person, language: str, delimiter: str, sum_: str, begun: str
) -> None:
    attempts.keep(admin.portal, sum=Decimal("1234567.5"))
    visible = visible_to(admin.portal, seed.ADMIN, is_admin=True)
    with translation.override(language):
        text = "".join(csv_export.parts(visible, Filter(), admin))
    _heading, row = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    assert begun in row
    assert sum_ in row


def test_signs_of_every_alphabet_come_through(portal: models.Portal, admin_frame: Frame) -> None:
    undone = attempts.keep(portal)
    note = 'Größe "M", 東京, Ёж; a,b'
    attempts.keep(portal, kind=Kind.UNDO, state=State.UNDONE, undoes=undone, note=note)
    row, _undone = saved(admin_frame)
    assert (row["Note"], row["Takes back attempt"]) == (note, str(undone.pk))


@pytest.mark.parametrize(
    "beginning", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]
)
def test_a_formula_is_text(portal: models.Portal, admin_frame: Frame, beginning: str) -> None:
    formula = f"{beginning}HYPERLINK(0)"
    attempts.keep(
        portal, note=formula, account_number=formula, pay_system_name=formula, currency=beginning
    )
    (row,) = saved(admin_frame)
    for column in ("Note", "Payment", "Payment system"):
        assert row[column] == f"'{formula}"
    assert row["Currency"] == f"'{beginning}"


@pytest.mark.parametrize("separator", [";", ",", "|", "\t", "\n", "; "])
def test_a_formula_behind_any_separator_is_text(
    portal: models.Portal, admin_frame: Frame, separator: str
) -> None:
    """Reads the file as a program that splits at this sign and knows no quotation marks."""
    attempts.keep(portal, account_number=f"163{separator}=1+1/1")
    content = b"".join(sent(admin_frame).streaming_content).decode()
    assert f"163{separator}'=1+1/1" in content
    assert '"' + saved(admin_frame)[0]["Payment"] + '"' in content


def test_sums_are_written_whole_and_plain_text_stays_as_it_is() -> None:
    sums = {"-12.5": "-12.50", "1E+3": "1000.00", "0.0001": "0.0001", "-0": "0.00"}
    for amount, text in sums.items():
        assert csv_export.plain(Decimal(amount)) == text
    for text in ("-5", "-12.50", "-12,50", "a=b", ""):
        assert csv_export.without_formula(text) == text


@pytest.mark.parametrize(
    ("fields", "days"),
    [
        ({"from": "2026-11-01", "to": "2026-11-24"}, "2026-11-01_2026-11-24"),
        ({"to": "2026-11-24"}, "beginning_2026-11-24"),
    ],
)
def test_the_name_has_portal_and_days(
    admin_frame: Frame, fields: dict[str, str], days: str
) -> None:
    answer = sent(admin_frame, **fields)
    name = f"payments_alpha.example.com_{days}.csv"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"
    assert "Content-Length" not in answer


def test_a_spreadsheet_has_numbers_and_dates(portal: models.Portal, admin_frame: Frame) -> None:
    attempts.keep(portal, sum=Decimal("1234567.5"), note="=1+1\x01b\x1f", pay_system_name="Ж" * 255)
    answer = sent(admin_frame, format="xlsx")
    assert answer["Content-Type"] == xlsx_export.CONTENT_TYPE
    assert answer["Content-Disposition"].endswith('.xlsx"')
    book = load_workbook(io.BytesIO(b"".join(answer.streaming_content)))
    heading, row = book.worksheets[0].iter_rows()
    cells = {head.value: cell for head, cell in zip(heading, row, strict=True)}
    assert (cells["Sum"].value, cells["Sum"].data_type) == (1234567.5, "n")
    assert cells[BEGUN].value == datetime(2026, 11, 20, 15, tzinfo=UTC).replace(tzinfo=None)
    assert (cells["Note"].value, cells["Note"].data_type) == ("=1+1\ufffdb\ufffd", "s")
    assert cells["Customer"].value == "Sample Customer Ltd"
    assert cells["Order's number in Bitrix24"].value == seed.ORDER
    assert cells["Handed over"].value is None


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
    client: Client, sandbox: Sandbox, beta: Portal, admin_frame: Frame
) -> None:
    """Each holds a thread of the process; another portal has its own place."""
    stage.install(sandbox, beta)
    first = sent(admin_frame)
    refused = admin_frame.client.post(EXPORT, {"frame_session": admin_frame.session})
    assert refused.status_code == 503
    assert refused["Retry-After"]
    assert "Another file" in refused.content.decode()
    saved(Frame(client, sandbox, beta, seed.ADMIN))
    assert b"".join(first.streaming_content)
    saved(admin_frame)


def test_rows_are_read_as_the_client_takes_them_and_hanging_up_ends_it(
    portal: models.Portal, admin_frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_table, "CHUNK", 100)
    many(portal, 1000)
    answer = sent(admin_frame)
    parts: Iterator[bytes] = iter(answer.streaming_content)
    with CaptureQueriesContext(connection) as queries:
        heading = next(parts)
        assert not queries
        first = next(parts)
        assert (heading.count(b"\r\n"), first.count(b"\r\n")) == (1, 100)
        before = len(queries)
        next(parts)
        assert len(queries) == before + 1
        answer.close()
        assert list(parts) == []
        assert len(queries) == before + 1


@pytest.mark.parametrize("writer", [csv_export, xlsx_export])
def test_seven_times_the_rows_take_no_more_memory(
    admin: Person, monkeypatch: pytest.MonkeyPatch, writer: Any
) -> None:
    """More than one chunk of either, so that what one chunk takes is in both."""
    monkeypatch.setattr(crm_facts, "pause", lambda seconds: None)
    monkeypatch.setattr(export_table, "CHUNK", 100)
    visible = visible_to(admin.portal, seed.ADMIN, is_admin=True)
    many(admin.portal, 2_100)
    Attempt.objects.filter(pk__in=visible.order_by("-pk").values("pk")[:300]).update(user_id=77)

    def taken(wanted: Filter) -> tuple[int, int]:
        """Returns the length of the file, and the most bytes that were held at one time."""
        tracemalloc.start(1)
        try:
            length = sum(len(part) for part in writer.parts(visible, wanted, admin))
            return length, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    taken(Filter(user_id=77))  # Fills the caches that are made once.
    few, small = taken(Filter(user_id=77))
    all_, large = taken(Filter())
    assert all_ > 5 * few
    assert large < small + MEGABYTE / 2
