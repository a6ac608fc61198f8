"""Waits for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

# Longer than anything takes on a busy machine; reached only where a test fails.
PATIENCE = 60.0
_LOOK_AGAIN = 0.05


def until(condition: Callable[[], bool]) -> None:
    """Returns once the condition holds; fails the test after PATIENCE."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, "the condition never held"
        time.sleep(_LOOK_AGAIN)
