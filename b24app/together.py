"""Runs a few calls at the same time, so that a screen waits for the slowest instead of for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context

from django.db import connections
from django.utils import translation

# Two or three calls for each of a worker's eight threads; who finds no free thread waits for one
# by doing the work itself.
THREADS = 16

Task = Callable[[], None]

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="b24app")


def run_together(tasks: Sequence[Task]) -> None:
    """Run all tasks, the first of them here, and return when every one has ended.

    Tasks keep their own failures; an exception that leaves one is a mistake, raised here.
    Context variables go along, and so does the language, which belongs to a thread.
    """
    if not tasks:
        return
    first, *others = tasks
    language = translation.get_language()
    submitted = [
        (_pool.submit(copy_context().run, _in_pool, task, language), task) for task in others
    ]
    try:
        first()
        for future, task in submitted:
            if future.cancel():  # No thread has taken it up yet.
                task()
    finally:
        # A cancelled one is not waited for: only a free thread would call it done.
        running = [future for future, _ in submitted if not future.cancel()]
        wait(running)
    for future in running:
        future.result()


def _in_pool(task: Task, language: str) -> None:
    try:
        with translation.override(language):
            task()
    finally:
        connections.close_all()  # Django closes at the end of a request, which is not here.
