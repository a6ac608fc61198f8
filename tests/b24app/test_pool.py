"""Parallel tasks: their context, their connections, and their errors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest
from django.db import connection

from b24app.rest import pool

WHOSE: ContextVar[str] = ContextVar("whose", default="nobody's")


def test_tasks_run_at_the_same_time_the_first_of_them_here() -> None:
    meeting = threading.Barrier(3, timeout=10)
    threads: dict[int, threading.Thread] = {}

    def meet(number: int) -> Callable[[], None]:
        def task() -> None:
            meeting.wait()
            threads[number] = threading.current_thread()

        return task

    pool.run_all([meet(0), meet(1), meet(2)])

    assert threads[0] is threading.current_thread()
    assert len(set(threads.values())) == 3


def test_nothing_to_do_is_done() -> None:
    pool.run_all([])


def test_tasks_that_have_tasks_do_not_wait_for_threads_that_they_hold() -> None:
    everybody = threading.Barrier(pool.THREADS + 1, timeout=10)
    done: list[int] = []

    def task() -> None:
        everybody.wait()  # No thread of the pool is free now.
        pool.run_all([_nothing, lambda: done.append(1)])

    pool.run_all([task] * (pool.THREADS + 1))

    assert len(done) == pool.THREADS + 1


def _nothing() -> None:
    return


def test_the_context_goes_along() -> None:
    meeting = threading.Barrier(2, timeout=10)
    seen: list[str] = []

    def task() -> None:
        meeting.wait()
        seen.append(WHOSE.get())

    token = WHOSE.set("the caller's")
    try:
        pool.run_all([task, task])
    finally:
        WHOSE.reset(token)

    assert seen == ["the caller's", "the caller's"]


@pytest.mark.django_db(transaction=True)
def test_the_database_connections_of_other_threads_are_closed() -> None:
    meeting = threading.Barrier(2, timeout=10)
    wrappers = []

    def task() -> None:
        meeting.wait()
        connection.ensure_connection()
        wrappers.append(connection._connections[connection._alias])  # type: ignore[attr-defined]

    pool.run_all([task, task])

    mine = connection._connections[connection._alias]  # type: ignore[attr-defined]
    (others,) = [wrapper for wrapper in wrappers if wrapper is not mine]
    assert others.connection is None
    assert mine.connection is not None


@pytest.mark.parametrize("place", [0, 1])
def test_a_mistake_in_a_task_is_not_swallowed(place: int) -> None:
    def mistake() -> None:
        raise ZeroDivisionError

    tasks = [_nothing, _nothing]
    tasks[place] = mistake
    with pytest.raises(ZeroDivisionError):
        pool.run_all(tasks)
