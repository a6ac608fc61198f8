"""Computes the pause between the steps of a run from the requests that a step made.

Bitrix24 counts the requests that reach a portal from one address in a bucket of 50, which leaks two
a second. Once it is full, Bitrix24 refuses the requests of all users of this app.
https://apidocs.bitrix24.com/settings/performance/limits.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.dispatch import receiver

from b24app.models import Portal
from b24app.monitoring.exchange import Exchange
from b24app.signals import exchanged
from payments.models import Run, RunState

# All runs of a portal together use this many of the two requests a second. The rest, and the bucket
# itself, is for the people who work at the same time.
REQUESTS_A_SECOND = 1.5

# What a row usually takes: two to read the payment before, one to pay, one to read it back. Only
# the forecast of a run's length uses it; the pace follows from the requests that were made.
REQUESTS_A_ROW = 4

# A run whose page has not asked for a step for so long is idle, and gets no share.
_IDLE_AFTER = timedelta(minutes=1)


class Requests:
    """Counts the requests to one portal, retries included."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._seen: list[str] = []

    def add(self, exchange: Exchange) -> None:
        if exchange.host == self.host:
            self._seen.append(exchange.method)  # Atomic, so any thread may do it.

    @property
    def count(self) -> int:
        return len(self._seen)


# The threads of `run_batches` see it too: they run in copies of the caller's context.
_counting: ContextVar[Requests | None] = ContextVar("requests_counted", default=None)


@contextmanager
def counted(portal: Portal) -> Iterator[Requests]:
    """Counts the requests to this portal that the block makes."""
    requests = Requests(urlsplit(portal.client_endpoint).netloc)
    token = _counting.set(requests)
    try:
        yield requests
    finally:
        _counting.reset(token)


@receiver(exchanged)
def _count(*, exchange: Exchange, **kwargs: object) -> None:
    requests = _counting.get()
    if requests is not None:
        requests.add(exchange)


def pause_after(run: Run, requests: int, *, now: datetime) -> timedelta:
    """Returns the time from the start of a step that made `requests` to the start of the next."""
    other_runs = Run.objects.filter(
        portal_id=run.portal_id,
        state=RunState.RUNNING,
        next_step_at__gt=now - _IDLE_AFTER,
    ).exclude(pk=run.pk)
    return timedelta(seconds=requests * (other_runs.count() + 1) / REQUESTS_A_SECOND)
