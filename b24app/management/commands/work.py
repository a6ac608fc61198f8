"""`manage.py work`: does all background work until it is told to stop."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from b24app.work import jobs


class Command(BaseCommand):
    help = (
        "Do all background work until SIGTERM or SIGINT: handle events, settle payments that are "
        "not confirmed, post comments, keep tokens, delete old data. Any number of these may run, "
        "on any number of machines."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()

        def ask_to_stop(number: int, frame: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask_to_stop)
        self.stdout.write(f"Process {os.getpid()} works: {', '.join(jobs.JOBS)}.")
        self.stdout.flush()
        jobs.work_all(stop)
        self.stdout.write("Stopped.")
