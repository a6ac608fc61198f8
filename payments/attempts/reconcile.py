"""Looks after attempts that nobody has settled, until each is, or waits for a person.

Any number of processes may do this at once: each due attempt is claimed by a conditional UPDATE
that moves its `due_at` to the end of a lease. No transaction is open while a portal is asked.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, connection
from django.utils import timezone

from b24app.due_work import PortalTurns
from b24app.errors import B24Error, ChainBroken
from payments.attempts.close import close_by_hand
from payments.attempts.lookup import look
from payments.attempts.transitions import give_up, hand_over, leave_unheard
from payments.models import Attempt, State

__all__ = ["Reconciled", "close_by_hand", "reconcile"]

logger = logging.getLogger(__name__)

# Whoever claimed an attempt and did not finish within this is gone: longer than all the calls of
# one look with their retries and renewals.
LEASE = timedelta(minutes=15)
# Doubled with each look that brought no answer: a portal that is down is not asked all the time.
FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=1)
# Counted from the call: within a day a portal that will answer has done so.
HAND_OVER_AFTER = timedelta(hours=24)
# After that it is a person's; these looks are for a portal that comes back.
DELAY_HANDED_OVER = timedelta(days=1)
# Attempts in one pass; what is left is due in the next one.
LIMIT = 500
# A portal that gave no answer so often waits for the next pass, as does one that used its time.
SILENCES_A_PORTAL = 3
# Looked up at once, claimed one by one.
_PAGE = 50
# Doubling more often than this is beyond any longest delay; and what the column holds.
_MOST_DOUBLINGS, _MOST_LOOKS = 10, 32_767


@dataclass
class Reconciled:
    """What has become of the attempts that one pass looked at. A refused one changed nothing; one
    given up was never sent; `handed_over` are those of `left_open` that wait for a person from now
    on; `failed` did by a mistake of ours, and is in the log."""

    looked_at: int = 0
    paid: int = 0
    undone: int = 0
    refused: int = 0
    given_up: int = 0
    left_open: int = 0
    handed_over: int = 0
    failed: int = 0


def reconcile(*, now: datetime | None = None, limit: int = LIMIT) -> Reconciled:
    """Settle what is due, `limit` attempts at the most; waits for the portals, one after another.

    `now` is the time to act by, for tests; else it is read anew for each attempt. One that cannot
    be settled never stops the others. Raises DatabaseError only where nothing can be looked up.
    """
    done = Reconciled()
    turns, silences = PortalTurns(), Counter[int]()
    for attempt in _claimed(now, limit, turns):
        done.looked_at += 1
        with turns.take(attempt.portal_id):
            _try(attempt, now, done, silences)
        if silences[attempt.portal_id] >= SILENCES_A_PORTAL:
            turns.skip(attempt.portal_id)
    return done


def _try(attempt: Attempt, now: datetime | None, done: Reconciled, silences: Counter[int]) -> None:
    try:
        _carry_on(attempt, now or timezone.now(), done, silences)
    except DatabaseError:
        # Its lease ends by itself.
        logger.exception("%s could not be written", attempt)
        connection.close_if_unusable_or_obsolete()
        done.failed += 1
    except Exception as error:  # A bug in one attempt must not stop the rest.
        logger.exception("%s was not settled", attempt)
        done.failed += 1
        with suppress(DatabaseError):
            _leave(attempt, now or timezone.now(), done, failure=error)


def _claimed(now: datetime | None, limit: int, turns: PortalTurns) -> Iterator[Attempt]:
    """Due attempts, the one that waits longest first, each claimed right before it is worked."""
    while limit > 0:
        due = Attempt.objects.filter(due_at__lte=now or timezone.now()).still_open()
        rows = due.exclude(portal_id__in=turns.skipped()).order_by("due_at", "pk")
        page = list(rows.values_list("pk", "due_at", "portal_id")[: min(_PAGE, limit)])
        for pk, due_at, portal_id in page:
            if portal_id in turns.skipped():
                continue
            attempt = _claim(pk, due_at, now or timezone.now())
            if attempt is not None:
                limit -= 1
                yield attempt
        if len(page) < _PAGE:
            return


def _claim(pk: int, due_at: datetime | None, now: datetime) -> Attempt | None:
    """As it is once it is ours; None where somebody else was first, or has settled it."""
    lease = now + LEASE
    if not Attempt.objects.filter(pk=pk, due_at=due_at).still_open().update(due_at=lease):
        return None
    return Attempt.objects.select_related("portal").filter(pk=pk, due_at=lease).first()


def _carry_on(attempt: Attempt, now: datetime, done: Reconciled, silences: Counter[int]) -> None:
    if attempt.is_abandoned(now):
        is_open = give_up(attempt).is_open  # Where it was sent after all.
        done.left_open += is_open
        done.given_up += not is_open
        return
    if not attempt.is_overdue(now):
        # Whoever is at it settles it; it is ours only if they do not.
        _put_off(attempt, to=(attempt.overdue_at or attempt.abandoned_at) + timedelta(seconds=1))
        done.left_open += 1
        return
    try:
        attempt = look(attempt, asked_at=now)
    except B24Error as error:
        logger.warning("%s cannot be read: %s %r", attempt, type(error).__name__, str(error))
        if not isinstance(error, ChainBroken):
            silences[attempt.portal_id] += 1
        _leave(attempt, now, done, failure=error)
        return
    match attempt.state:
        case State.PAID:
            done.paid += 1
        case State.UNDONE:
            done.undone += 1
        case State.REFUSED:
            done.refused += 1


def _leave(attempt: Attempt, now: datetime, done: Reconciled, *, failure: Exception) -> None:
    """No answer again: later, and after long enough a person has to decide."""
    done.left_open += 1
    looks = min(attempt.looks + 1, _MOST_LOOKS)
    delay = min(FIRST_DELAY * 2 ** min(attempt.looks, _MOST_DOUBLINGS), LONGEST_DELAY)
    # A claim that was never sent is for nobody to decide: it waits to be given up.
    is_over = attempt.sent_at is not None and now >= attempt.sent_at + HAND_OVER_AFTER
    if not _put_off(attempt, to=now + (DELAY_HANDED_OVER if is_over else delay), looks=looks):
        return
    if attempt.state == State.PAYING and attempt.sent_at is not None:
        # Whoever was paying has not come back to say so.
        leave_unheard(attempt)
    if is_over and attempt.handed_over_at is None:
        facts = {"looks": looks, "failure": type(failure).__name__}
        done.handed_over += hand_over(attempt, at=now, facts=facts)


def _put_off(attempt: Attempt, *, to: datetime, **more: int) -> bool:
    """Unless somebody has moved or settled it since we claimed it."""
    ours = Attempt.objects.filter(pk=attempt.pk, due_at=attempt.due_at).still_open()
    return bool(ours.update(due_at=to, **more))
