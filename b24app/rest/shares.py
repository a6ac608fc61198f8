"""Limits how many requests of this process may wait for one portal at once: the portal's share.

A request keeps its thread while it waits for a portal. Without a limit, one slow portal takes every
thread, and no other portal is served. A request takes one place before its first call to a portal
and keeps it to its end, so none of its later calls is refused. Work outside a request holds no
thread for which a person waits: it takes a place for each call, and waits longer for it.

Portals are told apart by the host that is called, because the member_id in a request is not proved
before the first call. All portals share the OAuth server. A call to it takes a second place, for
that call only, so a slow OAuth server leaves threads to the portals whose tokens are valid.
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

# How long a request waits for a place. A portal that answers frees a place much sooner.
WAIT_SECONDS = 1.0
# After a request has waited in vain, requests that find no place are refused at once, without
# holding a thread: for this long, or until a place was held for less than WAIT_SECONDS.
SLOW_SECONDS = 10.0
# How long work outside a request waits. A renewal waits for the OAuth server with a lock on its
# row: together with the call this must stay below the 20 seconds that other writers of SQLite wait.
PATIENCE_SECONDS = 60.0
PATIENCE_UNDER_LOCK_SECONDS = 4.0


@dataclass(frozen=True)
class Size:
    """The size of a share."""

    places: int  # that can be taken at once
    waiting: int  # requests that may wait for a place


# For a process with 16 threads, as the README starts it: one portal takes at most a quarter, and
# those that wait for a second leave a quarter to all others. Three processes have 12 places; a
# portal takes two requests a second once its bucket of 50 is empty.
PORTAL = Size(places=4, waiting=8)
# Any posted token causes a question, so a flood of them must not hold many threads.
OAUTH_QUESTIONS = Size(places=3, waiting=3)
# After a pause many tokens are renewed together; each renewal takes a fraction of a second.
OAUTH_PAIRS = Size(places=4, waiting=8)
# A file of a long history takes minutes.
EXPORTS = Size(places=1, waiting=0)


@dataclass
class _Share:
    taken: int = 0  # places
    turns: deque[threading.Event] = field(default_factory=deque)  # one for each that waits
    refuses_until: float = 0.0  # of time.monotonic; see SLOW_SECONDS


_lock = threading.Lock()
# The shares in which a place is taken now.
_shares: dict[str, _Share] = {}


def _take(key: str, size: Size, patience: float | None = None) -> float | None:
    """Takes a place, first come, first served. Waits up to WAIT_SECONDS.

    With `patience`, for work outside a request, it waits that many seconds, even if more wait than
    `size.waiting`. Returns the moment at which the place was taken, for `_give_back`; None if no
    place became free.
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
            # The place passes to the next that waits.
            share.turns.popleft().set()
            return
        share.taken -= 1
        if not share.taken:
            del _shares[key]


class _RequestPlaces:
    """The places that one request has taken, shared by the threads that work for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, float] = {}

    def take(self, key: str) -> bool:
        """Takes a place unless the request has it. Returns False if no place became free."""
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


_places: ContextVar[_RequestPlaces | None] = ContextVar("b24app.shares", default=None)


@contextmanager
def one_request() -> Iterator[None]:
    """Makes this block one request, which keeps the places that it takes to its end."""
    places = _RequestPlaces()
    token = _places.set(places)
    try:
        yield
    finally:
        _places.reset(token)
        places.give_back()


@contextmanager
def of_portal(url: str) -> Iterator[None]:
    """Takes a place for a call to this host: in a request to its end, elsewhere for this block.

    Raises PortalBusy if no place is free.
    """
    key = host_of(url)
    places = _places.get()
    if places is None:
        with _place(key, PORTAL, PortalBusy, PATIENCE_SECONDS):
            yield
    elif places.take(key):
        yield
    else:
        raise _busy(key, PORTAL, PortalBusy)


def admit(url: str) -> None:
    """Takes the place that the rest of this request needs, before it changes anything.

    Raises PortalBusy. Does nothing outside a request, where each call takes its own place.
    """
    if _places.get() is not None:
        with of_portal(url):
            return


@contextmanager
def of_oauth_server(name: str, size: Size) -> Iterator[None]:
    """Takes a place for a call of the kind `name` to the OAuth server. Raises OAuthBusy."""
    patience = PATIENCE_UNDER_LOCK_SECONDS if _places.get() is None else None
    with _place(f"OAuth server ({name})", size, OAuthBusy, patience):
        yield


@contextmanager
def of_export(portal_id: int) -> Iterator[None]:
    """Takes the place of the one file that this process makes for a portal. Raises ExportBusy."""
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
    """Returns host[:port], which identifies a portal's share; "" for an invalid address."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:  # `check_url` refuses the address a moment later.
        return ""
