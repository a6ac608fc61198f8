"""Writes the history as a spreadsheet with real numbers and dates."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal

from django.utils import timezone
from django.utils.translation import gettext as _
from openpyxl import Workbook
from openpyxl.cell import Cell as OpenpyxlCell
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

from b24app.identity.session import Person
from payments.history import export_table
from payments.history.export_table import Cell
from payments.history.filters import Filter
from payments.models import AttemptQuerySet

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_MOMENT = "yyyy-mm-dd hh:mm:ss"
_SUM = "#,##0.00##"
# A cell of a spreadsheet holds at most so many characters.
_LONGEST_TEXT = 32_767
# Bytes that are sent at a time once the file is finished.
_BLOCK = 64 * 1024


def parts(visible: AttemptQuerySet, wanted: Filter, person: Person) -> Iterator[bytes]:
    """Yields the file. Holds one chunk of rows in memory.

    The file is written to disk first: a ZIP archive cannot be sent before it is complete. Times are
    those of the current time zone, without an offset, which the format lacks; the heading names the
    zone.
    """
    zone = timezone.get_current_timezone()
    headings, title = export_table.headings(), _("History")
    with tempfile.TemporaryFile() as file:
        book = Workbook(write_only=True)
        sheet = book.create_sheet(title)
        sheet.freeze_panes = "A2"
        sheet.append(_heading(sheet, headings))
        for chunk in export_table.chunks(visible, wanted, person):
            for row in chunk:
                sheet.append(
                    _cell(
                        sheet,
                        value.astimezone(zone).replace(tzinfo=None, microsecond=0)
                        if isinstance(value, datetime)
                        else value,
                    )
                    for value in row
                )
        book.save(file)
        file.seek(0)
        while block := file.read(_BLOCK):
            yield block


def _heading(sheet: Worksheet, texts: Iterable[str]) -> Iterator[OpenpyxlCell]:
    for text in texts:
        cell = _text(sheet, text)
        cell.font = Font(bold=True)
        yield cell


def _cell(sheet: Worksheet, value: Cell) -> OpenpyxlCell:
    if isinstance(value, str):
        return _text(sheet, value)
    # openpyxl writes a Decimal exactly, but its stubs do not name it.
    cell = WriteOnlyCell(sheet, value)  # type: ignore[arg-type]
    if isinstance(value, Decimal):
        cell.number_format = _SUM
    elif isinstance(value, datetime):
        cell.number_format = _MOMENT
    return cell


def _text(sheet: Worksheet, text: str) -> OpenpyxlCell:
    """Returns a cell of text: openpyxl would make a formula of text that begins with "="."""
    cell = WriteOnlyCell(
        sheet, ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", text)[:_LONGEST_TEXT]
    )
    cell.data_type = "s"
    return cell
