"""`manage.py prune`: deletes data that need not be kept any longer; run it once a day."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from b24app.work import jobs
from b24app.work.prune import RECEIPT_DAYS, NotAllPruned, prune


class Command(BaseCommand):
    help = (
        "Deletes calls older than B24_REST_LOG_DAYS, handled events older than "
        f"{RECEIPT_DAYS} days, and other data that need not be kept any longer."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with jobs.recorded("prune"):
                for sentence in prune():
                    self.stdout.write(sentence)
        except NotAllPruned as error:
            raise CommandError(f"Not all could be deleted: {error}. See the log.") from error
