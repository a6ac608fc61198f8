"""Writes the history as a CSV file that a spreadsheet of the person's country opens by itself."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal

from django.utils import timezone
from django.utils.formats import get_format

from b24app.identity.session import Person
from payments.history import export_table
from payments.history.export_table import Cell
from payments.history.filters import Filter
from payments.models import AttemptQuerySet
from payments.money import LEAST_DECIMALS

CONTENT_TYPE = "text/csv; charset=utf-8"

# It makes spreadsheets read the file as UTF-8.
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"

# A spreadsheet computes a cell that begins with one of these. A program that splits the file at
# another separator sees the text behind each separator as a cell of its own.
_BEGINNING = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
_BEHIND_SEPARATOR = re.compile(r"(?<=[;,|\t\r\n])(\s*)(?=[=+\-@＝＋－＠])")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?", re.ASCII)


class _Line:
    """A file for csv.writer that holds one chunk of lines."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def take(self) -> str:
        text, self.text = self.text, ""
        return text


def parts(visible: AttemptQuerySet, wanted: Filter, person: Person) -> Iterator[str]:
    """Yields the file, a chunk of rows at a time; holds no more than that in memory.

    Decimal sign and dates are those of the current language, times those of the current time zone.
    A semicolon separates cells if decimals have a comma, else a comma does.
    """
    decimal_sign = get_format("DECIMAL_SEPARATOR")
    form = _Format(
        decimal_sign, get_format("DATETIME_INPUT_FORMATS")[0], timezone.get_current_timezone()
    )
    line = _Line()
    # Spreadsheets read a quoted number as a number, so all cells are quoted.
    delimiter = ";" if decimal_sign == "," else ","
    writer = csv.writer(line, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(map(without_formula, export_table.headings()))
    yield _BYTE_ORDER_MARK + line.take()
    for chunk in export_table.chunks(visible, wanted, person):
        writer.writerows(map(form.written, row) for row in chunk)
        yield line.take()


@dataclass(frozen=True)
class _Format:
    """Writes numbers and times as a language does."""

    decimal_sign: str
    moments: str  # For strftime.
    zone: tzinfo

    def written(self, cell: Cell) -> str:
        if cell is None:
            return ""
        if isinstance(cell, Decimal):
            return plain(cell).replace(".", self.decimal_sign)
        if isinstance(cell, datetime):
            return cell.astimezone(self.zone).strftime(self.moments)
        return without_formula(cell) if isinstance(cell, str) else str(cell)


def without_formula(text: str) -> str:
    """Puts an apostrophe before text that a spreadsheet would compute; a number stays a number."""
    if _NUMBER.fullmatch(text):
        return text
    text = _BEHIND_SEPARATOR.sub(r"\1'", text)
    return f"'{text}" if _BEGINNING.match(text) else text


def plain(amount: Decimal) -> str:
    """Returns a sum with a point and at least LEAST_DECIMALS decimals; nothing is rounded."""
    amount = abs(amount) if amount.is_zero() else amount  # No negative zero.
    exponent = amount.normalize().as_tuple().exponent
    decimals = max(LEAST_DECIMALS, -exponent) if isinstance(exponent, int) else LEAST_DECIMALS
    return f"{amount:.{decimals}f}"
