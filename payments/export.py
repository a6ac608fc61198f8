"""The history as a CSV file, row by row: as long as it may be, never more of it in memory than a
few."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, tzinfo
from decimal import Decimal
from urllib.parse import urlsplit

from django.utils import timezone, translation
from django.utils.translation import gettext as _

from b24app.session import Person
from payments import people
from payments.history.facts import answer_words, date_paid, paid_by
from payments.history.filters import Filter
from payments.history.lines import TRIED, owner_of, people_in
from payments.history.names import system_name
from payments.history.pages import in_chunks
from payments.models import Attempt, AttemptQuerySet
from payments.screens import WORDS, state_of
from payments.templatetags.money import LEAST_DECIMALS

# Rows in memory at once: a megabyte or two, and a hundred statements for 100,000 rows.
CHUNK = 1000

# So that spreadsheets read the file as UTF-8.
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"

# A spreadsheet takes a cell that begins so for a formula and carries it out.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_NOT_IN_A_FILE_NAME = re.compile(r"[^0-9A-Za-z.-]+")

Cell = str | int | Decimal | datetime | None


class _Line:
    """What csv.writer writes to: it keeps the line for whoever asked for it."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def take(self) -> str:
        text, self.text = self.text, ""
        return text


def rows(visible: AttemptQuerySet, wanted: Filter, person: Person) -> Iterator[str]:
    """The file in parts, one for each chunk; whoever stops reading ends it.

    `person` is asked for the names of people. Times are ISO 8601 in the portal's time zone with
    their offset, sums plain numbers with a point. Its words are in the language of now, although it
    is read later, when the request is over.
    """
    parts = _rows(visible, wanted, person)
    return _kept(parts, translation.get_language(), person.portal.zone)


def _kept(parts: Iterator[str], language: str, zone: tzinfo) -> Iterator[str]:
    """Each part in this language and time zone, and neither of them left to whoever reads it."""
    while True:
        with translation.override(language), timezone.override(zone):
            part = next(parts, None)
        if part is None:
            return
        yield part


def _rows(visible: AttemptQuerySet, wanted: Filter, person: Person) -> Iterator[str]:
    line = _Line()
    writer = csv.writer(line)
    writer.writerow(_headings())
    yield _BYTE_ORDER_MARK + line.take()
    names: dict[int, str] = {}
    for chunk in in_chunks(visible, wanted, size=CHUNK):
        unknown = people_in(chunk) - names.keys()
        if unknown:
            names.update(people.names(person, unknown))
        for attempt in chunk:
            writer.writerow([as_text(cell) for cell in _cells(attempt, names)])
        yield line.take()


def file_name(person: Person, wanted: Filter, *, today: date) -> str:
    """payments_alpha.example.com_2026-11-01_2026-11-24.csv"""
    portal = _NOT_IN_A_FILE_NAME.sub("-", urlsplit(person.portal.client_endpoint).netloc)
    first = wanted.first.isoformat() if wanted.first else "beginning"
    last = (wanted.last or today).isoformat()
    return f"payments_{portal}_{first}_{last}.csv"


def as_text(cell: Cell) -> str:
    """A cell that is safe to open: text that a spreadsheet would carry out gets an apostrophe in
    front, numbers stay numbers, negative ones too."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return timezone.localtime(cell).isoformat(timespec="seconds")
    if isinstance(cell, Decimal):
        return _plain(cell)
    text = str(cell)
    if isinstance(cell, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def _plain(amount: Decimal) -> str:
    exponent = amount.normalize().as_tuple().exponent
    decimals = max(LEAST_DECIMALS, -exponent) if isinstance(exponent, int) else LEAST_DECIMALS
    return f"{amount:.{decimals}f}"


def _headings() -> list[str]:
    return [
        _("Attempt"),
        _("Begun"),
        _("Person's number"),
        _("Person"),
        _("Payment"),
        _("Payment's number in Bitrix24"),
        _("Order's number in Bitrix24"),
        _("CRM type"),
        _("CRM number"),
        _("Tried"),
        _("Sum"),
        _("Currency"),
        _("Payment system's number"),
        _("Payment system"),
        _("Outcome"),
        _("Why"),
        _("Sent"),
        _("Answer"),
        _("Settled"),
        _("Paid on"),
        _("Paid by number"),
        _("Paid by"),
        _("Takes back attempt"),
        _("Handed over"),
        _("Note"),
    ]


def _cells(attempt: Attempt, names: Mapping[int, str]) -> list[Cell]:
    owner, payer = owner_of(attempt), paid_by(attempt.evidence)
    return [
        attempt.pk,
        attempt.created_at,
        attempt.user_id,
        names.get(attempt.user_id),
        attempt.account_number,
        attempt.payment_id,
        attempt.order_id,
        owner.type_id if owner else None,
        owner.id if owner else None,
        str(TRIED[attempt.kind]),
        attempt.sum,
        attempt.currency,
        attempt.pay_system_id,
        system_name(attempt.pay_system_id, attempt.pay_system_name),
        str(WORDS[state_of(attempt)]),
        " ".join(map(str, attempt.sentences)),
        attempt.sent_at,
        answer_words(attempt.evidence),
        attempt.settled_at,
        date_paid(attempt.evidence),
        payer,
        None if payer is None else names.get(payer),
        attempt.undoes_id,
        attempt.handed_over_at,
        attempt.note,
    ]
