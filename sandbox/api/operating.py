"""Limits the running time of each method by application: ten buckets of a minute, added up.

The call that crosses the limit is finished; the next one is refused. Newer builds then refuse for
five minutes and count `batch` as a method of its own, with half its time.
https://apidocs.bitrix24.com/limits.html
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.api.registry import RestError
from sandbox.world.world import Portal

WINDOW = 600
BUCKET = 60
BAN = 300
# A shorter call does not count.
SHORTEST = 0.1
BATCH = "batch"

# Portal, application and method: all people of a portal share the time.
Key = tuple[str, str, str]


@dataclass
class _Used:
    buckets: dict[int, float] = field(default_factory=dict)  # by the minute in which it began
    first: dict[int, float] = field(default_factory=dict)  # the first call of each bucket
    banned_until: float = 0.0


@dataclass(frozen=True)
class Operating:
    """The fields of an answer's `time`."""

    seconds: float
    reset_at: int


@dataclass
class OperatingTime:
    """What each method of each application has used in the last ten minutes."""

    _used: dict[Key, _Used] = field(default_factory=dict)

    def admit(self, portal: Portal, client_id: str, method: str, now: float) -> None:
        """Raises RestError OPERATION_TIME_LIMIT if the method has used its time."""
        used = self._fresh(portal, client_id, method, now)
        over = sum(used.buckets.values()) > portal.operating_limit
        if portal.bans_for_operating and over:
            used.buckets.clear()
            used.first.clear()
            used.banned_until = now + BAN
        if now < used.banned_until or (over and not portal.bans_for_operating):
            raise RestError(
                "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429
            )

    def count(
        self, portal: Portal, client_id: str, method: str, *, seconds: float, now: float
    ) -> Operating:
        """Adds a finished call. The portal's `seconds_of` replaces the time that it really took."""
        used = self._fresh(portal, client_id, method, now)
        seconds = portal.seconds_of.get(method, seconds)
        if method == BATCH:
            seconds = seconds / 2 if portal.bans_for_operating else 0.0
        if seconds > SHORTEST:
            bucket = int(now // BUCKET)
            used.buckets[bucket] = used.buckets.get(bucket, 0.0) + seconds
            used.first.setdefault(bucket, now)
        oldest = min(used.first.values(), default=now)
        return Operating(sum(used.buckets.values()), int(oldest) + WINDOW)

    def _fresh(self, portal: Portal, client_id: str, method: str, now: float) -> _Used:
        used = self._used.setdefault((portal.member_id, client_id, method), _Used())
        for bucket in [b for b, began in used.first.items() if began + WINDOW <= now]:
            del used.buckets[bucket], used.first[bucket]
        return used
