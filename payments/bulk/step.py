"""Takes one step of a run: pays or marks at most one row, in one process at a time.

A row is stored as TRYING before anything is sent. If the process dies, the next step looks for the
row's attempt and never just tries the row again.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from b24app.errors import B24Error, Missing, PortalBusy
from b24app.identity.session import Person
from b24app.rest import shares
from payments.attempts.mark_paid import mark
from payments.attempts.pay import check, pay
from payments.bulk import messages
from payments.bulk.pacing import counted, pause_after
from payments.bulk.pausing import is_of_every_row, reason_to_pause
from payments.bulk.permission import may_bulk, still_allowed
from payments.bulk.runs import finish, pause, read_again
from payments.models import Attempt, Kind, Policy, RowState, Run, RunRow, RunState, State
from payments.models.reread import reread
from payments.offer import Offer, open_offer
from payments.policy.rules import policy_of

# A step takes seconds. A process that needs longer may be dead, or wait for a portal that does not
# answer; then another process takes the next step, and does not send the first one's row.
LEASE = timedelta(minutes=2)

# After so many in a row, the next payment would probably not be confirmed either.
MOST_UNCONFIRMED = 3

_UNFINISHED = (RowState.WAITING, RowState.TRYING)


def step(person: Person, run: Run) -> RunRow | None:
    """Pays or marks the next row of this person's run, or settles a row that a dead process left.

    Waits for the portal. Returns that row; None if the step is not due yet, another process takes
    one, too many requests wait for the portal, or the run is not running. Reads `run` again.
    """
    started_at = timezone.now()
    until = started_at + LEASE
    try:
        shares.admit(person.portal.client_endpoint)
    except PortalBusy as error:
        # The page asks again by itself, when the portal has had time to answer others.
        later = started_at + timedelta(seconds=error.retry_after)
        Run.objects.filter(Q(next_step_at=None) | Q(next_step_at__lt=later), pk=run.pk).update(
            next_step_at=later
        )
        read_again(run)
        return None
    if not (
        Run.objects.filter(pk=run.pk, state=RunState.RUNNING)
        .filter(Q(stepping_until=None) | Q(stepping_until__lte=started_at))
        .filter(Q(next_step_at=None) | Q(next_step_at__lte=started_at))
        .update(stepping_until=until)
    ):
        read_again(run)
        return None
    with counted(person.portal) as requests:
        try:
            return _take_step(person, run)
        finally:
            now = timezone.now()
            due = max(now, started_at + pause_after(run, requests.count, now=now))
            # Changes nothing if another process has taken the lease meanwhile.
            Run.objects.filter(pk=run.pk, stepping_until=until).update(
                stepping_until=None, next_step_at=due
            )
            read_again(run)


def _take_step(person: Person, run: Run) -> RunRow | None:
    rules = policy_of(person.portal)
    if not may_bulk(person, rules):
        pause(run, messages.POLICY)
        return None
    row = run.rows.filter(state=RowState.TRYING).order_by("position").first()
    if row is not None:
        _settle_interrupted(person, row)
    else:
        row = run.rows.filter(state=RowState.WAITING).order_by("position").first()
        if row is not None:
            _try(person, run, row, rules)
    if not run.rows.filter(state__in=_UNFINISHED).exists():
        finish(run)
    return row


def _try(person: Person, run: Run, row: RunRow, rules: Policy) -> None:
    try:
        offer = open_offer(row.offer, person)
    except Missing:
        _leave_out(row, messages.TOO_OLD)
        return
    latest = Attempt.objects.latest_on(row.payment_id, portal_id=run.portal_id)
    # Committed before the first request: a row in this state is not tried again without a check.
    if not RunRow.objects.filter(
        pk=row.pk, state=RowState.WAITING, run__state=RunState.RUNNING
    ).update(state=RowState.TRYING, after_attempt=latest.pk if latest else 0):
        reread(row)
        return
    attempt = _send(person, row, offer, rules)
    reason = reason_to_pause(attempt)
    if reason:
        pause(run, reason)
    if is_of_every_row(reason) and attempt.is_refused and attempt.sent_at is None:
        # Nothing was sent, and the reason concerns every row: this one is tried after the pause.
        _put_back(row)
        return
    _store_attempt(row, attempt)
    _count_unconfirmed(run, attempt)


def _send(person: Person, row: RunRow, offer: Offer, rules: Policy) -> Attempt:
    """Does what the person confirmed for this row, or nothing.

    `mark` refuses if the payment can be paid by now, and `pay` refuses if it cannot.
    """
    if row.kind == Kind.MARK:
        return mark(person, offer, extra_rule=still_allowed(person, rules))
    return pay(
        person, offer, pay_system_id=row.pay_system_id, extra_rule=still_allowed(person, rules)
    )


def _settle_interrupted(person: Person, row: RunRow) -> None:
    """Settles a row whose process died: by the attempt that it made, if it made one.

    Without an attempt nothing was sent, so the row waits again.
    """
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
            # The attempt stays open; the person can check it from the list of rows.
            reread(attempt)
    _store_attempt(row, attempt)


def _store_attempt(row: RunRow, attempt: Attempt) -> None:
    # Changes nothing if the row was deleted with its run; the attempt still has the outcome.
    RunRow.objects.filter(pk=row.pk, state=RowState.TRYING).update(
        state=RowState.TRIED, attempt=attempt
    )
    reread(row)


def _put_back(row: RunRow) -> None:
    RunRow.objects.filter(pk=row.pk, state=RowState.TRYING).update(state=RowState.WAITING)
    reread(row)


def _leave_out(row: RunRow, reason: str) -> None:
    RunRow.objects.filter(pk=row.pk, state=RowState.WAITING).update(
        state=RowState.SKIPPED, reason=reason
    )
    reread(row)


def _count_unconfirmed(run: Run, attempt: Attempt) -> None:
    count = run.unconfirmed_in_a_row + 1 if attempt.state == State.UNKNOWN else 0
    Run.objects.filter(pk=run.pk).update(unconfirmed_in_a_row=count)
    run.unconfirmed_in_a_row = count
    if count >= MOST_UNCONFIRMED:
        pause(run, messages.UNCONFIRMED)
