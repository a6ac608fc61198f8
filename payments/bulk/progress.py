"""How far a run is, as its screen shows it: counts and totals of each outcome."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from b24app.models import Portal
from payments.bulk import messages as words
from payments.bulk.pacing import REQUESTS_A_ROW, REQUESTS_A_SECOND
from payments.bulk.selection import MOST_LOOKED_THROUGH
from payments.listing.status import MARKED, MARKING, WORDS, state_by
from payments.models import MOST_PAYMENTS, OVER_STATES, Kind, RowState, Run, RunState, State
from payments.money import money

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The outcomes of rows: those that `screens.state_by` names, and these.
WAITING, LEFT_OUT, LEFT_UNPAID = "waiting", "skipped", "unpaid"
OUTCOME_WORDS: dict[str, StrOrPromise] = {
    **WORDS,
    WAITING: _("Waiting"),
    LEFT_OUT: _("Left out"),
    LEFT_UNPAID: _("Not paid"),
}
# Before a run starts, a row that waits says what the run would do with it.
INTENTIONS: dict[str, StrOrPromise] = {Kind.PAY: _("To pay"), Kind.MARK: _("To mark as paid")}
_UNCONFIRMED = (State.UNKNOWN.value, State.PAYING.value, MARKING)

# A page asks for the next step a moment after it is due, so that two clocks do not make it early.
_AFTER_DUE = 0.1
# While another page takes a step, this page asks again after so many seconds.
_LOOK_AGAIN = 3.0
PAST_SHOWN = 20


@dataclass
class Total:
    """How many rows, and their sums in each currency."""

    count: int = 0
    sums: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, sum: Decimal, currency: str) -> None:
        self.count += 1
        self.sums[currency] += sum

    @property
    def words(self) -> str:
        """The sums, one for each currency."""
        return ", ".join(money(sum, currency) for currency, sum in sorted(self.sums.items()))


@dataclass(frozen=True)
class Progress:
    """`to_pay` and `to_mark` are all rows but those that are left out."""

    run: Run
    to_pay: Total
    to_mark: Total
    totals: dict[str, Total]
    is_stepped_elsewhere: bool
    seconds_to_next: float

    @property
    def count(self) -> int:
        return self.to_pay.count + self.to_mark.count

    @property
    def done(self) -> int:
        return self.count - self.waiting.count

    @property
    def waiting(self) -> Total:
        return self.totals.get(WAITING) or self.totals.get(LEFT_UNPAID) or Total()

    @property
    def paid(self) -> Total:
        return self.totals.get(State.PAID, Total())

    @property
    def marked(self) -> Total:
        return self.totals.get(MARKED, Total())

    @property
    def refused(self) -> Total:
        return self.totals.get(State.REFUSED, Total())

    @property
    def left_out(self) -> Total:
        return self.totals.get(LEFT_OUT, Total())

    @property
    def unconfirmed(self) -> Total:
        """Rows under way, and those whose process died, are not confirmed either."""
        all_of_them = Total()
        for state in _UNCONFIRMED:
            found = self.totals.get(state, Total())
            all_of_them.count += found.count
            for currency, sum in found.sums.items():
                all_of_them.sums[currency] += sum
        return all_of_them

    @property
    def words(self) -> str:
        """12 of 40 paid, 2 of 5 marked as paid, 1 refused, 1 not confirmed."""
        parts = []
        if self.to_pay.count or not self.to_mark.count:
            counted = {"paid": self.paid.count, "total": self.to_pay.count}
            parts.append(_("%(paid)s of %(total)s paid") % counted)
        if self.to_mark.count:
            counted = {"marked": self.marked.count, "total": self.to_mark.count}
            parts.append(_("%(marked)s of %(total)s marked as paid") % counted)
        for total, word in (
            (self.refused, ngettext_lazy("%(count)s refused", "%(count)s refused", "count")),
            (
                self.unconfirmed,
                ngettext_lazy("%(count)s not confirmed", "%(count)s not confirmed", "count"),
            ),
            (self.left_out, ngettext_lazy("%(count)s left out", "%(count)s left out", "count")),
        ):
            if total.count:
                parts.append(word % {"count": total.count})
        return ", ".join(str(part) for part in parts)

    @property
    def said(self) -> str:
        """For a screen reader."""
        return f"{self.run.get_state_display()}: {self.words}. {self.why_paused}"

    @property
    def results(self) -> list[tuple[StrOrPromise, str, Total]]:
        """Of each outcome that there is: its words, its pill and its total."""
        found = [
            (_("Paid"), "paid", self.paid),
            (_("Marked as paid"), "marked", self.marked),
            (_("Refused"), "refused", self.refused),
            (_("Not confirmed"), "unknown", self.unconfirmed),
            (_("Left out"), "skipped", self.left_out),
            (_("Not paid"), "due", self.waiting)
            if self.run.is_over
            else (_("Waiting"), "waiting", self.waiting),
        ]
        return [line for line in found if line[2].count]

    @property
    def why_paused(self) -> StrOrPromise:
        return words.about_pause(self.run.reason) if self.run.reason else ""

    @property
    def is_said(self) -> bool:
        """Whether a screen reader is told: at each tenth, and whenever the run does not go on."""
        if self.run.state != RunState.RUNNING or not self.count:
            return True
        tenth = max(1, self.count // 10)
        return self.done % tenth == 0

    @property
    def minutes(self) -> int:
        """About how long all of it takes, before it is started."""
        return ceil(self.count * REQUESTS_A_ROW / REQUESTS_A_SECOND / 60)

    @property
    def most(self) -> int:
        return MOST_PAYMENTS

    @property
    def most_looked_through(self) -> int:
        return MOST_LOOKED_THROUGH

    @property
    def delay_ms(self) -> int:
        return ceil(self.seconds_to_next * 1000)


def progress_of(run: Run) -> Progress:
    now = timezone.now()
    planned = {Kind.PAY.value: Total(), Kind.MARK.value: Total()}
    totals = defaultdict[str, Total](Total)
    rows = run.rows.values_list(
        "state", "kind", "sum", "currency",
        "attempt_id", "attempt__kind", "attempt__state", "attempt__reason",
    )  # fmt: skip
    for state, kind, sum, currency, attempt_id, *attempt in rows.iterator():
        ended = state_by(*attempt) if attempt_id else None
        outcome = outcome_of(state, kind, ended, is_over=run.is_over)
        totals[outcome].add(sum, currency)
        if outcome != LEFT_OUT:
            planned[kind].add(sum, currency)
    return Progress(
        run,
        planned[Kind.PAY],
        planned[Kind.MARK],
        dict(totals),
        run.is_stepped_elsewhere(now),
        _wait(run, now),
    )


def outcome_of(row_state: str, kind: str, ended: str | None, *, is_over: bool) -> str:
    """`ended` is how the row's attempt stands; None while it has none, or none any more: the ledger
    keeps attempts for a time of its own."""
    if row_state == RowState.SKIPPED:
        return LEFT_OUT
    if row_state == RowState.WAITING:
        return LEFT_UNPAID if is_over else WAITING
    return ended or (MARKING if kind == Kind.MARK else State.PAYING.value)


def _wait(run: Run, now: datetime) -> float:
    if run.is_stepped_elsewhere(now):
        return _LOOK_AGAIN
    due = run.next_step_at
    return max(0.0, (due - now).total_seconds() + _AFTER_DUE) if due else 0.0


def past_runs(portal: Portal, user_id: int) -> list[Progress]:
    """The last ones of this person that are over, newest first."""
    runs = Run.objects.filter(portal=portal, user_id=user_id, state__in=OVER_STATES)
    return [progress_of(run) for run in runs.order_by("-pk")[:PAST_SHOWN]]
