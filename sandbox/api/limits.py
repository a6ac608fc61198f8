"""Limits requests by a leaky bucket for each portal and source address."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.api.registry import RestError
from sandbox.wire.http import Request
from sandbox.world.world import Portal


@dataclass
class _Bucket:
    level: float = 0.0
    seen: float = 0.0


@dataclass
class Buckets:
    """One bucket for each portal and source address; all applications share it."""

    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)

    def admit(self, portal: Portal, request: Request, now: float) -> None:
        """Counts the request. Raises RestError QUERY_LIMIT_EXCEEDED if the bucket is full."""
        bucket = self._buckets.setdefault((portal.member_id, request.address), _Bucket(seen=now))
        drained = (now - bucket.seen) * portal.bucket_drain
        bucket.level, bucket.seen = max(0.0, bucket.level - drained), now
        if bucket.level + 1 > portal.bucket_size:
            raise RestError("QUERY_LIMIT_EXCEEDED", "Too many requests", 503)
        bucket.level += 1
