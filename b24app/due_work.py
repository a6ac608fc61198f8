"""Bounds the time that one portal takes of a pass over the work of many portals."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

# A call without an answer takes 35 seconds, so a silent portal gets one piece of work. Every slow
# portal delays the others by this time and the end of the piece that it was spent in.
SECONDS_A_PORTAL = 30.0

_lock = threading.Lock()


class Turns:
    """Decides which portals may still be worked on in this pass.

    `worked_on` is shared by the threads of one kind of work: of those, one at most works on a
    portal, so that a slow portal holds one thread.
    """

    def __init__(self, worked_on: set[int] | None = None) -> None:
        self._worked_on = set() if worked_on is None else worked_on
        self._spent: Counter[int] = Counter()
        self._closed: set[int] = set()

    @contextmanager
    def turn(self, portal_id: int) -> Iterator[bool]:
        """True if the portal may be worked on in this block, whose time counts."""
        with _lock:
            may = not self._is_closed(portal_id)
            if may:
                self._worked_on.add(portal_id)
        started = time.monotonic()
        try:
            yield may
        finally:
            if may:
                with _lock:
                    self._worked_on.discard(portal_id)
                    self._spent[portal_id] += round((time.monotonic() - started) * 1000)
                    if self._spent[portal_id] >= SECONDS_A_PORTAL * 1000:
                        self._closed.add(portal_id)

    def close(self, portal_id: int) -> None:
        """Leave this portal for the next pass."""
        with _lock:
            self._closed.add(portal_id)

    def closed(self) -> list[int]:
        """The portals that are not to be worked on now."""
        with _lock:
            return sorted(self._closed | self._worked_on)

    def begin_again(self) -> None:
        """Begin the next pass: every portal has its whole time again."""
        with _lock:
            self._spent.clear()
            self._closed.clear()

    def _is_closed(self, portal_id: int) -> bool:
        return portal_id in self._closed or portal_id in self._worked_on
