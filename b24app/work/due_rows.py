"""Works on due rows: claims each, and retries it later if it fails.

A row is due when its `due_at` has passed. Any number of threads, processes and machines may work on
the same table: a claim moves `due_at` to the end of a lease by a conditional UPDATE, so one worker
gets the row, and another one takes it after the lease if that worker has died. No transaction is
open meanwhile. Portals take turns, so that a slow portal does not delay the work of the others.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from django.db.models import QuerySet

# A call without an answer takes 35 seconds, so a silent portal gets one piece of work in a pass.
# Each slow portal delays the others by this time and by the end of its last piece of work.
SECONDS_PER_PORTAL = 30.0
# More steps exceed the longest delay of every kind of work.
_MOST_STEPS = 20

_lock = threading.Lock()


class DueRow(Protocol):
    """A row of a model with `due_at`: when it is worked on next, or null if never again."""

    pk: Any
    due_at: datetime | None


R = TypeVar("R", bound=Any)


@dataclass(frozen=True)
class Delays:
    """Growing delays between the tries of one row."""

    first: timedelta
    factor: int
    longest: timedelta

    def after(self, tries: int) -> timedelta:
        """Returns the delay after this many tries, one or more."""
        steps = min(max(tries - 1, 0), _MOST_STEPS)
        return min(self.first * int(self.factor**steps), self.longest)


def claim(rows: QuerySet[R], row: R, *, until: datetime, **values: Any) -> bool:
    """Claims a due row of `rows` until the lease ends, and sets `values`.

    Returns False if another worker was faster: then `due_at` is no longer as this worker read it.
    """
    if not rows.filter(pk=row.pk, due_at=row.due_at).update(due_at=until, **values):
        return False
    row.due_at = until
    return True


def claimed(rows: QuerySet[R], row: R) -> QuerySet[R]:
    """Returns the claimed row; no row if another worker has claimed it after the lease ended."""
    return rows.filter(pk=row.pk, due_at=row.due_at)


def work_through(
    page_of: Callable[[list[int]], Sequence[R]],
    work_on: Callable[[R], bool],
    *,
    portal_id_of: Callable[[R], int],
    turns: PortalTurns,
    limit: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Works on due rows, page by page, until no row is left; returns how many.

    `page_of` returns the next due rows of portals that are not in the list; `work_on` claims a row
    and works on it, or returns False if another worker was faster.
    """
    count = 0
    while count != limit and (page := page_of(turns.skipped())):
        for row in page:
            with turns.take(portal_id_of(row)) as may_work:
                if not (may_work and work_on(row)):
                    continue
            count += 1
            if count == limit or stop():
                return count
    return count


class PortalTurns:
    """Decides which portals may still be worked on in this pass over the due rows.

    A pass skips a portal after it has spent SECONDS_PER_PORTAL on it, after `skip`, and while
    another thread works on it.
    """

    def __init__(self, worked_on: set[int] | None = None) -> None:
        """`worked_on`: ids of portals in work now, shared by the threads of one kind of work."""
        self._worked_on = set() if worked_on is None else worked_on
        self._milliseconds: Counter[int] = Counter()
        self._skipped: set[int] = set()

    @contextmanager
    def take(self, portal_id: int) -> Iterator[bool]:
        """Yields whether the block may work on this portal, and measures how long it does."""
        with _lock:
            may_work = portal_id not in self._skipped and portal_id not in self._worked_on
            if may_work:
                self._worked_on.add(portal_id)
        started = time.monotonic()
        try:
            yield may_work
        finally:
            if may_work:
                with _lock:
                    self._worked_on.discard(portal_id)
                    self._milliseconds[portal_id] += round((time.monotonic() - started) * 1000)
                    if self._milliseconds[portal_id] >= SECONDS_PER_PORTAL * 1000:
                        self._skipped.add(portal_id)

    def skip(self, portal_id: int) -> None:
        """Skips this portal until the next pass."""
        with _lock:
            self._skipped.add(portal_id)

    def skipped(self) -> list[int]:
        """Returns the portals that may not be worked on now."""
        with _lock:
            return sorted(self._skipped | self._worked_on)

    def start_pass(self) -> None:
        """Starts the next pass, in which each portal has its whole time."""
        with _lock:
            self._milliseconds.clear()
            self._skipped.clear()
