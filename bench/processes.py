"""Runs parts of the bench in their own processes, so that they do not slow each other down."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

# Longer than any call of a part.
ANSWER_SECONDS = 60
STOP_SECONDS = 5

_context = multiprocessing.get_context("spawn")


class PartFailed(Exception):
    """A part of the bench raised an error, ended, or did not respond."""


class Part:
    """Calls the object in the other process: `part.name(*values)`. Raises PartFailed."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*values: Any) -> Any:
            try:
                self._pipe.send((name, values))
                if not self._pipe.poll(ANSWER_SECONDS):
                    raise PartFailed(f"{name}: no response")
                kind, value = self._pipe.recv()
            except (EOFError, OSError) as error:
                raise PartFailed(f"{name}: the process has ended") from error
            if kind == "error":
                raise PartFailed(f"{name}: {value}")
            return value

        return ask


def handle_one(pipe: Connection, served: object) -> bool:
    """Handles one call in the child process; returns False if the parent has ended."""
    try:
        name, values = pipe.recv()
    except (EOFError, OSError):
        return False
    try:
        pipe.send(("value", getattr(served, name)(*values)))
    except Exception as error:  # noqa: BLE001 - the parent raises it
        pipe.send(("error", f"{type(error).__name__}: {error}"))
    return True


@contextmanager
def part(target: Callable[..., None], *values: Any) -> Iterator[Part]:
    """Runs `target(pipe, *values)` in a new process until the block ends."""
    ours, theirs = _context.Pipe()
    process = _context.Process(target=target, args=(theirs, *values), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Part(ours)
    finally:
        ours.close()
        process.join(STOP_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
