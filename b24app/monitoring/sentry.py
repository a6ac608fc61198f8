"""Reports errors to Sentry, if SENTRY_DSN is set; without it nothing of it is imported.

A report has the classes and the lines of code of an error: no text of it, no request, no variables.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

# What a report may have of an event and of an exception in it; Sentry adds more of both.
_KEPT = frozenset(
    {"event_id", "timestamp", "level", "platform", "logger", "exception", "release", "server_name"}
)
_KEPT_OF_EXCEPTION = ("type", "module", "mechanism", "stacktrace")


def start() -> None:
    """Reports errors from now on. Each process calls it when it starts."""
    if not settings.SENTRY_DSN:
        return
    try:
        import sentry_sdk
    except ImportError as error:
        raise ImproperlyConfigured(
            "SENTRY_DSN needs the packages of requirements-observe.lock"
        ) from error
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        before_send=scrubbed,
    )


def scrubbed(event: Any, hint: Any) -> Any:
    """Returns the event with only what names no person, portal or payment, and no secret."""
    kept = {name: value for name, value in event.items() if name in _KEPT}
    for exception in kept.get("exception", {}).get("values", []):
        for name in set(exception) - set(_KEPT_OF_EXCEPTION):
            del exception[name]
    return kept
