"""`manage.py prune`: deletes data that need not be kept any longer; run it once a day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.utils import timezone

from b24app.models import EventReceipt, RestCall
from b24app.signals import pruning

# A receipt makes a second delivery do nothing. Bitrix24 delivers an event once, but an attacker who
# recorded one could send it again while its application_token is valid.
RECEIPT_DAYS = 90
# Wrong passwords at the admin, with names and addresses, are kept to investigate attacks.
SIGN_IN_DAYS = 30
# Rows deleted in one transaction, so that other writers do not wait long.
ROWS_AT_ONCE = 1_000


class Command(BaseCommand):
    help = (
        "Deletes calls older than B24_REST_LOG_DAYS, handled events older than "
        f"{RECEIPT_DAYS} days, and other data that need not be kept any longer."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        old_calls = RestCall.objects.filter(at__lt=now - timedelta(days=settings.B24_REST_LOG_DAYS))
        self.stdout.write(f"REST log: {delete_in_chunks(old_calls)} calls deleted.")
        # An event that was not handled is kept, however old it is.
        old_receipts = EventReceipt.objects.filter(
            handled_at__lt=now - timedelta(days=RECEIPT_DAYS)
        )
        self.stdout.write(f"Events: {delete_in_chunks(old_receipts)} receipts deleted.")
        SessionStore.clear_expired()
        self.stdout.write("Sessions of the admin: the expired ones are deleted.")
        old_attempts = AccessAttempt.objects.filter(
            attempt_time__lt=now - timedelta(days=SIGN_IN_DAYS)
        )
        self.stdout.write(f"Wrong passwords: {delete_in_chunks(old_attempts)} deleted.")
        self._send_pruning(now)

    def _send_pruning(self, now: datetime) -> None:
        failed = []
        for receiver, result in pruning.send_robust(sender=type(self), now=now):
            if isinstance(result, Exception):
                failed.append(f"{receiver.__module__}: {type(result).__name__}")
            elif result:
                self.stdout.write(str(result))
        if failed:
            raise CommandError(f"Not all could be deleted: {'; '.join(failed)}. See the log.")


def delete_in_chunks(rows: QuerySet[Any]) -> int:
    """Deletes all rows, the oldest first; returns their number."""
    deleted = 0
    while chunk := list(rows.order_by("pk").values_list("pk", flat=True)[:ROWS_AT_ONCE]):
        rows.model._default_manager.filter(pk__in=chunk).delete()
        deleted += len(chunk)
    return deleted
