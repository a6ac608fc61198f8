"""Each portal's share of this process: how many requests may wait for one portal at once.

A request keeps its thread while it waits for a portal. Without a share, one slow portal takes every
thread, and no other portal is served. The share counts requests: a request takes one place before
its first call to a portal and keeps it to its end, so that no later call of it is refused. Work
outside a request takes a place for each call.

Portals are told apart by the host that is called, because who claims to be which portal is not
proved before the first call. The OAuth server is shared by all portals. Its calls take a place of
their own, on top of the portal's and for one call only, so that a slow OAuth server leaves threads
to the portals whose tokens are good.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from b24app.errors import OAuthBusy, PortalBusy

logger = logging.getLogger(__name__)

# How long a request waits for a place. A portal that answers has a place free well before.
WAIT_SECONDS = 1.0
# After a wait in vain nobody waits for that portal for so long: who finds no place is refused at
# once, so that only the places themselves hold threads.
SLOW_SECONDS = 5.0


@dataclass(frozen=True)
class Size:
    """`places` that can be taken at once, and how many requests may wait for one."""

    places: int
    waiting: int


# Of a process with 16 threads, as the README starts it. A quarter serves one portal and a quarter
# may wait for it, no longer than WAIT_SECONDS. With three processes these are 12 places; a portal
# takes two requests a second once its bucket of 50 is empty.
PORTAL = Size(places=4, waiting=4)
# Anybody can post tokens, and each takes a question to the OAuth server.
OAUTH_QUESTIONS = Size(places=3, waiting=3)
# After a pause many tokens are renewed together; each takes a fraction of a second.
OAUTH_PAIRS = Size(places=4, waiting=8)


@dataclass
class _Share:
    taken: int = 0
    turns: deque[threading.Event] = field(default_factory=deque)
    refuses_until: float = 0.0


_lock = threading.Lock()
# Of portals that are called at this moment.
_shares: dict[str, _Share] = {}


def _take(key: str, size: Size) -> bool:
    """Take a place, in the order of asking. Waits up to WAIT_SECONDS; False if none became free."""
    with _lock:
        share = _shares.setdefault(key, _Share())
        if share.taken < size.places:
            share.taken += 1
            return True
        if len(share.turns) >= size.waiting or time.monotonic() < share.refuses_until:
            return False
        turn = threading.Event()
        share.turns.append(turn)
    if turn.wait(WAIT_SECONDS):
        return True
    with _lock:
        if turn.is_set():
            return True
        share.turns.remove(turn)
        is_news = time.monotonic() >= share.refuses_until
        share.refuses_until = time.monotonic() + SLOW_SECONDS
    if is_news:
        logger.warning("%s is slow: %d requests wait for its answers", key, size.places)
    return False


def _give_back(key: str) -> None:
    with _lock:
        share = _shares[key]
        if share.turns:
            # The place goes straight to the next in line.
            share.turns.popleft().set()
            return
        share.taken -= 1
        if not share.taken:
            del _shares[key]


class _Unit:
    """The places that one request has taken. The threads that work for it share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: set[str] = set()

    def take(self, key: str) -> bool:
        with self._lock:
            if key not in self._keys:
                if not _take(key, PORTAL):
                    return False
                self._keys.add(key)
            return True

    def give_back(self) -> None:
        for key in self._keys:
            _give_back(key)


_unit: ContextVar[_Unit | None] = ContextVar("b24app.shares", default=None)


@contextmanager
def one_request() -> Iterator[None]:
    """Count all calls of this block as one: it keeps the places that it takes to its end."""
    unit = _Unit()
    token = _unit.set(unit)
    try:
        yield
    finally:
        _unit.reset(token)
        unit.give_back()


@contextmanager
def of_portal(url: str) -> Iterator[None]:
    """Take a place among the requests to this host: for the block, within a request to its end.

    Raises PortalBusy if there is none.
    """
    key = host_of(url)
    unit = _unit.get()
    if not (unit.take(key) if unit else _take(key, PORTAL)):
        raise PortalBusy(f"{key} has {PORTAL.places} requests under way")
    try:
        yield
    finally:
        if unit is None:
            _give_back(key)


def admit(url: str) -> None:
    """Take the place that the rest of this request needs, before it begins something. Raises
    PortalBusy. Does nothing outside a request, whose calls take a place each."""
    if _unit.get() is not None:
        with of_portal(url):
            return


@contextmanager
def of_oauth_server(name: str, size: Size) -> Iterator[None]:
    """Take a place among the calls of one kind to the OAuth server. Raises OAuthBusy."""
    key = f"OAuth server ({name})"
    if not _take(key, size):
        raise OAuthBusy(f"{key} has {size.places} calls under way")
    try:
        yield
    finally:
        _give_back(key)


def host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:  # Refused as an address a moment later.
        return ""
