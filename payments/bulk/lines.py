"""Builds the rows of a run for its screen: in groups, each row with its outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from b24app.models import Portal
from payments.attempts.messages import messages_of
from payments.bulk import messages as words
from payments.bulk.progress import INTENTIONS, LEFT_OUT, OUTCOME_WORDS, WAITING, Total, outcome_of
from payments.gateway import Owner
from payments.listing.status import OwnerLink, owner_link, state_of
from payments.models import Kind, RowState, Run, RunRow, RunState, State

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True)
class RowShown:
    """A row of the run's list. payments/shared/settle.html prints it as it prints a Status."""

    row: RunRow
    owner: OwnerLink | None
    state: str
    words: StrOrPromise
    sentences: Sequence[StrOrPromise]
    at: datetime | None
    can_check: bool
    can_pay: bool = False

    @property
    def payment_id(self) -> int:
        return self.row.payment_id

    @property
    def offer(self) -> str:
        return self.row.offer


@dataclass(frozen=True)
class Group:
    words: StrOrPromise
    total: Total
    rows: list[RowShown]


def groups_of(run: Run, portal: Portal) -> list[Group]:
    """Returns all rows of the run, grouped by what it does with them, without empty groups."""
    groups = {
        Kind.PAY.value: Group(INTENTIONS[Kind.PAY], Total(), []),
        Kind.MARK.value: Group(INTENTIONS[Kind.MARK], Total(), []),
        LEFT_OUT: Group(OUTCOME_WORDS[LEFT_OUT], Total(), []),
    }
    for shown in rows_shown(run, portal):
        row = shown.row
        group = groups[LEFT_OUT if row.state == RowState.SKIPPED else row.kind]
        group.total.add(row.sum, row.currency)
        group.rows.append(shown)
    return [group for group in groups.values() if group.rows]


def rows_shown(run: Run, portal: Portal, rows: Iterable[RunRow] | None = None) -> list[RowShown]:
    """Returns the given rows of the run, or all of them."""
    if rows is None:
        rows = run.rows.select_related("attempt").order_by("position")
    return [_shown(row, run, portal) for row in rows]


def _shown(row: RunRow, run: Run, portal: Portal) -> RowShown:
    attempt = row.attempt
    attempt_state = state_of(attempt) if attempt else None
    state = outcome_of(row.state, row.kind, attempt_state, is_over=run.is_over)
    owner = Owner.of(row.owner_type, row.owner_id, row.owner_title)
    return RowShown(
        row=row,
        owner=owner_link(owner, portal),
        state=state,
        words=_words_of(row, run, state),
        sentences=_sentences_of(row, run),
        at=attempt.settled_at if attempt and attempt.state == State.PAID else None,
        can_check=attempt is not None and attempt.is_open,
    )


def _words_of(row: RunRow, run: Run, state: str) -> StrOrPromise:
    if run.state == RunState.READY and state == WAITING:
        return INTENTIONS[row.kind]
    return OUTCOME_WORDS[state]


def _sentences_of(row: RunRow, run: Run) -> Sequence[StrOrPromise]:
    if row.state == RowState.SKIPPED:
        return [words.about_row(row.reason)]
    if row.attempt is not None:
        return messages_of(row.attempt)
    if run.state == RunState.READY and row.kind == Kind.MARK:
        return [_("%(system)s takes no payments from an app.") % {"system": row.pay_system_name}]
    return ()
