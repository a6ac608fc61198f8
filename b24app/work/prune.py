"""Deletes data that need not be kept any longer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.db.models import QuerySet
from django.utils import timezone

from b24app.models import EventReceipt, RestCall
from b24app.signals import pruning
from b24app.work.jobs import Job, add_job

# A receipt makes a second delivery do nothing. Bitrix24 delivers an event once, but an attacker who
# recorded one could send it again while its application_token is valid.
RECEIPT_DAYS = 90
# Wrong passwords at the admin, with names and addresses, are kept to investigate attacks.
SIGN_IN_DAYS = 30
# Rows deleted in one transaction, so that other writers do not wait long.
ROWS_AT_ONCE = 1_000


class NotAllPruned(Exception):
    """Some receivers of `pruning` failed; the text names them, and the log has their errors."""


def prune() -> Iterator[str]:
    """Deletes what is old; yields a sentence for the operator after each kind of data.

    Raises NotAllPruned at the end if a receiver failed; the others have done their part.
    """
    now = timezone.now()
    old_calls = RestCall.objects.filter(at__lt=now - timedelta(days=settings.B24_REST_LOG_DAYS))
    yield f"REST log: {delete_in_chunks(old_calls)} calls deleted."
    # An event that was not handled is kept, however old it is.
    old_receipts = EventReceipt.objects.filter(handled_at__lt=now - timedelta(days=RECEIPT_DAYS))
    yield f"Events: {delete_in_chunks(old_receipts)} receipts deleted."
    SessionStore.clear_expired()
    yield "Sessions of the admin: the expired ones are deleted."
    old_attempts = AccessAttempt.objects.filter(attempt_time__lt=now - timedelta(days=SIGN_IN_DAYS))
    yield f"Wrong passwords: {delete_in_chunks(old_attempts)} deleted."
    failed = []
    for receiver, result in pruning.send_robust(sender=None, now=now):
        if isinstance(result, Exception):
            failed.append(f"{receiver.__module__}: {type(result).__name__}")
        elif result:
            yield str(result)
    if failed:
        raise NotAllPruned("; ".join(failed))


def delete_in_chunks(rows: QuerySet[Any]) -> int:
    """Deletes all rows, the oldest first; returns their number."""
    deleted = 0
    while chunk := list(rows.order_by("pk").values_list("pk", flat=True)[:ROWS_AT_ONCE]):
        rows.model._default_manager.filter(pk__in=chunk).delete()
        deleted += len(chunk)
    return deleted


add_job(
    Job(
        "prune",
        lambda stop: sum(1 for _ in prune()),
        period=timedelta(days=1),
        missed_after=timedelta(days=2),
    )
)
