"""Keeps a method that Bitrix24 has blocked from being called again before the block ends.

Bitrix24 adds up how long each method ran for this app in the last ten minutes, for all people of a
portal together, and blocks a method that ran too long. Each process learns of a block by itself.
https://apidocs.bitrix24.com/limits.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeGuard

from b24app.errors import Refused
from b24app.untrusted import numbers

CODE = "OPERATION_TIME_LIMIT"
# The newest servers block for five minutes; older ones until `operating_reset_at`, which is at most
# ten minutes away. Only an answer before the block says when that is.
SHORTEST_BLOCK = 300.0
LONGEST_BLOCK = 600.0
# Servers allow 420 seconds or more, and one call takes at most 60: an answer below this figure is
# not the last one before a block.
NEAR_THE_LIMIT = 300
# Methods of portals that are remembered. The app calls about thirty methods.
_MOST_REMEMBERED = 10_000

Key = tuple[str, str]

_lock = threading.Lock()
_resets: dict[Key, float] = {}
_blocks: dict[Key, float] = {}


def note(endpoint: str, method: str, answered: object) -> None:
    """Remembers when the method's time starts again, from `time` of an answer near the limit."""
    if not isinstance(answered, Mapping):
        return
    used, finish = answered.get("operating"), answered.get("finish")
    reset = numbers.whole(answered.get("operating_reset_at"))
    if reset is None or not _is_number(used) or not _is_number(finish) or used < NEAR_THE_LIMIT:
        return
    # Both are by the portal's clock.
    _remember(_resets, (endpoint, method), time.time() + min(reset - float(finish), LONGEST_BLOCK))


def block(endpoint: str, method: str) -> None:
    """Blocks the method after Bitrix24 has refused it for its operating time."""
    key = (endpoint, method)
    _remember(_blocks, key, max(time.time() + SHORTEST_BLOCK, _resets.get(key, 0.0)))


def refusal(endpoint: str, method: str) -> Refused | None:
    """Returns Bitrix24's own refusal if the method is still blocked; then it must not be called."""
    until = _blocks.get((endpoint, method))
    if until is None or until <= time.time():
        return None
    return Refused(CODE, "still blocked", 429)


def forget() -> None:
    with _lock:
        _resets.clear()
        _blocks.clear()


def _remember(moments: dict[Key, float], key: Key, until: float) -> None:
    with _lock:
        if len(moments) >= _MOST_REMEMBERED:
            now = time.time()
            for over in [each for each, moment in moments.items() if moment <= now]:
                del moments[over]
        if len(moments) < _MOST_REMEMBERED or key in moments:
            moments[key] = until


def _is_number(value: object) -> TypeGuard[int | float | Decimal]:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
