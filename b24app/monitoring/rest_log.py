"""Logs calls in the database: queues each at once; a thread masks and writes them a second later.

So a person who waits for Bitrix24 does not wait for the log. A killed process loses its last
second of calls.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections
from django.db.models import Q
from django.dispatch import receiver

from b24app.models import Portal, RestCall
from b24app.monitoring.exchange import Exchange
from b24app.monitoring.masking import code_word, masked
from b24app.signals import exchanged, portal_uninstalled

# Limits on the queue: calls, and bytes of their answers. Calls beyond them are dropped. All threads
# of a worker make far fewer while the database is busy.
WAITING_CALLS = 2_000
WAITING_BYTES = 32 * 1024 * 1024
# The thread writes the calls of this many seconds together, in statements of this many rows.
GATHER_SECONDS = 1.0
ROWS_AT_ONCE = 200
COMMANDS_LENGTH = 2_000

logger = logging.getLogger(__name__)


class Writer:
    """A bounded queue of calls, and a thread that writes them into the database."""

    def __init__(self) -> None:
        self._reset()
        # A forked child does not have its parent's thread, and must not write the parent's calls.
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._waiting: list[Exchange] = []
        self._bytes = 0
        self._dropped = 0
        self._thread: threading.Thread | None = None

    def put(self, exchange: Exchange) -> None:
        """Queues a call; drops it if the queue is full."""
        size = len(exchange.body)
        with self._changed:
            is_full = len(self._waiting) >= WAITING_CALLS or self._bytes + size > WAITING_BYTES
            if is_full:
                self._dropped += 1
                return
            self._waiting.append(exchange)
            self._bytes += size
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rest-log", daemon=True)
                self._thread.start()
            if len(self._waiting) == 1:
                self._changed.notify()

    def flush(self) -> None:
        """Writes all queued calls in this thread."""
        with self._writing:
            exchanges, dropped = self._take()
            if dropped:
                logger.warning("the REST log was full: %d calls are not in it", dropped)
            for start in range(0, len(exchanges), ROWS_AT_ONCE):
                _save(exchanges[start : start + ROWS_AT_ONCE])

    def _take(self) -> tuple[list[Exchange], int]:
        with self._changed:
            taken = self._waiting, self._dropped
            self._waiting, self._bytes, self._dropped = [], 0, 0
        return taken

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
            pause.wait(GATHER_SECONDS)
            try:
                self.flush()
            except Exception:
                logger.exception("calls could not be written to the REST log")
            finally:
                connections.close_all()


def _save(exchanges: list[Exchange]) -> None:
    try:
        portal_of = _portals(exchanges)
        RestCall.objects.bulk_create([_row(each, portal_of[id(each)]) for each in exchanges])
    except DatabaseError as error:
        # Not its text, which could quote a row.
        logger.warning("%d calls are not in the REST log: %s", len(exchanges), type(error).__name__)


def _portals(exchanges: list[Exchange]) -> dict[int, int | None]:
    """Returns the portal of each call, by `id(exchange)`: the one that was called, else the one of
    the request that caused the call."""
    hosts = {each.host for each in exchanges}
    traced = {each.trace.portal_pk for each in exchanges if each.trace.portal_pk is not None}
    rows = Portal.objects.filter(Q(domain__in=hosts) | Q(pk__in=traced)).values_list("domain", "pk")
    by_host = dict(rows)
    existing = set(by_host.values())
    found: dict[int, int | None] = {}
    for each in exchanges:
        traced_pk = each.trace.portal_pk if each.trace.portal_pk in existing else None
        found[id(each)] = by_host.get(each.host, traced_pk)
    return found


def _row(exchange: Exchange, portal_pk: int | None) -> RestCall:
    return RestCall(
        portal_id=portal_pk,
        at=exchange.at,
        host=exchange.host[:255],
        method=exchange.method,
        commands=",".join(exchange.commands)[:COMMANDS_LENGTH],
        user_id=exchange.trace.user_id,
        status=exchange.status,
        code=code_word(exchange.code),
        milliseconds=round(exchange.seconds * 1000),
        asked=masked(exchange.asked),
        answered=_answered(exchange),
        request_id=exchange.trace.request_id,
    )


def _answered(exchange: Exchange) -> Any:
    """Returns the masked answer; its size if it is not JSON or too large."""
    answer = exchange.answer
    if answer is None:
        return {"bytes": exchange.size}
    return masked(answer)


_writer = Writer()
flush = _writer.flush
atexit.register(flush)


@receiver(exchanged)
def _log(exchange: Exchange, **kwargs: Any) -> None:
    if settings.B24_REST_LOG_DAYS > 0:
        _writer.put(exchange)


@receiver(portal_uninstalled)
def _forget_people(portal: Portal, **kwargs: Any) -> None:
    """Removes the people from the logged calls of an erased portal; `prune` deletes the rest."""
    RestCall.objects.filter(portal=portal).update(user_id=None)
