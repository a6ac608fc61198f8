"""Each portal's share of this process: how many requests may wait for one portal at once.

A request keeps its thread while it waits for a portal. Without a share, one slow portal takes every
thread, and no other portal is served. The share counts requests: a request takes one place before
its first call to a portal and keeps it to its end, so that no later call of it is refused. Work
outside a request holds no thread that a person waits for: it takes a place for each call, and waits
longer for it.

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

from b24app.errors import ExportBusy, OAuthBusy, PortalBusy

logger = logging.getLogger(__name__)

# How long a request waits for a place. A portal that answers has a place free well before.
WAIT_SECONDS = 1.0
# After a wait in vain no request waits for that portal for so long, or until a place was held for
# less than a wait: without a place it is refused at once, and holds no thread.
SLOW_SECONDS = 10.0
# How long work outside a request waits. A renewal waits for the OAuth server with a lock on its
# row; with the call itself that stays below the 20 seconds that SQLite's other writers wait.
PATIENCE_SECONDS = 60.0
PATIENCE_UNDER_LOCK_SECONDS = 4.0


@dataclass(frozen=True)
class Size:
    """`places` that can be taken at once, and how many requests may wait for one."""

    places: int
    waiting: int


# Of a process with 16 threads, as the README starts it: a quarter serves one portal, and for a
# second a quarter is left to all others. With three processes these are 12 places; a portal takes
# two requests a second once its bucket of 50 is empty.
PORTAL = Size(places=4, waiting=8)
# A posted token needs no proof to be asked about, so a flood of them must not hold many threads.
OAUTH_QUESTIONS = Size(places=3, waiting=3)
# After a pause many tokens are renewed together; each takes a fraction of a second.
OAUTH_PAIRS = Size(places=4, waiting=8)


# A file of a long history takes minutes.
EXPORTS = Size(places=1, waiting=0)


@dataclass
class _Share:
    taken: int = 0
    turns: deque[threading.Event] = field(default_factory=deque)
    refuses_until: float = 0.0


_lock = threading.Lock()
# Of portals that are called at this moment.
_shares: dict[str, _Share] = {}


def _take(key: str, size: Size, patience: float | None = None) -> float | None:
    """Take a place, in the order of asking. Waits up to WAIT_SECONDS; up to `patience` seconds,
    however many wait already, outside a request.

    Returns the moment, for `_give_back`; None if no place became free.
    """
    with _lock:
        share = _shares.setdefault(key, _Share())
        if share.taken < size.places:
            share.taken += 1
            return time.monotonic()
        is_full = len(share.turns) >= size.waiting or time.monotonic() < share.refuses_until
        if is_full and patience is None:
            return None
        turn = threading.Event()
        share.turns.append(turn)
    if turn.wait(patience or WAIT_SECONDS):
        return time.monotonic()
    with _lock:
        if turn.is_set():
            return time.monotonic()
        share.turns.remove(turn)
        if patience is not None:
            return None
        is_news = time.monotonic() >= share.refuses_until
        share.refuses_until = time.monotonic() + SLOW_SECONDS
    if is_news:
        logger.warning("%s is slow: %d requests wait for its answers", key, size.places)
    return None


def _give_back(key: str, since: float) -> None:
    with _lock:
        share = _shares[key]
        if time.monotonic() - since < WAIT_SECONDS:
            share.refuses_until = 0.0
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
        self._taken: dict[str, float] = {}

    def take(self, key: str) -> bool:
        with self._lock:
            if key not in self._taken:
                since = _take(key, PORTAL)
                if since is None:
                    return False
                self._taken[key] = since
            return True

    def give_back(self) -> None:
        for key, since in self._taken.items():
            _give_back(key, since)


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
    if unit is None:
        with _place(key, PORTAL, PortalBusy, PATIENCE_SECONDS):
            yield
    elif unit.take(key):
        yield
    else:
        raise _busy(key, PORTAL, PortalBusy)


def admit(url: str) -> None:
    """Take the place that the rest of this request needs, before it begins something. Raises
    PortalBusy. Does nothing outside a request, whose calls take a place each."""
    if _unit.get() is not None:
        with of_portal(url):
            return


@contextmanager
def of_oauth_server(name: str, size: Size) -> Iterator[None]:
    """Take a place among the calls of one kind to the OAuth server. Raises OAuthBusy."""
    patience = PATIENCE_UNDER_LOCK_SECONDS if _unit.get() is None else None
    with _place(f"OAuth server ({name})", size, OAuthBusy, patience):
        yield


@contextmanager
def of_export(portal_id: int) -> Iterator[None]:
    """Take the place of the one file that this process makes of a portal. Raises ExportBusy."""
    with _place(f"export of portal {portal_id}", EXPORTS, ExportBusy, None):
        yield


@contextmanager
def _place(key: str, size: Size, error: type[PortalBusy], patience: float | None) -> Iterator[None]:
    since = _take(key, size, patience)
    if since is None:
        raise _busy(key, size, error)
    try:
        yield
    finally:
        _give_back(key, since)


def _busy(key: str, size: Size, error: type[PortalBusy]) -> PortalBusy:
    return error(f"{key} has {size.places} requests under way")


def host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:  # Refused as an address a moment later.
        return ""
