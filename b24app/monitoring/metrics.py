"""Metrics for Prometheus: counted in each process, summed over all when Prometheus reads them.

With several workers, PROMETHEUS_MULTIPROC_DIR names a directory that they share and that is empty
at the start. Without it, a process reports only its own figures.
https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.dispatch import receiver
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from b24app.monitoring.exchange import Exchange
from b24app.monitoring.masking import code_word
from b24app.signals import exchanged

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
# Bounds of the histogram. A batch takes some 50 ms; a payment may take the cloud's 60 seconds.
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 65)
# Servers choose the codes, and each becomes a permanent series. Bitrix24 has half as many.
CODES_KEPT = 100
OK, OTHER = "ok", "other"

# Not the default registry, whose metrics of the process cannot be summed.
_registry = CollectorRegistry()

_attempts = Counter(
    "pay_attempts", "Attempts to pay, by how they ended", ["outcome"], registry=_registry
)
_calls = Counter(
    "pay_rest_calls",
    "Calls to Bitrix24, by method and code",
    ["method", "code"],
    registry=_registry,
)
_seconds = Histogram(
    "pay_rest_seconds",
    "How long calls to Bitrix24 took",
    ["method"],
    buckets=SECONDS,
    registry=_registry,
)
_refreshes = Counter(
    "pay_token_refreshes", "Renewals of a pair of tokens, by result", ["result"], registry=_registry
)
_codes_seen: set[str] = set()


def attempt_ended(outcome: str) -> None:
    """Counts an attempt that was closed, or left open because its outcome is unknown."""
    _attempts.labels(outcome).inc()


@receiver(exchanged)
def _count(exchange: Exchange, **kwargs: Any) -> None:
    code = _label(exchange.code)
    _calls.labels(exchange.method, code).inc()
    _seconds.labels(exchange.method).observe(exchange.seconds)
    if exchange.asked.get("grant_type") == "refresh_token":
        _refreshes.labels(code).inc()


def _label(code: str) -> str:
    if not code:
        return OK
    word = code_word(code)
    if word not in _codes_seen and len(_codes_seen) >= CODES_KEPT:
        return OTHER
    _codes_seen.add(word)
    return word


@dataclass(frozen=True)
class _Gauge:
    """A metric whose values are read when Prometheus asks for it."""

    name: str
    help: str
    label: str  # "" for a metric with one value
    values: Callable[[], Mapping[str, float]]  # by the label's value

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = [self.label] if self.label else []
        family = GaugeMetricFamily(self.name, self.help, labels=labels)
        for name, value in self.values().items():
            family.add_metric([name] if self.label else [], value)
        yield family


_gauges: list[_Gauge] = []


def add_gauge(name: str, help: str, value: Callable[[], int]) -> None:
    """Adds a metric whose value is read when Prometheus asks for it."""
    _gauges.append(_Gauge(name, help, "", lambda: {"": value()}))


def add_gauges(name: str, help: str, label: str, values: Callable[[], Mapping[str, float]]) -> None:
    """Adds a metric with a value for each value of `label`."""
    _gauges.append(_Gauge(name, help, label, values))


def exposition() -> bytes:
    """Returns all metrics in Prometheus' text format."""
    counted, read_now = _registry, CollectorRegistry()
    if os.environ.get(DIRECTORY):
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    for gauge in _gauges:
        read_now.register(gauge)
    return generate_latest(counted) + generate_latest(read_now)
