"""One step of a run: at most one payment, by one process at a time, whoever dies on the way."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from b24app import shares
from b24app.errors import B24Error, Missing, PortalBusy
from b24app.session import Person
from payments.bulk import words
from payments.bulk.allowed import may_bulk
from payments.bulk.pacing import counted, pause_after
from payments.bulk.running import finish, pause
from payments.bulk.troubles import is_of_every_row, reason_to_pause
from payments.models import Attempt, RowState, Run, RunRow, RunState, State
from payments.offer import open_offer
from payments.pay import check, pay

# A step is over within seconds. Whoever holds it for longer may be dead, or be waiting for a portal
# that does not answer; then another one may step, which leaves the row in question alone.
LEASE = timedelta(minutes=2)

# After so many in a row something is wrong that the next payment would meet as well.
MOST_UNCONFIRMED = 3

_UNFINISHED = (RowState.WAITING, RowState.TRYING)


def step(person: Person, run: Run) -> RunRow | None:
    """Pay the next row of a run of this person's, or look after one that was left behind; waits for
    the portal.

    Returns the row it dealt with; None where it is too early, another step is under way, too many
    requests wait for the portal, the run does not run, or it paused or ended. `run` is read again.
    """
    started_at = timezone.now()
    until = started_at + LEASE
    try:
        shares.admit(person.portal.client_endpoint)
    except PortalBusy as error:
        # The run goes on by itself once its portal answers others again.
        later = started_at + timedelta(seconds=error.retry_after)
        Run.objects.filter(Q(next_step_at=None) | Q(next_step_at__lt=later), pk=run.pk).update(
            next_step_at=later
        )
        run.refresh_from_db()
        return None
    if not (
        Run.objects.filter(pk=run.pk, state=RunState.RUNNING)
        .filter(Q(stepping_until=None) | Q(stepping_until__lte=started_at))
        .filter(Q(next_step_at=None) | Q(next_step_at__lte=started_at))
        .update(stepping_until=until)
    ):
        run.refresh_from_db()
        return None
    with counted(person.portal) as requests:
        try:
            return _carry_out(person, run)
        finally:
            now = timezone.now()
            due = max(now, started_at + pause_after(run, requests.count, now=now))
            # Not where somebody else steps by now.
            Run.objects.filter(pk=run.pk, stepping_until=until).update(
                stepping_until=None, next_step_at=due
            )
            run.refresh_from_db()


def _carry_out(person: Person, run: Run) -> RunRow | None:
    if not may_bulk(person):
        pause(run, words.POLICY)
        return None
    row = run.rows.filter(state=RowState.TRYING).order_by("position").first()
    if row is not None:
        _look_after(person, row)
    else:
        row = run.rows.filter(state=RowState.WAITING).order_by("position").first()
        if row is not None:
            _try(person, run, row)
    if not run.rows.filter(state__in=_UNFINISHED).exists():
        finish(run)
    return row


def _try(person: Person, run: Run, row: RunRow) -> None:
    try:
        offer = open_offer(row.offer, person)
    except Missing:
        _leave_out(row, words.TOO_OLD)
        return
    latest = Attempt.objects.latest_on(row.payment_id, portal_id=run.portal_id)
    # Committed before anything is asked: a row that is found so later is never simply tried again.
    if not RunRow.objects.filter(
        pk=row.pk, state=RowState.WAITING, run__state=RunState.RUNNING
    ).update(state=RowState.TRYING, after_attempt=latest.pk if latest else 0):
        row.refresh_from_db()
        return
    attempt = pay(person, offer, pay_system_id=row.pay_system_id)
    reason = reason_to_pause(attempt)
    if reason:
        pause(run, reason)
    if is_of_every_row(reason) and attempt.is_refused and attempt.sent_at is None:
        # Nothing was sent for it, and not for a reason of its own: it is for after the pause.
        _put_back(row)
        return
    _note(row, attempt)
    _count_unconfirmed(run, attempt)


def _look_after(person: Person, row: RunRow) -> None:
    """A step ended in the middle of this row. Where it got as far as an attempt, that says how the
    row ends; where it did not, nothing can have been sent."""
    attempt = (
        Attempt.objects.on(row.payment_id, portal_id=person.portal.pk)
        .filter(pk__gt=row.after_attempt)
        .order_by("-pk")
        .first()
    )
    if attempt is None:
        _put_back(row)
        return
    if attempt.is_open:
        try:
            attempt = check(person, open_offer(row.offer, person)) or attempt
        except (B24Error, Missing):
            # It stays open, and can be checked from the list of rows.
            attempt.refresh_from_db()
    _note(row, attempt)


def _note(row: RunRow, attempt: Attempt) -> None:
    RunRow.objects.filter(pk=row.pk, state=RowState.TRYING).update(
        state=RowState.TRIED, attempt=attempt
    )
    row.refresh_from_db()


def _put_back(row: RunRow) -> None:
    RunRow.objects.filter(pk=row.pk, state=RowState.TRYING).update(state=RowState.WAITING)
    row.refresh_from_db()


def _leave_out(row: RunRow, reason: str) -> None:
    RunRow.objects.filter(pk=row.pk, state=RowState.WAITING).update(
        state=RowState.SKIPPED, reason=reason
    )
    row.refresh_from_db()


def _count_unconfirmed(run: Run, attempt: Attempt) -> None:
    count = run.unconfirmed_in_a_row + 1 if attempt.state == State.UNKNOWN else 0
    Run.objects.filter(pk=run.pk).update(unconfirmed_in_a_row=count)
    run.unconfirmed_in_a_row = count
    if count >= MOST_UNCONFIRMED:
        pause(run, words.UNCONFIRMED)
