"""The interpreter's stack below a request: no loop allocates memory on each call, at any depth."""

from __future__ import annotations

import resource
from collections.abc import Callable
from threading import Thread

import pytest

from b24app.web.call_stack import with_room

DEEPEST = 150  # calls, far more than a chunk of 16 KiB holds
CALLS = 400
FEW = 40  # page faults of anything else meanwhile


def called(a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
    return a + b + c + d


def faults_of_a_loop() -> int:
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(CALLS):
        called()
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before


def at_depth(depth: int, work: Callable[[], int]) -> int:
    return work() if not depth else at_depth(depth - 1, work)


def most_faults(call: Callable[[int, Callable[[], int]], int]) -> int:
    """Returns the most page faults at any depth, in a thread with a new stack."""
    found: list[int] = []

    def look() -> None:
        found.extend(call(depth, faults_of_a_loop) for depth in range(DEEPEST))

    thread = Thread(target=look)
    thread.start()
    thread.join()
    return max(found)


def test_with_room_no_depth_is_slow() -> None:
    @with_room
    def roomy(depth: int, work: Callable[[], int]) -> int:
        return at_depth(depth, work)

    assert most_faults(roomy) < FEW


def test_only_what_is_written_in_python_has_room() -> None:
    with pytest.raises(TypeError):
        with_room(len)
