"""Deletes what is past its time; meant to run once a day."""

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

# Bitrix24 delivers an event once; whoever recorded one could send it again as long as its
# application_token lives, and finds that it does nothing more.
RECEIPT_DAYS = 90
# Wrong passwords at the admin, with names and addresses: long enough to look into an attack.
SIGN_IN_DAYS = 30
# A transaction each, so that nobody waits long for the tables.
ROWS_AT_ONCE = 1_000


class Command(BaseCommand):
    help = (
        "Delete calls older than B24_REST_LOG_DAYS, handled events older than "
        f"{RECEIPT_DAYS} days, and all else that is past its time."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        old_calls = RestCall.objects.filter(at__lt=now - timedelta(days=settings.B24_REST_LOG_DAYS))
        self.stdout.write(f"REST log: {delete_in_chunks(old_calls)} calls deleted.")
        # An event that was not handled yet waits for whoever handles it, however old it is.
        old_receipts = EventReceipt.objects.filter(
            handled_at__lt=now - timedelta(days=RECEIPT_DAYS)
        )
        self.stdout.write(f"Events: {delete_in_chunks(old_receipts)} receipts deleted.")
        SessionStore.clear_expired()
        self.stdout.write("Sessions of the admin: those that are over are deleted.")
        old_attempts = AccessAttempt.objects.filter(
            attempt_time__lt=now - timedelta(days=SIGN_IN_DAYS)
        )
        self.stdout.write(f"Wrong passwords: {delete_in_chunks(old_attempts)} deleted.")
        self._ask_others(now)

    def _ask_others(self, now: datetime) -> None:
        failed = []
        for receiver, result in pruning.send_robust(sender=type(self), now=now):
            if isinstance(result, Exception):
                failed.append(f"{receiver.__module__}: {type(result).__name__}")
            elif result:
                self.stdout.write(str(result))
        if failed:
            raise CommandError(f"Not all could be deleted: {'; '.join(failed)}. See the log.")


def delete_in_chunks(rows: QuerySet[Any]) -> int:
    """Delete all of them, oldest first; returns how many they were."""
    deleted = 0
    while chunk := list(rows.order_by("pk").values_list("pk", flat=True)[:ROWS_AT_ONCE]):
        rows.model._default_manager.filter(pk__in=chunk).delete()
        deleted += len(chunk)
    return deleted
