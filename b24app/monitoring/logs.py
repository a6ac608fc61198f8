"""Writes log records as lines of JSON, and keeps each refused request to one line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from django.http import HttpRequest

from b24app.monitoring import trace

# For refusals and changes that concern the security of the app.
security = logging.getLogger("b24app.security")


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON with `at`, `level`, `logger`, `message`, `request` and `portal`,
    and with `traceback` and `stack` if the record has them."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        request = trace.current()
        line = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request": request.request_id,
            "portal": request.member_id,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(line, ensure_ascii=False)


def mark_refusal_logged(request: HttpRequest) -> None:
    """Marks a request whose refusal is in the log, with the reason; see RefusalsOnce."""
    request.refusal_is_logged = True  # type: ignore[attr-defined]


class RefusalsOnce(logging.Filter):
    """Drops Django's line about a 4xx if the app has logged the refusal."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        is_logged = getattr(request, "refusal_is_logged", False)
        return record.levelno >= logging.ERROR or not is_logged
