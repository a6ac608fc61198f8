"""Reserves room on the interpreter's stack, so that loops deep in a page do not allocate memory.

CPython keeps Python frames in chunks of 16 KiB. A call that does not fit into the last chunk maps a
new chunk, and its return unmaps it. If a chunk ends inside the loop that renders a list, each call
in that loop costs two system calls and some page faults. Where a chunk ends depends on the depth of
the server and the middleware.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import ParamSpec, TypeVar

# Slots of eight bytes. CPython doubles the 16 KiB of a new chunk until the frame fits: for this
# frame 256 KiB, of which half is left for all calls below it. Unused pages of it cost nothing.
SLOTS = 17_000

P = ParamSpec("P")
R = TypeVar("R")


def with_room(function: Callable[P, R]) -> Callable[P, R]:
    """Makes the function's frame so large that it and all its calls share one large chunk.

    Decorates the outermost function of a request. Raises TypeError if the function is not written
    in Python.
    """
    if not isinstance(function, FunctionType):
        raise TypeError(f"{function!r} has no code of its own")
    function.__code__ = function.__code__.replace(co_stacksize=SLOTS)
    return function
