"""Spans for OpenTelemetry, if TRACES_ENDPOINT is set; without it nothing of it is imported.

A span has a name, and a call also its method and status: no token, name, id or parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

Note = Callable[[str, str | int], None]

SERVICE = "pay-for-bitrix24"
_tracer: Any = None


def start() -> None:
    """Sends spans to TRACES_ENDPOINT from now on. Each process calls it when it starts."""
    if not settings.TRACES_ENDPOINT:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ImproperlyConfigured(
            "TRACES_ENDPOINT needs the packages of requirements-observe.lock"
        ) from error
    provider = TracerProvider(resource=Resource({"service.name": SERVICE}))
    exporter = OTLPSpanExporter(endpoint=settings.TRACES_ENDPOINT)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    use(provider.get_tracer(SERVICE))


def use(tracer: Any) -> None:
    """Makes spans with this tracer; None makes none."""
    global _tracer
    _tracer = tracer


@contextmanager
def span(name: str) -> Iterator[Note]:
    """Yields a function that notes an attribute. Also decorates a function."""
    if _tracer is None:
        yield _note_nothing
        return
    # An exception's text may hold what Bitrix24 wrote, such as a name.
    with _tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    ) as current:
        yield current.set_attribute


def _note_nothing(name: str, value: str | int) -> None:
    pass
