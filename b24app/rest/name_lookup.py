"""Looks a host's name up without waiting longer than the caller can.

The system's resolver cannot be interrupted, and takes half a minute where a name server is silent.
So it runs in a thread that the caller stops waiting for. All callers of one name wait for the same
lookup: a portal whose name server is silent holds one thread, however often it is called.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from ipaddress import ip_address

# Names under lookup at once. The lookups of a thousand portals take milliseconds each.
LOOKUPS_AT_ONCE = 64

_lock = threading.Lock()
_running: dict[tuple[str, int], Future[list[str]]] = {}


def addresses_of(host: str, port: int, *, seconds: float | None) -> list[str]:
    """The addresses of a host, in the resolver's order, each once.

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
    except Exception as error:  # noqa: BLE001 - raised again by those who wait
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
