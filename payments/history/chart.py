"""Totals as a picture: figures of an SVG, worked out here so that a template only prints them.

What was paid and what was marked by hand differ by a pattern, days by where they stand, pay systems
by their names: nothing is said by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from babel.dates import format_skeleton
from django.conf import settings
from django.utils.translation import get_language, to_locale
from django.utils.translation import gettext as _

from payments.history.totals import Amount, CurrencyTotals, Totals
from payments.money import figures

WIDTH, HEIGHT = 480, 170
_TOP, _FLOOR = 22, 146
# Between bars a fifth of their room stays empty.
_FILLED = Decimal("0.8")
_WIDEST = Decimal(40)
# So many have room for their sums and days; of more only the first, the last and the largest.
MOST_LABELLED = 7
_TENTH = Decimal("0.1")
# The first and the last day stand at the ends of the axis; between them there is room for another.
_AXIS_END = 80


@dataclass(frozen=True)
class Bar:
    """Measures as SVG has them, with a point whatever the language. `marked_*` stands upon the
    rest."""

    day: date
    amount: Amount
    x: str
    width: str
    middle: str
    paid_y: str
    paid_height: str
    marked_y: str
    marked_height: str
    top: str
    label: str
    day_label: str


@dataclass(frozen=True)
class Share:
    """A pay system's part; widths are percentages of the largest."""

    name: str
    amount: Amount
    paid_width: str
    marked_width: str


@dataclass(frozen=True)
class Chart:
    currency: str
    all: Amount
    bars: Sequence[Bar]
    shares: Sequence[Share]
    has_marked: bool
    # The ends of the axis, where the days are too many for each to have its own.
    first_day: str = ""
    last_day: str = ""


def charts(found: Totals) -> list[Chart]:
    """One for each currency."""
    if found.first is None or found.last is None:
        return []
    return [_chart(one, found.first, found.last) for one in found.currencies]


def _chart(one: CurrencyTotals, first: date, last: date) -> Chart:
    # Nobody asked for the empty days before the first.
    begin = max(first, min(one.days))
    bars = _bars(one, begin, last)
    labels_all = all(bar.day_label for bar in bars)
    return Chart(
        one.currency,
        one.all,
        bars,
        _shares(one),
        has_marked=bool(one.all.marked),
        first_day="" if labels_all else _short(begin),
        last_day="" if labels_all else _short(last),
    )


def _bars(one: CurrencyTotals, begin: date, last: date) -> list[Bar]:
    room = Decimal(WIDTH) / ((last - begin).days + 1)
    width = min(room * _FILLED, _WIDEST)
    largest = max(amount.sum for amount in one.days.values()) or Decimal(1)
    scale = Decimal(_FLOOR - _TOP) / largest
    labelled = _labelled(one)
    is_each_labelled = len(labelled) == len(one.days)
    bars = []
    for day, amount in one.days.items():
        middle = room * (day - begin).days + room / 2
        paid, marked = amount.paid * scale, amount.marked * scale
        is_labelled = day in labelled
        apart = _AXIS_END < middle < WIDTH - _AXIS_END
        bars.append(
            Bar(
                day=day,
                amount=amount,
                x=_text(middle - width / 2),
                width=_text(width),
                middle=_text(_inside(middle)),
                paid_y=_text(_FLOOR - paid),
                paid_height=_text(paid),
                marked_y=_text(_FLOOR - paid - marked),
                marked_height=_text(marked),
                top=_text(_FLOOR - paid - marked - 5),
                label=figures(amount.sum, one.currency) if is_labelled else "",
                day_label=_short(day) if is_labelled and (is_each_labelled or apart) else "",
            )
        )
    return bars


def _labelled(one: CurrencyTotals) -> set[date]:
    days = list(one.days)
    if len(days) <= MOST_LABELLED and (days[-1] - days[0]).days < MOST_LABELLED:
        return set(days)
    return {max(days, key=lambda day: one.days[day].sum)}


def _inside(middle: Decimal) -> Decimal:
    """A label is centred on its bar and as wide as a long sum: it must not leave the picture."""
    margin = Decimal(44)
    return min(max(middle, margin), WIDTH - margin)


def _shares(one: CurrencyTotals) -> list[Share]:
    largest = max(amount.sum for _name, amount in one.systems) or Decimal(1)
    return [
        Share(
            name=name or _("All others together"),
            amount=amount,
            paid_width=_text(amount.paid * 100 / largest) + "%",
            marked_width=_text(amount.marked * 100 / largest) + "%",
        )
        for name, amount in one.systems
    ]


def _short(day: date) -> str:
    language = get_language() or settings.LANGUAGE_CODE
    return format_skeleton("MMMd", day, locale=to_locale(language))


def _text(measure: Decimal) -> str:
    return str(measure.quantize(_TENTH))
