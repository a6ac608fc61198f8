"""Room on the interpreter's stack, so that a page's deepest loops do not ask for memory each time.

CPython keeps Python frames in chunks of 16 KiB. A call that does not fit into the last chunk maps a
new one, and its return gives that back: where a chunk ends inside the loop that renders a list,
every call in that loop is two system calls and some page faults. Where it ends depends on how deep
the server and the middleware are, so it cannot be kept away by chance.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import ParamSpec, TypeVar

# Slots of eight bytes. A chunk is made large enough for the frame that asks for it, doubled from
# 16 KiB: for this one 256 KiB, of which half is left for all that is called from there. Untouched
# pages of it cost nothing.
SLOTS = 17_000

P = ParamSpec("P")
R = TypeVar("R")


def with_room(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose frame claims so much that what it calls shares one large chunk with it.

    To be put around the outermost function of a request. Raises TypeError for what is not written
    in Python.
    """
    if not isinstance(function, FunctionType):
        raise TypeError(f"{function!r} has no code of its own")
    function.__code__ = function.__code__.replace(co_stacksize=SLOTS)
    return function
