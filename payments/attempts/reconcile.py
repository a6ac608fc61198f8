"""Settles open attempts whose process did not: reads their payments until the outcome is known.

After a day without an answer, the attempt is handed over to a person.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, connection
from django.utils import timezone

from b24app.errors import B24Error, ChainBroken
from b24app.work import due_rows
from b24app.work.due_rows import Delays, PortalTurns
from payments.attempts.close import close_by_hand
from payments.attempts.lookup import settle_by_reading
from payments.attempts.transitions import give_up, hand_over, leave_unanswered
from payments.models import Attempt, State

__all__ = ["Reconciled", "close_by_hand", "reconcile"]

logger = logging.getLogger(__name__)

# A process that claimed an attempt and did not finish within this has died: all reads of one
# attempt, with their retries and token renewals, take less.
LEASE = timedelta(minutes=15)
# After each read without an answer.
DELAYS = Delays(first=timedelta(minutes=1), factor=2, longest=timedelta(hours=1))
# Counted from the call: a portal that will answer has done so within a day.
HAND_OVER_AFTER = timedelta(hours=24)
# A person decides then; the portal is still read once a day, in case it answers again.
DELAY_HANDED_OVER = timedelta(days=1)
# Attempts in one pass; the rest is due in the next pass.
LIMIT = 500
# A portal that gave no answer so often waits for the next pass, as does one that used its time.
SILENCES_A_PORTAL = 3
# Due rows that one query reads; each is claimed right before it is read.
_PAGE = 50
_MOST_LOOKS = 32_767  # More do not fit the column.


@dataclass
class Reconciled:
    """How many attempts one pass read, and their outcomes."""

    looked_at: int = 0
    paid: int = 0
    undone: int = 0
    refused: int = 0  # nothing was changed
    given_up: int = 0  # never sent
    left_open: int = 0
    handed_over: int = 0  # of `left_open`: they wait for a person from now on
    failed: int = 0  # by a bug or the database; the log has it


def reconcile(
    *, now: datetime | None = None, limit: int = LIMIT, stop: Callable[[], bool] = lambda: False
) -> Reconciled:
    """Settles due attempts, at most `limit`; waits for the portals, one after another.

    Ends early if `stop` returns True. `now` replaces the clock in tests. An attempt that cannot be
    settled does not stop the others. Raises DatabaseError only if the due attempts cannot be read.
    """
    done = Reconciled()
    turns, silences = PortalTurns(), Counter[int]()

    def page(skipped: list[int]) -> list[Attempt]:
        due = Attempt.objects.filter(due_at__lte=now or timezone.now()).still_open()
        of_others = due.exclude(portal_id__in=skipped).order_by("due_at", "pk")
        return list(of_others[:_PAGE])

    def work_on(found: Attempt) -> bool:
        attempt = _claim(found, now or timezone.now())
        if attempt is None:
            return False
        _try(attempt, now, done, silences)
        if silences[attempt.portal_id] >= SILENCES_A_PORTAL:
            turns.skip(attempt.portal_id)
        return True

    done.looked_at = due_rows.work_through(
        page,
        work_on,
        portal_id_of=lambda attempt: attempt.portal_id,
        turns=turns,
        limit=limit,
        stop=stop,
    )
    return done


def _try(attempt: Attempt, now: datetime | None, done: Reconciled, silences: Counter[int]) -> None:
    try:
        _settle(attempt, now or timezone.now(), done, silences)
    except DatabaseError:
        # The attempt is due again when its lease ends.
        logger.exception("%s could not be written", attempt)
        connection.close_if_unusable_or_obsolete()
        done.failed += 1
    except Exception as error:  # A bug in one attempt must not stop the rest.
        logger.exception("%s was not settled", attempt)
        done.failed += 1
        with suppress(DatabaseError):
            _leave_open(attempt, now or timezone.now(), done, failure=error)


def _claim(found: Attempt, now: datetime) -> Attempt | None:
    """Returns the attempt as it is after claiming it; None if another process was faster."""
    open_attempts = Attempt.objects.all().still_open()
    if not due_rows.claim(open_attempts, found, until=now + LEASE):
        return None
    return due_rows.claimed(open_attempts, found).select_related("portal").first()


def _settle(attempt: Attempt, now: datetime, done: Reconciled, silences: Counter[int]) -> None:
    if attempt.is_abandoned(now):
        is_open = give_up(attempt).is_open  # Open if its process sent it just now.
        done.left_open += is_open
        done.given_up += not is_open
        return
    if not attempt.is_overdue(now):
        # Its own process settles it, if that is alive.
        _postpone(attempt, to=(attempt.overdue_at or attempt.abandoned_at) + timedelta(seconds=1))
        done.left_open += 1
        return
    try:
        attempt = settle_by_reading(attempt, asked_at=now)
    except B24Error as error:
        logger.warning("%s cannot be read: %s %r", attempt, type(error).__name__, str(error))
        if not isinstance(error, ChainBroken):
            silences[attempt.portal_id] += 1
        _leave_open(attempt, now, done, failure=error)
        return
    match attempt.state:
        case State.PAID:
            done.paid += 1
        case State.UNDONE:
            done.undone += 1
        case State.REFUSED:
            done.refused += 1


def _leave_open(attempt: Attempt, now: datetime, done: Reconciled, *, failure: Exception) -> None:
    """Postpones the next read after one without an answer; hands over after HAND_OVER_AFTER."""
    done.left_open += 1
    looks = min(attempt.looks + 1, _MOST_LOOKS)
    delay = DELAYS.after(looks)
    # A claim that was never sent is not handed over: it will be given up.
    is_over = attempt.sent_at is not None and now >= attempt.sent_at + HAND_OVER_AFTER
    if not _postpone(attempt, to=now + (DELAY_HANDED_OVER if is_over else delay), looks=looks):
        return
    if attempt.state == State.PAYING and attempt.sent_at is not None:
        leave_unanswered(attempt)
    if is_over and attempt.handed_over_at is None:
        facts = {"looks": looks, "failure": type(failure).__name__}
        done.handed_over += hand_over(attempt, at=now, facts=facts)


def _postpone(attempt: Attempt, *, to: datetime, **more: int) -> bool:
    """Moves `due_at`; returns False if another process moved it or settled the attempt."""
    claimed = due_rows.claimed(Attempt.objects.all().still_open(), attempt)
    return bool(claimed.update(due_at=to, **more))
