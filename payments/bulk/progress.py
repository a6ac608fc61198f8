"""Computes the progress of a run for its screen: count and sums of each outcome."""

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

# The outcomes of rows: the states of listing.status, and these.
WAITING, LEFT_OUT, LEFT_UNPAID = "waiting", "skipped", "unpaid"
OUTCOME_WORDS: dict[str, StrOrPromise] = {
    **WORDS,
    WAITING: _("Waiting"),
    LEFT_OUT: _("Left out"),
    LEFT_UNPAID: _("Not paid"),
}
# What the run will do with a row that waits.
INTENTIONS: dict[str, StrOrPromise] = {Kind.PAY: _("To pay"), Kind.MARK: _("To mark as paid")}
_UNCONFIRMED = (State.UNKNOWN.value, State.PAYING.value, MARKING)

# Seconds after the next step is due until a page asks for it: two clocks may differ a little.
_AFTER_DUE = 0.1
# Seconds until this page asks again while another page takes a step.
_RETRY_AFTER = 3.0
FINISHED_SHOWN = 20


@dataclass
class Total:
    """A count of rows, and their sums in each currency."""

    count: int = 0
    sums: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, sum: Decimal, currency: str) -> None:
        self.count += 1
        self.sums[currency] += sum

    @property
    def words(self) -> str:
        """Returns the sums in words, one for each currency."""
        return ", ".join(money(sum, currency) for currency, sum in sorted(self.sums.items()))


@dataclass(frozen=True)
class Progress:
    run: Run
    # All rows but those that are left out, with any outcome.
    to_pay: Total
    to_mark: Total
    totals: dict[str, Total]  # By outcome.
    is_stepped_elsewhere: bool  # Another page is taking a step.
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
        """Includes rows that are being paid, and rows whose process died."""
        unconfirmed = Total()
        for state in _UNCONFIRMED:
            found = self.totals.get(state, Total())
            unconfirmed.count += found.count
            for currency, sum in found.sums.items():
                unconfirmed.sums[currency] += sum
        return unconfirmed

    @property
    def words(self) -> str:
        """Returns for example "12 of 40 paid, 2 of 5 marked as paid, 1 refused"."""
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
    def announcement(self) -> str:
        """Returns what a screen reader reads aloud."""
        return f"{self.run.get_state_display()}: {self.words}. {self.why_paused}"

    @property
    def results(self) -> list[tuple[StrOrPromise, str, Total]]:
        """Returns label, CSS class and total of each outcome that some row has."""
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
    def is_announced(self) -> bool:
        """Returns whether screen readers read this step: each tenth, and whenever a run halts."""
        if self.run.state != RunState.RUNNING or not self.count:
            return True
        tenth = max(1, self.count // 10)
        return self.done % tenth == 0

    @property
    def minutes(self) -> int:
        """Returns about how long the run takes from start to end."""
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
    """Reads all rows of the run in one statement."""
    now = timezone.now()
    planned = {Kind.PAY.value: Total(), Kind.MARK.value: Total()}
    totals = defaultdict[str, Total](Total)
    rows = run.rows.values_list(
        "state", "kind", "sum", "currency",
        "attempt_id", "attempt__kind", "attempt__state", "attempt__reason",
    )  # fmt: skip
    for state, kind, sum, currency, attempt_id, *attempt in rows.iterator():
        attempt_state = state_by(*attempt) if attempt_id else None
        outcome = outcome_of(state, kind, attempt_state, is_over=run.is_over)
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


def outcome_of(row_state: str, kind: str, attempt_state: str | None, *, is_over: bool) -> str:
    """Returns the outcome of a row, a key of OUTCOME_WORDS.

    `attempt_state` is None if the row has no attempt, or its attempt was deleted: the ledger keeps
    attempts for a time of its own.
    """
    if row_state == RowState.SKIPPED:
        return LEFT_OUT
    if row_state == RowState.WAITING:
        return LEFT_UNPAID if is_over else WAITING
    return attempt_state or (MARKING if kind == Kind.MARK else State.PAYING.value)


def _wait(run: Run, now: datetime) -> float:
    if run.is_stepped_elsewhere(now):
        return _RETRY_AFTER
    due = run.next_step_at
    return max(0.0, (due - now).total_seconds() + _AFTER_DUE) if due else 0.0


def finished_runs(portal: Portal, user_id: int) -> list[Progress]:
    """Returns this person's last finished or stopped runs, newest first."""
    runs = Run.objects.filter(portal=portal, user_id=user_id, state__in=OVER_STATES)
    return [progress_of(run) for run in runs.order_by("-pk")[:FINISHED_SHOWN]]
