"""`manage.py work_events`: handles the due events, once or for ever."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections

from b24app.events import queue

# Seconds between two queries for due events; one that finds none uses an index.
SECONDS = 5.0


class Command(BaseCommand):
    help = (
        "Handles the queued events of portals, and retries those that failed. "
        "Any number of these may run at the same time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--forever",
            action="store_true",
            help="go on until SIGTERM or SIGINT; the event in work is finished first",
        )

    def handle(self, *, forever: bool, **options: Any) -> None:
        if forever:
            self._work_forever()
        else:
            self._work_once()

    def _work_forever(self) -> None:
        stop = threading.Event()

        def ask_to_stop(number: int, frame: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask_to_stop)
        self.stdout.write("Working events.")
        self.stdout.flush()
        while not stop.is_set():
            if queue.work(stop=stop.is_set):
                continue
            close_old_connections()
            stop.wait(SECONDS)

    def _work_once(self) -> None:
        worked = queue.work()
        left = queue.waiting().count()
        self.stdout.write(f"Events worked: {worked}; to be tried again later: {left}.")
