"""Runs the background jobs, each with its own period, in any number of processes at once.

`manage.py work` runs all of them; a command of cron runs one. Both record when a job was last done,
for the doctor, /readyz/ and the metrics.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connections
from django.utils import timezone

from b24app.models import JobRun
from b24app.monitoring import metrics
from b24app.work import due_rows

logger = logging.getLogger(__name__)

Stop = Callable[[], bool]

# A daily job that has not ended after this time has died with its worker.
LEASE = timedelta(hours=1)
# After a failure. An outage of the database or of the OAuth server takes minutes.
RETRY_AFTER = timedelta(minutes=10)
# Before a job that runs all the time is retried: an outage must not fill the log.
FAILURE_PAUSE = timedelta(seconds=10)
# How often a worker looks whether a daily job is due.
LOOK_EVERY = timedelta(minutes=1)
# A job that runs every second is recorded this often, because each record is an UPDATE.
RECORD_EVERY = timedelta(seconds=10)
# A worker that is told to stop ends the call that it waits for: 70 seconds at most, and a renewal.
STOP_SECONDS = 100.0


@dataclass(frozen=True)
class Job:
    name: str
    # Works until nothing is due or `stop` returns True; returns how many rows or portals it did.
    work: Callable[[Stop], int]
    # From the end of a run to the start of the next one.
    period: timedelta
    # If the job was not done for so long, no worker and no cron line runs it.
    missed_after: timedelta
    # Whether several workers may run it at the same time: it claims each of its rows.
    is_shared: bool = False
    # In each worker.
    threads: int = 1


JOBS: dict[str, Job] = {}


def add_job(job: Job) -> None:
    JOBS[job.name] = job


@contextmanager
def recorded(name: str) -> Iterator[None]:
    """Records when the block ended, or the class of the error that it raised."""
    try:
        yield
    except Exception as error:
        _row_of(name)
        JobRun.objects.filter(name=name).update(failure=type(error).__name__[:64])
        raise
    now = timezone.now()
    row = _row_of(name)
    if row.failure or row.finished_at is None or row.finished_at < now - RECORD_EVERY:
        JobRun.objects.filter(name=name).update(finished_at=now, failure="")


def _row_of(name: str) -> JobRun:
    row, _created = JobRun.objects.get_or_create(name=name)
    return row


def work_all(stop: threading.Event) -> None:
    """Runs every job in threads of its own until `stop` is set; then lets each end its row."""
    threads = [
        threading.Thread(target=_work_forever, args=(job, stop), name=job.name, daemon=True)
        for job in JOBS.values()
        for _ in range(job.threads)
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(STOP_SECONDS)


def _work_forever(job: Job, stop: threading.Event) -> None:
    while not stop.is_set():
        pause = job.period if job.is_shared else LOOK_EVERY
        try:
            if run_if_due(job, stop.is_set) and job.is_shared:
                pause = timedelta(0)  # More may be due by now.
        except Exception:  # The database is down, or a bug: the other jobs go on.
            logger.exception("the job %s failed", job.name)
            pause = max(pause, FAILURE_PAUSE)
        finally:
            # Django closes connections only in a request's own thread.
            connections.close_all()
        stop.wait(pause.total_seconds())


def run_if_due(job: Job, stop: Stop) -> int:
    """Runs the job unless another worker does or did; returns what its `work` returns, else 0.

    Raises what `work` raises; the job is then due again after RETRY_AFTER.
    """
    if job.is_shared:
        with recorded(job.name):
            return job.work(stop)
    rows, row = JobRun.objects.all(), _row_of(job.name)
    now = timezone.now()
    if row.due_at > now or not due_rows.claim(rows, row, until=now + LEASE):
        return 0
    due_at = now + RETRY_AFTER
    try:
        with recorded(job.name):
            done = job.work(stop)
        due_at = timezone.now() + job.period
    finally:
        due_rows.claimed(rows, row).update(due_at=due_at)
    return done


def last_done() -> dict[str, datetime | None]:
    """Returns when each job was last done; None for one that never was."""
    done = dict(JobRun.objects.values_list("name", "finished_at"))
    return {name: done.get(name) for name in JOBS}


def missed() -> list[str]:
    """Returns the names of the jobs that no worker and no cron line runs."""
    now, done = timezone.now(), last_done()
    return [
        name
        for name, job in JOBS.items()
        if (finished_at := done[name]) is None or finished_at < now - job.missed_after
    ]


def _ages() -> dict[str, float]:
    now = timezone.now()
    return {
        name: (now - finished_at).total_seconds()
        for name, finished_at in last_done().items()
        if finished_at is not None
    }


metrics.add_gauges("pay_job_age_seconds", "Time since each job was last done", "name", _ages)
