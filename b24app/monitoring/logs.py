"""A log record as one line of JSON, for programs that collect logs; and one line a refusal."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from django.http import HttpRequest

from b24app.monitoring import trace

# Refusals and changes that a person who guards the app has to see.
security = logging.getLogger("b24app.security")


class JsonFormatter(logging.Formatter):
    """at, level, logger, message; the request and the portal it belongs to; a traceback if any."""

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


def note_refusal(request: HttpRequest) -> None:
    """Tell RefusalsOnce that the log has a line for this request, with the reason."""
    request.refusal_is_logged = True  # type: ignore[attr-defined]


class RefusalsOnce(logging.Filter):
    """Drops Django's own line for a 4xx that the app has logged already."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        is_logged = getattr(request, "refusal_is_logged", False)
        return record.levelno >= logging.ERROR or not is_logged
