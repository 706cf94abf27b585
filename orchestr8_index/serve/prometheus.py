"""What does Prometheus read? The same figures as text; its library loads on the first request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .health import health
from .metrics import BOUNDS
from .state import State

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(state: State) -> bytes:
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import CollectorRegistry

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(state))
    return generate_latest(registry)


class _Collector:
    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        counted, body = self._state.metrics, health(self._state)
        requests = CounterMetricFamily(
            "orchestr8_requests", "Answers by method.", labels=["method"]
        )
        for method, total in sorted(counted.requests.items()):
            requests.add_metric([method], total)
        errors = CounterMetricFamily("orchestr8_errors", "Errors by code.", labels=["code"])
        for code, total in sorted(counted.errors.items()):
            errors.add_metric([str(code)], total)
        entries = GaugeMetricFamily("orchestr8_entries", "Entries by kind.", labels=["kind"])
        for kind, total in body["indexes"].items():
            entries.add_metric([kind], total)
        yield from (requests, errors, entries)
        yield from self._durations()
        yield CounterMetricFamily("orchestr8_cache_hits", "Cache hits.", body["cache"]["hits"])
        yield CounterMetricFamily("orchestr8_cache_misses", "Misses.", body["cache"]["misses"])
        memory = body["memory_mb"] * 1048576
        yield GaugeMetricFamily("orchestr8_resident_memory_bytes", "Resident memory.", memory)
        yield GaugeMetricFamily(
            "orchestr8_generation", "The generation served.", body["generation"]
        )
        up = float(body["status"] == "healthy")
        yield GaugeMetricFamily("orchestr8_healthy", "1 if nothing is wrong.", up)

    def _durations(self) -> Iterator[Metric]:
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(
            "orchestr8_request_duration_seconds", "Answer times by method.", labels=["method"]
        )
        for method, histogram in sorted(self._state.metrics.durations.items()):
            buckets, seen = [], 0
            for place, bound in enumerate(BOUNDS):
                seen += histogram.counts[place]
                if place % 20 == 0:
                    buckets.append((f"{bound / 1000:.6g}", float(seen)))
            buckets.append(("+Inf", float(histogram.total)))
            family.add_metric([method], buckets, histogram.sum / 1000)
        yield family
