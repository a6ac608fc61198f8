"""A run as its screen shows it: counts, totals, and each row with its outcome."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from b24app.models import Portal
from payments.bulk import words
from payments.bulk.pacing import REQUESTS_A_ROW, REQUESTS_A_SECOND
from payments.gateway import Owner
from payments.models import RowState, Run, RunRow, RunState, State
from payments.screens import WORDS, OwnerLink, owner_link
from payments.templatetags.money import money

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The outcomes of rows: the states of their attempts, and these.
WAITING, LEFT_OUT, LEFT_UNPAID = "waiting", "skipped", "unpaid"
_WORDS: dict[str, StrOrPromise] = {
    **WORDS,
    WAITING: _("Waiting"),
    LEFT_OUT: _("Left out"),
    LEFT_UNPAID: _("Not paid"),
}

# A page asks for the next step a moment after it is due, so that two clocks do not make it early.
_AFTER_DUE = 0.1
# While somebody else makes a step, the page asks again so often.
_LOOK_AGAIN = 3.0
PAST_SHOWN = 20


@dataclass
class Total:
    """Of one outcome, or of all that is to be paid: how many, and how much in each currency."""

    count: int = 0
    sums: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, sum: Decimal, currency: str) -> None:
        self.count += 1
        self.sums[currency] += sum

    @property
    def words(self) -> str:
        """The sums, each with its currency: nothing is added up across currencies."""
        return ", ".join(money(sum, currency) for currency, sum in sorted(self.sums.items()))


@dataclass(frozen=True)
class Progress:
    """`to_pay` are all rows but those that were left out from the start."""

    run: Run
    to_pay: Total
    totals: dict[str, Total]
    is_stepped_elsewhere: bool
    seconds_to_next: float

    @property
    def done(self) -> int:
        return self.to_pay.count - self.waiting.count

    @property
    def waiting(self) -> Total:
        return self.totals.get(WAITING) or self.totals.get(LEFT_UNPAID) or Total()

    @property
    def paid(self) -> Total:
        return self.totals.get(State.PAID, Total())

    @property
    def refused(self) -> Total:
        return self.totals.get(State.REFUSED, Total())

    @property
    def left_out(self) -> Total:
        return self.totals.get(LEFT_OUT, Total())

    @property
    def unconfirmed(self) -> Total:
        """Also what is being paid, or was when its process ended: not confirmed so far."""
        both = Total()
        for state in (State.UNKNOWN, State.PAYING):
            found = self.totals.get(state, Total())
            both.count += found.count
            for currency, sum in found.sums.items():
                both.sums[currency] += sum
        return both

    @property
    def words(self) -> str:
        """12 of 40 paid, 1 refused, 1 not confirmed."""
        counted = {"paid": self.paid.count, "total": self.to_pay.count}
        parts = [_("%(paid)s of %(total)s paid") % counted]
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
        """For whoever hears the page instead of seeing it."""
        return f"{self.run.get_state_display()}: {self.words}. {self.why_paused}"

    @property
    def results(self) -> list[tuple[StrOrPromise, str, Total]]:
        """What to sum up: the words, the pill, and the total, where there are any."""
        found = [
            (_("Paid"), "paid", self.paid),
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
        """Whether to say it aloud: each tenth of the way, and whenever the run does not go on."""
        if self.run.state != RunState.RUNNING or not self.to_pay.count:
            return True
        tenth = max(1, self.to_pay.count // 10)
        return self.done % tenth == 0

    @property
    def minutes(self) -> int:
        """About how long all of it takes, before it is started."""
        return ceil(self.to_pay.count * REQUESTS_A_ROW / REQUESTS_A_SECOND / 60)

    @property
    def delay_ms(self) -> int:
        return ceil(self.seconds_to_next * 1000)


def progress_of(run: Run) -> Progress:
    now = timezone.now()
    to_pay, totals = Total(), defaultdict[str, Total](Total)
    rows = run.rows.values_list("state", "attempt__state", "sum", "currency")
    for state, attempt_state, sum, currency in rows.iterator():
        outcome = _outcome(state, attempt_state, is_over=run.is_over)
        totals[outcome].add(sum, currency)
        if outcome != LEFT_OUT:
            to_pay.add(sum, currency)
    return Progress(run, to_pay, dict(totals), run.is_stepped_elsewhere(now), _wait(run, now))


def _outcome(state: str, attempt_state: str | None, *, is_over: bool) -> str:
    if state == RowState.SKIPPED:
        return LEFT_OUT
    if state == RowState.WAITING:
        return LEFT_UNPAID if is_over else WAITING
    # An attempt that is not here any more went by the ledger's own rules.
    return attempt_state or State.PAYING.value


def _wait(run: Run, now: datetime) -> float:
    if run.is_stepped_elsewhere(now):
        return _LOOK_AGAIN
    due = run.next_step_at
    return max(0.0, (due - now).total_seconds() + _AFTER_DUE) if due else 0.0


@dataclass(frozen=True)
class RowShown:
    """A row of the run's list; the cell of its outcome is that of any list of payments."""

    row: RunRow
    owner: OwnerLink | None
    state: str
    sentences: Sequence[StrOrPromise]
    at: datetime | None
    can_check: bool
    can_pay: bool = False

    @property
    def payment_id(self) -> int:
        return self.row.payment_id

    @property
    def words(self) -> StrOrPromise:
        return _WORDS[self.state]

    @property
    def offer(self) -> str:
        return self.row.offer


def rows_shown(run: Run, portal: Portal, rows: Iterable[RunRow] | None = None) -> list[RowShown]:
    """All of them, or those given, which have to be the run's own."""
    if rows is None:
        rows = run.rows.select_related("attempt").order_by("position")
    return [_shown(row, run, portal) for row in rows]


def _shown(row: RunRow, run: Run, portal: Portal) -> RowShown:
    attempt = row.attempt
    state = _outcome(row.state, attempt.state if attempt else None, is_over=run.is_over)
    sentences: Sequence[StrOrPromise] = ()
    if row.state == RowState.SKIPPED:
        sentences = [words.about_row(row.reason)]
    elif attempt is not None:
        sentences = attempt.sentences
    owner = Owner.of(row.owner_type, row.owner_id, row.owner_title)
    return RowShown(
        row=row,
        owner=owner_link(owner, portal),
        state=state,
        sentences=sentences,
        at=attempt.done_at if attempt else None,
        can_check=attempt is not None and attempt.is_open,
    )


def past_runs(run_owner: Portal, user_id: int) -> list[Progress]:
    """The last ones of this person that are over, newest first."""
    runs = Run.objects.filter(
        portal=run_owner, user_id=user_id, state__in=[RunState.STOPPED, RunState.FINISHED]
    ).order_by("-pk")[:PAST_SHOWN]
    return [progress_of(run) for run in runs]
