"""A call to a server and its outcome, for the REST log and the metrics.

It holds tokens and personal data: never show or store it unmasked.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from b24app.monitoring import trace
from b24app.monitoring.masking import MASK, method_name
from b24app.untrusted import clean_json
from b24app.untrusted.json_cost import values_at_most

# Of a larger answer only the size is logged; the answers for a screen are a tenth of this.
READABLE = 256 * 1024
READABLE_VALUES = 20_000

logger = logging.getLogger("b24app.rest.transport")


@dataclass
class Exchange:
    """One call; `answered` or `failed` completes it."""

    url: str = field(repr=False)
    asked: Mapping[str, Any] = field(repr=False)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    status: int = 0  # 0: no answer
    body: bytes = field(default=b"", repr=False)  # empty if the answer is too large to be logged
    size: int = 0  # bytes of the answer
    failure: str = ""  # the class of the app's error, if there is no answer
    trace: trace.Trace = field(default_factory=trace.current)

    def __post_init__(self) -> None:
        self.size = self.size or len(self.body)

    def answered(self, status: int, body: bytes) -> None:
        self.status, self.size = status, len(body)
        # The body stays in memory until the log is written, so a large one is dropped.
        if len(body) <= READABLE and values_at_most(body) <= READABLE_VALUES:
            self.body = body
        self._end()

    def failed(self, error: Exception) -> None:
        self.failure = type(error).__name__
        self._end()

    def _end(self) -> None:
        self.seconds = time.monotonic() - self.started
        outcome = self.failure or self.status
        logger.info("%s %s %s in %d ms", outcome, self.host, self.method, self.seconds * 1000)

    @property
    def host(self) -> str:
        """host[:port]; the path of a webhook's address is a secret."""
        try:
            return urlsplit(self.url).netloc.rpartition("@")[2]
        except ValueError:
            return MASK

    @cached_property
    def method(self) -> str:
        path = self.url.partition("?")[0].rstrip("/")
        if path.endswith("/oauth/token"):
            return "oauth.token"
        return method_name(path.rpartition("/")[2].removesuffix(".json"))

    @cached_property
    def commands(self) -> list[str]:
        """The methods in a batch."""
        lines = self.asked.get("cmd")
        if not isinstance(lines, Mapping):
            return []
        return [method_name(str(line).partition("?")[0]) for line in lines.values()]

    @property
    def answer(self) -> Any:
        """The JSON of the answer; None if it is not JSON or too large. Parsed at each access."""
        if not self.body:
            return None
        try:
            return clean_json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def code(self) -> str:
        """The server's error code, or the class of the app's error; "" for a success.

        Does not parse the body of a success, which was parsed before.
        """
        if not self.status:
            return self.failure or "unknown"
        answer = self.answer if b'"error"' in self.body else None
        if isinstance(answer, dict) and "error" in answer:
            return str(answer["error"]) or "empty"
        return "" if self.status < 300 else f"HTTP {self.status}"
