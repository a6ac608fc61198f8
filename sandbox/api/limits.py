"""The leaky bucket: how many requests a portal takes from one address in a stretch of time."""

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
    """One bucket a portal and source address, whatever the application; filled by each request."""

    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)

    def admit(self, portal: Portal, request: Request, now: float) -> None:
        """Count the request, or raise QUERY_LIMIT_EXCEEDED: turned away, not carried out."""
        bucket = self._buckets.setdefault((portal.member_id, request.address), _Bucket(seen=now))
        drained = (now - bucket.seen) * portal.bucket_drain
        bucket.level, bucket.seen = max(0.0, bucket.level - drained), now
        if bucket.level + 1 > portal.bucket_size:
            raise RestError("QUERY_LIMIT_EXCEEDED", "Too many requests", 503)
        bucket.level += 1
