"""Sums up what was paid per day and per pay system, each currency by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Count, Exists, OuterRef, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from b24app.localization import times
from payments.gateway.parsing import MONEY_STEP
from payments.history.filters import Filter
from payments.history.names import system_name
from payments.models import Attempt, AttemptQuerySet, Kind, State

# A quarter of a year: more bars could not be told apart. It also bounds the work of a request.
LONGEST_DAYS = 92
# Each currency has a chart of its own.
MOST_CURRENCIES = 6
# The other pay systems are summed up in one line.
MOST_SYSTEMS = 12


@dataclass
class Amount:
    paid: Decimal = Decimal(0)  # Through a pay system.
    marked: Decimal = Decimal(0)  # Marked as paid by hand.
    count: int = 0

    @property
    def sum(self) -> Decimal:
        return self.paid + self.marked

    def add(self, kind: str, sum_: Decimal, count: int) -> None:
        if kind == Kind.MARK:
            self.marked += sum_
        else:
            self.paid += sum_
        self.count += count


@dataclass
class CurrencyTotals:
    currency: str
    all: Amount = field(default_factory=Amount)
    # In their order; only days on which something was paid.
    days: dict[date, Amount] = field(default_factory=dict)
    by_system: dict[int, Amount] = field(default_factory=dict)
    # Names with the largest sum first; beyond MOST_SYSTEMS the sum of the others, named None.
    systems: list[tuple[str | None, Amount]] = field(default_factory=list)


@dataclass(frozen=True)
class Totals:
    currencies: list[CurrencyTotals]
    # The days that are summed up: at most the last LONGEST_DAYS that match.
    first: date | None = None
    last: date | None = None
    is_cut: bool = False  # Something matches that was paid before `first`.
    left_out: tuple[str, ...] = ()  # Currencies beyond MOST_CURRENCIES.


def totals(visible: AttemptQuerySet, wanted: Filter, *, systems: Mapping[int, str]) -> Totals:
    """Sums up payments and marks that are Paid and were not undone, on the day they were begun.

    `systems` has the names of pay systems by id.
    """
    taken_back = Attempt.objects.filter(undoes=OuterRef("pk"), state=State.UNDONE)
    paid = visible.filter(
        wanted.conditions(), ~Exists(taken_back), state=State.PAID, kind__in=(Kind.PAY, Kind.MARK)
    )
    newest = paid.order_by("-created_at", "-pk").values_list("created_at", flat=True).first()
    if newest is None:
        return Totals([])
    last = timezone.localtime(newest).date()
    earliest = last - timedelta(days=LONGEST_DAYS - 1)
    first = earliest if wanted.first is None else max(earliest, wanted.first)
    is_cut = paid.filter(created_at__lt=times.beginning_of(first)).exists()
    found: dict[str, CurrencyTotals] = {}
    for currency, day, system_id, kind, total, count in _by_day(paid, first, last):
        one = found.setdefault(currency, CurrencyTotals(currency))
        amount = total.quantize(MONEY_STEP)
        one.all.add(kind, amount, count)
        one.days.setdefault(day, Amount()).add(kind, amount, count)
        one.by_system.setdefault(system_id, Amount()).add(kind, amount, count)
    # The currency with the most payments first: sums of two currencies cannot be compared.
    ordered = sorted(found.values(), key=lambda one: (-one.all.count, one.currency))
    for one in ordered:
        one.systems = _largest_first(one.by_system, systems)
    shown = ordered[:MOST_CURRENCIES]
    left_out = tuple(one.currency for one in ordered[MOST_CURRENCIES:])
    return Totals(shown, first, last, is_cut, left_out)


def _by_day(
    paid: AttemptQuerySet, first: date, last: date
) -> Iterator[tuple[str, date, int, str, Decimal, int]]:
    """Yields currency, day, pay system, kind, sum and count.

    Runs one statement, and one more for each change of the portal's UTC offset in these days.
    """
    for begin, end, offset in times.spans(first, last):
        yield from (
            paid.filter(created_at__gte=begin, created_at__lt=end)
            .annotate(day=TruncDate("created_at", tzinfo=offset))
            .values_list("currency", "day", "pay_system_id", "kind")
            .annotate(total=Sum("sum"), count=Count("pk"))
            .order_by("day")
        )


def _largest_first(
    by_system: Mapping[int, Amount], names: Mapping[int, str]
) -> list[tuple[str | None, Amount]]:
    largest = sorted(by_system.items(), key=lambda pair: -pair[1].sum)
    found: list[tuple[str | None, Amount]] = [
        (names.get(system_id) or system_name(system_id, ""), amount)
        for system_id, amount in largest[:MOST_SYSTEMS]
    ]
    others = Amount()
    for _system_id, amount in largest[MOST_SYSTEMS:]:
        others.paid += amount.paid
        others.marked += amount.marked
        others.count += amount.count
    if others.count:
        found.append((None, others))
    return found
