"""What does Prometheus read? The same figures as text; its library loads on the first request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .health import health, metrics
from .metrics import BOUNDS
from .state import State

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "orchestr8_"
EVERY_BUCKET = 20  # of our own; each step is a factor of 2.65


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
        body, told = health(self._state), metrics(self._state)
        yield from _requests(told)
        yield _durations(self._state)
        yield from _cache(self._state, told)
        yield from _index(body, told)
        yield from _store(told)
        yield from _process(body, told)


def _requests(told: Mapping[str, Any]) -> Iterator[Metric]:
    yield _counts("requests", "Answers by method.", "method", told["queries"]["by_method"])
    yield _counts("errors", "Errors by code.", "code", told["errors"]["by_code"])


def _durations(state: State) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(
        f"{PREFIX}request_duration_seconds", "Answer times by method.", labels=["method"]
    )
    for method, histogram in sorted(state.metrics.durations.items()):
        buckets, seen = [], 0
        for place, bound in enumerate(BOUNDS):
            seen += histogram.counts[place]
            if place % EVERY_BUCKET == 0:
                buckets.append((f"{bound / 1000:.6g}", float(seen)))
        buckets.append(("+Inf", float(histogram.total)))
        family.add_metric([method], buckets, histogram.sum / 1000)
    return family


def _cache(state: State, told: Mapping[str, Any]) -> Iterator[Metric]:
    kept = {"query": len(state.query_cache), "pattern": len(state.pattern_cache)}
    yield _count("cache_hits", "Answers from a cache.", told["cache"]["hits"])
    yield _count("cache_misses", "Answers that had to be worked out.", told["cache"]["misses"])
    renewed = "Answers worked out anew before somebody asked."
    yield _count("cache_renewed", renewed, told["cache"]["renewed"])
    yield _gauges("cache_entries", "Answers kept, by cache.", "cache", kept)


def _index(body: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[Metric]:
    index = told["index"]
    looked = index["looked_age_s"]
    yield _gauges("entries", "Entries by kind.", "kind", body["indexes"])
    yield _gauges("files", "Markdown files by outcome.", "outcome", body["files"])
    yield _gauge("generation", "The generation served.", body["generation"])
    yield _gauge("build_seconds", "How long its build took.", index["build_ms"] / 1000)
    yield _gauge("built_timestamp_seconds", "When it was built.", index["built_at_s"])
    yield _gauge("looked_age_seconds", "Since the trees were last looked at.", looked)


def _store(told: Mapping[str, Any]) -> Iterator[Metric]:
    store, learning = told["store"], told["learning"]
    patterns = {"known": learning["patterns_known"], "offered": learning["patterns_offered"]}
    yield _gauge("store_connected", "1 if the store is open.", store["connected"])
    yield _gauge("store_trouble", "1 if it refuses, or may have lost something.", store["trouble"])
    yield _gauge("database_bytes", "Its size, with its log.", told["database"]["size_mb"] * 1e6)
    if store["backup_age_s"] is not None:
        yield _gauge("backup_age_seconds", "Of the newest backup.", store["backup_age_s"])
    yield _gauges("patterns", "Patterns, and those offered.", "state", patterns)
    yield _gauge(
        "pattern_success_ratio", "Mean of those offered.", told["patterns"]["avg_success_rate"]
    )
    yield _gauge("experience_revision", "Changes of what was learnt.", learning["revision"])


def _process(body: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[Metric]:
    from prometheus_client.core import InfoMetricFamily

    process, version = told["process"], {"version": body["version"]}
    memory = told["memory"]["rss_mb"] * 1048576
    yield InfoMetricFamily(f"{PREFIX}server", "What runs.", version)
    yield _gauge("healthy", "1 if nothing is wrong.", body["status"] == "healthy")
    yield _gauge("ready", "1 if queries are answered.", body["status"] != "starting")
    yield _gauge("reasons", "How many things are wrong.", len(body["reasons"]))
    yield _gauge("resident_memory_bytes", "Resident memory, sampled every minute.", memory)
    yield _gauge("open_files", "Open file descriptors.", process["open_files"])
    yield _gauge("threads", "Threads of Python.", process["threads"])
    yield _count("cpu_seconds", "Time on a processor.", process["cpu_seconds"])
    yield _gauge("start_time_seconds", "When the process started.", process["started_at_s"])


def _count(name: str, sentence: str, value: float) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    return CounterMetricFamily(PREFIX + name, sentence, value)


def _counts(name: str, sentence: str, label: str, values: Mapping[str, float]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(PREFIX + name, sentence, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _gauge(name: str, sentence: str, value: float) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(PREFIX + name, sentence, float(value))


def _gauges(name: str, sentence: str, label: str, values: Mapping[str, float]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(PREFIX + name, sentence, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family
