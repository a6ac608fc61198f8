"""Runs background jobs in threads of this process, as `manage.py work` does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from django.db import connections

from b24app.work import jobs


def all_done() -> None:
    """Records every job as done just now."""
    for name in jobs.JOBS:
        with jobs.recorded(name):
            pass


@contextmanager
def working(*names: str) -> Iterator[threading.Event]:
    """Runs these jobs while the block runs, and lets each end its row after it.

    Yields the event that tells them to stop.
    """
    stop = threading.Event()
    chosen = {name: jobs.JOBS[name] for name in names}
    with patch.dict(jobs.JOBS, chosen, clear=True):
        worker = threading.Thread(target=jobs.work_all, args=(stop,))
        worker.start()
        try:
            yield stop
        finally:
            stop.set()
            worker.join()
            connections.close_all()
