"""Takes due rows portal by portal, so that a slow portal does not delay the work of the others."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

# A call without an answer takes 35 seconds, so a silent portal gets one piece of work in a pass.
# Each slow portal delays the others by this time and by the end of its last piece of work.
SECONDS_PER_PORTAL = 30.0

_lock = threading.Lock()


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
