"""Parts of the bench that run in processes of their own, so that no one's work slows another's."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

# Nothing that is asked of a part takes longer.
ANSWER_SECONDS = 60
STOP_SECONDS = 5

_context = multiprocessing.get_context("spawn")


class PartFailed(Exception):
    """A part of the bench raised, ended or said nothing; the message is its own."""


class Part:
    """Ask the object at the other end of a pipe: `part.name(*values)` calls its method."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*values: Any) -> Any:
            try:
                self._pipe.send((name, values))
                if not self._pipe.poll(ANSWER_SECONDS):
                    raise PartFailed(f"{name}: no answer")
                kind, value = self._pipe.recv()
            except (EOFError, OSError) as error:
                raise PartFailed(f"{name}: the process has ended") from error
            if kind == "error":
                raise PartFailed(f"{name}: {value}")
            return value

        return ask


def answer_one(pipe: Connection, served: object) -> bool:
    """Answer one question at the child's end; False once the parent has gone."""
    try:
        name, values = pipe.recv()
    except (EOFError, OSError):
        return False
    try:
        pipe.send(("value", getattr(served, name)(*values)))
    except Exception as error:  # noqa: BLE001 - it is told to whoever asked
        pipe.send(("error", f"{type(error).__name__}: {error}"))
    return True


@contextmanager
def part(target: Callable[..., None], *values: Any) -> Iterator[Part]:
    """Run `target(pipe, *values)` in a new process for the length of the block."""
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
