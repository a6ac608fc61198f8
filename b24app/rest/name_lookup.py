"""Resolves a host name, and stops waiting after the caller's time.

The system's resolver cannot be interrupted, and takes half a minute if a name server is silent. So
it runs in a thread, and the caller waits for the thread with a timeout. All callers of one name
wait for the same lookup, so a portal with a silent name server holds only one thread.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from ipaddress import ip_address

# Lookups at the same time. Each takes milliseconds, even with a thousand portals.
LOOKUPS_AT_ONCE = 64

_lock = threading.Lock()
_running: dict[tuple[str, int], Future[list[str]]] = {}


def addresses_of(host: str, port: int, *, seconds: float | None) -> list[str]:
    """Returns the addresses of a host, in the resolver's order, each once.

    Raises OSError if the name is unknown, TimeoutError (an OSError) after `seconds`.
    """
    if _is_address(host):
        return _look_up(host, port)
    with _lock:
        future = _running.get((host, port))
        if future is None:
            if len(_running) >= LOOKUPS_AT_ONCE:
                raise OSError("too many names are being looked up")
            future = _running[host, port] = Future()
            threading.Thread(
                target=_run, args=(host, port, future), name="name-lookup", daemon=True
            ).start()
    return future.result(seconds)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _run(host: str, port: int, future: Future[list[str]]) -> None:
    try:
        found = _look_up(host, port)
    except Exception as error:  # noqa: BLE001 - raised in the waiting callers
        _forget(host, port)
        future.set_exception(error)
    else:
        _forget(host, port)
        future.set_result(found)


def _forget(host: str, port: int) -> None:
    with _lock:
        del _running[host, port]


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
