"""Runs calls at the same time, so that a screen waits only for the slowest of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context

from django.db import connections
from django.utils import translation

# A request that finds no free thread runs its tasks itself, one after another.
THREADS = 16
# Threads of the pool for the tasks of one portal, so that a slow portal leaves most to the others.
SHARE = 4

Task = Callable[[], None]

_lock = threading.Lock()
_used: Counter[str] = Counter()
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="b24app")


def run_all(tasks: Sequence[Task], *, host: str = "") -> None:
    """Runs all tasks, the first one in this thread, and returns when all have ended.

    `host` is the host of the portal that they call, "" for none. At most SHARE threads of the pool
    work for one portal; the other tasks run in this thread, one after another.

    Tasks must handle their own errors; an exception that leaves a task is a bug, and is raised
    here. Tasks see the context variables and the language of this thread.
    """
    if not tasks:
        return
    first, *others = tasks
    language = translation.get_language()
    submitted: list[tuple[Future[None], Task]] = []
    left: list[Task] = []
    for task in others:
        if _take_place(host):
            future = _pool.submit(copy_context().run, _in_pool, task, language)
            future.add_done_callback(lambda _: _give_back(host))
            submitted.append((future, task))
        else:
            left.append(task)
    try:
        first()
        for task in left:
            task()
        for future, task in submitted:
            if future.cancel():  # No thread has started it yet.
                task()
    finally:
        # Does not wait for cancelled tasks: only a free thread would mark them as done.
        running = [future for future, _ in submitted if not future.cancel()]
        wait(running)
    for future in running:
        future.result()


def _take_place(host: str) -> bool:
    with _lock:
        if host and _used[host] >= SHARE:
            return False
        _used[host] += 1
        return True


def _give_back(host: str) -> None:
    with _lock:
        _used[host] -= 1
        if not _used[host]:
            del _used[host]


def _in_pool(task: Task, language: str) -> None:
    try:
        with translation.override(language):
            task()
    finally:
        connections.close_all()  # Django closes connections only in a request's own thread.
