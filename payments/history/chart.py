"""Computes the coordinates of the SVG charts of the totals; a template prints them.

Nothing is shown by colour alone: marked sums have a pattern, days a position, pay systems a name.
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
# A fifth of the room of each bar stays empty.
_FILLED = Decimal("0.8")
_WIDEST = Decimal(40)
# So many bars have room for a label each. Of more, only the first, last and largest have one.
MOST_LABELLED = 7
_TENTH = Decimal("0.1")
# The room that the labels of the first and the last day take at the ends of the axis.
_AXIS_END = 80
# A label is centred on its bar: so far from the edge, a long sum still fits into the picture.
_LABEL_MARGIN = Decimal(44)


@dataclass(frozen=True)
class Bar:
    """One day. Coordinates are SVG numbers, with a point in every language."""

    day: date
    amount: Amount
    # The part that is marked is drawn on top of the part that is paid.
    x: str
    width: str
    middle: str
    paid_y: str
    paid_height: str
    marked_y: str
    marked_height: str
    top: str  # Where the label is.
    label: str  # The sum, or empty.
    day_label: str


@dataclass(frozen=True)
class Share:
    """A pay system's part of the total. Widths are percentages of the largest part."""

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
    # Labels for the ends of the axis, if there are too many days for a label each.
    first_day: str = ""
    last_day: str = ""


def charts(found: Totals) -> list[Chart]:
    """Returns a chart for each currency."""
    if found.first is None or found.last is None:
        return []
    return [_chart(one, found.first, found.last) for one in found.currencies]


def _chart(one: CurrencyTotals, first: date, last: date) -> Chart:
    # Leaves out the empty days before the first payment.
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
        has_room = _AXIS_END < middle < WIDTH - _AXIS_END
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
                day_label=_short(day) if is_labelled and (is_each_labelled or has_room) else "",
            )
        )
    return bars


def _labelled(one: CurrencyTotals) -> set[date]:
    days = list(one.days)
    if len(days) <= MOST_LABELLED and (days[-1] - days[0]).days < MOST_LABELLED:
        return set(days)
    return {max(days, key=lambda day: one.days[day].sum)}


def _inside(middle: Decimal) -> Decimal:
    return min(max(middle, _LABEL_MARGIN), WIDTH - _LABEL_MARGIN)


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
