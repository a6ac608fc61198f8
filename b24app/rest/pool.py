"""Runs a few calls at the same time, so that a screen waits for the slowest instead of for all."""

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
# Of these, for the tasks of one portal: a slow one leaves most of them to the others.
SHARE = 4

Task = Callable[[], None]

_lock = threading.Lock()
_used: Counter[str] = Counter()
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="b24app")


def run_all(tasks: Sequence[Task], *, of: str = "") -> None:
    """Run all tasks, the first of them here, and return when every one has ended.

    `of` names the portal that they call, "" for none. At most SHARE threads of the pool work for
    one portal; tasks beyond that run here, one after another.

    Tasks keep their own failures; an exception that leaves one is a mistake, raised here.
    Context variables go along, and so does the language, which belongs to a thread.
    """
    if not tasks:
        return
    first, *others = tasks
    language = translation.get_language()
    submitted: list[tuple[Future[None], Task]] = []
    left: list[Task] = []
    for task in others:
        if _take_place(of):
            future = _pool.submit(copy_context().run, _in_pool, task, language)
            future.add_done_callback(lambda _: _give_back(of))
            submitted.append((future, task))
        else:
            left.append(task)
    try:
        first()
        for task in left:
            task()
        for future, task in submitted:
            if future.cancel():  # No thread has taken it up yet.
                task()
    finally:
        # A cancelled one is not waited for: only a free thread would call it done.
        running = [future for future, _ in submitted if not future.cancel()]
        wait(running)
    for future in running:
        future.result()


def _take_place(of: str) -> bool:
    with _lock:
        if of and _used[of] >= SHARE:
            return False
        _used[of] += 1
        return True


def _give_back(of: str) -> None:
    with _lock:
        _used[of] -= 1
        if not _used[of]:
            del _used[of]


def _in_pool(task: Task, language: str) -> None:
    try:
        with translation.override(language):
            task()
    finally:
        connections.close_all()  # Django closes at the end of a request, which is not here.
