"""How fast a run may go: by the requests that its steps really made.

Bitrix24 counts the requests that reach a portal from one address in a bucket of 50, which leaks two
a second; once it is full, everybody who works through this app is turned away.
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

# Of the two requests a second that the bucket leaks, all runs of a portal together use this; the
# rest, and the bucket itself, is for the people working beside them.
REQUESTS_A_SECOND = 1.5

# What a row usually takes: two to read how it stands, one to pay, one to read it back. It serves to
# say beforehand how long a run takes; the pace itself goes by what was really asked.
REQUESTS_A_ROW = 4

# A run whose page has not asked for a step for so long stands still, and has no share.
_STANDS_STILL_AFTER = timedelta(minutes=1)


class Requests:
    """The portal's requests that were made while it was counted, retries included."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._seen: list[str] = []

    def note(self, exchange: Exchange) -> None:
        if exchange.host == self.host:
            self._seen.append(exchange.method)  # In one go, from whichever thread.

    @property
    def count(self) -> int:
        return len(self._seen)


# Goes along into the threads of `run_batches`, which run in copies of the caller's context.
_counting: ContextVar[Requests | None] = ContextVar("requests_counted", default=None)


@contextmanager
def counted(portal: Portal) -> Iterator[Requests]:
    requests = Requests(urlsplit(portal.client_endpoint).netloc)
    token = _counting.set(requests)
    try:
        yield requests
    finally:
        _counting.reset(token)


@receiver(exchanged)
def _note(*, exchange: Exchange, **kwargs: object) -> None:
    requests = _counting.get()
    if requests is not None:
        requests.note(exchange)


def pause_after(run: Run, requests: int, *, now: datetime) -> timedelta:
    """From the beginning of a step that made so many requests to the beginning of the next."""
    going = Run.objects.filter(
        portal_id=run.portal_id,
        state=RunState.RUNNING,
        next_step_at__gt=now - _STANDS_STILL_AFTER,
    ).exclude(pk=run.pk)
    return timedelta(seconds=requests * (going.count() + 1) / REQUESTS_A_SECOND)
