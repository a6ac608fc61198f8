"""Every attempt ever, as far as one person may look: found, shown, summed up and taken home."""

from __future__ import annotations

from payments.history.choices import Choices, choices
from payments.history.filters import OUTCOMES, WAITING, Filter, read_filter
from payments.history.lines import Line, lines_of, people_in
from payments.history.query import PAGE, Page, page, visible_to
from payments.history.scope import Scope, scope_of
from payments.history.totals import LONGEST_DAYS, Totals, totals

__all__ = [
    "LONGEST_DAYS",
    "OUTCOMES",
    "PAGE",
    "WAITING",
    "Choices",
    "Filter",
    "Line",
    "Page",
    "Scope",
    "Totals",
    "choices",
    "lines_of",
    "page",
    "people_in",
    "read_filter",
    "scope_of",
    "totals",
    "visible_to",
]
