"""`manage.py work_events`: handles the due events once; cron runs it where no worker does."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from b24app.events import queue
from b24app.work import jobs


class Command(BaseCommand):
    help = (
        "Handles the queued events of portals, and retries those that failed. "
        "Any number of these may run at the same time."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with jobs.recorded("work_events"):
            worked = queue.work()
        left = queue.waiting().count()
        self.stdout.write(f"Events worked: {worked}; to be tried again later: {left}.")
