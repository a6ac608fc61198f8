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

from b24app import trace, untrusted_json
from b24app.masking import MASK, method_name

# Larger answers are noted by their size; a screen's are a tenth of this.
READABLE = 256 * 1024

logger = logging.getLogger("b24app.transport")


@dataclass
class Exchange:
    url: str = field(repr=False)
    asked: Mapping[str, Any] = field(repr=False)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    status: int = 0  # 0: no answer
    body: bytes = field(default=b"", repr=False)
    failure: str = ""  # the class of our own error, where there is no answer
    trace: trace.Trace = field(default_factory=trace.current)

    def answered(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body
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

    @cached_property
    def answer(self) -> Any:
        """The JSON of the answer, or None for what is none or too large to be looked at."""
        if not self.body or len(self.body) > READABLE:
            return None
        try:
            return untrusted_json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def code(self) -> str:
        """What went wrong, "" if nothing: the server's code, or the class of our own error.

        Most answers are successes, which are not parsed a second time for this.
        """
        if not self.status:
            return self.failure or "unknown"
        if b'"error"' in self.body and isinstance(self.answer, dict) and "error" in self.answer:
            return str(self.answer["error"]) or "empty"
        return "" if self.status < 300 else f"HTTP {self.status}"
