"""One call and what came of it, for those who take note: not to be shown or kept unmasked."""

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

# Larger answers are logged by their size alone; a screen's are a tenth of this.
READABLE = 256 * 1024
READABLE_VALUES = 20_000

logger = logging.getLogger("b24app.rest.transport")


@dataclass
class Exchange:
    url: str = field(repr=False)
    asked: Mapping[str, Any] = field(repr=False)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    status: int = 0  # 0: no answer
    body: bytes = field(default=b"", repr=False)  # empty for an answer that is not to be read
    size: int = 0  # bytes of the answer
    failure: str = ""  # the class of our own error, where there is no answer
    trace: trace.Trace = field(default_factory=trace.current)

    def __post_init__(self) -> None:
        self.size = self.size or len(self.body)

    def answered(self, status: int, body: bytes) -> None:
        self.status, self.size = status, len(body)
        # The log waits for a moment: it must not keep what its reader has no use for.
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
        """host[:port]; the rest of the address of a webhook is a secret."""
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
        """The JSON of the answer, None where it is no JSON or too large. Parsed at each access."""
        if not self.body:
            return None
        try:
            return clean_json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def code(self) -> str:
        """What went wrong, "" if nothing: the server's code, or the class of our own error.

        Most answers are successes, which are not parsed a second time for this.
        """
        if not self.status:
            return self.failure or "unknown"
        answer = self.answer if b'"error"' in self.body else None
        if isinstance(answer, dict) and "error" in answer:
            return str(answer["error"]) or "empty"
        return "" if self.status < 300 else f"HTTP {self.status}"
