"""The figures of /health and /metrics for Prometheus; its library is imported at first use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from .health import health, metrics
from .metrics import BOUNDS
from .state import State

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "orchestr8_"
EVERY_BUCKET = 20  # every 20th bucket of ours is exported: a factor of 2.65
MEBIBYTE = 1_048_576


class Exported(NamedTuple):
    """One metric: the path of its value in the bodies, its label, if any, and a factor.

    With a label the value is an object, each member of which is a sample.
    """

    name: str
    sentence: str
    path: str
    label: str = ""
    factor: float = 1


COUNTERS = (
    Exported("requests", "Answers by method.", "queries.by_method", "method"),
    Exported("errors", "Errors by code.", "errors.by_code", "code"),
    Exported("cache_hits", "Answers from a cache.", "cache.hits"),
    Exported("cache_misses", "Answers that had to be worked out.", "cache.misses"),
    Exported("cache_renewed", "Answers worked out anew before somebody asked.", "cache.renewed"),
    Exported("shared_messages", "Messages that agents sent.", "coordination.messages"),
    Exported(
        "shared_expiries", "Values and locks that ended by themselves.", "coordination.expiries"
    ),
    Exported("shared_refusals", "Calls that the shared state refused.", "coordination.refusals"),
    Exported("cpu_seconds", "Time on a processor.", "process.cpu_seconds"),
)
GAUGES = (
    Exported("cache_entries", "Answers kept, by cache.", "kept", "cache"),
    Exported("entries", "Entries by kind.", "health.indexes", "kind"),
    Exported("files", "Markdown files by outcome.", "health.files", "outcome"),
    Exported("generation", "The generation served.", "health.generation"),
    Exported("build_seconds", "How long its build took.", "index.build_ms", "", 1e-3),
    Exported("built_timestamp_seconds", "When it was built.", "index.built_at_s"),
    Exported("looked_age_seconds", "Since the trees were last looked at.", "index.looked_age_s"),
    Exported("store_connected", "1 if the store is open.", "store.connected"),
    Exported("store_trouble", "1 if it refuses, or may have lost something.", "store.trouble"),
    Exported("database_bytes", "Its size, with its log.", "database.size_mb", "", 1e6),
    Exported("backup_age_seconds", "Of the newest backup.", "store.backup_age_s"),
    Exported("patterns", "Patterns, and those offered.", "plans", "state"),
    Exported("pattern_success_ratio", "Mean of those offered.", "patterns.avg_success_rate"),
    Exported("experience_revision", "Changes of what was learnt.", "learning.revision"),
    Exported("shared_locks", "Locks held.", "coordination.locks"),
    Exported("shared_waiters", "Calls and streams that wait.", "coordination.waiters"),
    Exported("lag_seconds", "How late a team's last notice came.", "health.lag_ms", "", 1e-3),
    Exported("redis_memory_ratio", "Redis' memory that is in use.", "health.redis_memory"),
    Exported("healthy", "1 if nothing is wrong.", "is.healthy"),
    Exported("ready", "1 if queries are answered.", "is.ready"),
    Exported("reasons", "How many things are wrong.", "is.reasons"),
    Exported("resident_memory_bytes", "Sampled every minute.", "memory.rss_mb", "", MEBIBYTE),
    Exported("open_files", "Open file descriptors.", "process.open_files"),
    Exported("threads", "Threads of Python.", "process.threads"),
    Exported("start_time_seconds", "When the process started.", "process.started_at_s"),
)


def exposition(state: State) -> bytes:
    """The metrics in Prometheus' text format."""
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import CollectorRegistry

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(state))
    return generate_latest(registry)


class _Collector:
    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        body = _figures(self._state)
        version = {"version": body["health"]["version"]}
        yield InfoMetricFamily(f"{PREFIX}server", "What runs.", version)
        yield _durations(self._state)
        for family, rows in ((CounterMetricFamily, COUNTERS), (GaugeMetricFamily, GAUGES)):
            for row in rows:
                if (value := _at(body, row.path)) is not None:
                    yield _filled(family, row, value)


def _figures(state: State) -> dict[str, Any]:
    """The bodies of /metrics and /health, and figures for Prometheus alone."""
    body, counted = health(state), metrics(state)
    status, learning, reasons = body["status"], counted["learning"], len(body["reasons"])
    return {
        **counted,
        "health": body,
        "kept": {"query": len(state.query_cache), "pattern": len(state.pattern_cache)},
        "plans": {"known": learning["patterns_known"], "offered": learning["patterns_offered"]},
        "is": {"healthy": status == "healthy", "ready": status != "starting", "reasons": reasons},
    }


def _at(body: Any, path: str) -> Any:
    """The value at a path of names, None without one."""
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _filled(family: Any, row: Exported, value: Any) -> Metric:
    metric: Metric = family(PREFIX + row.name, row.sentence, labels=[row.label] * bool(row.label))
    for label, number in value.items() if row.label else [("", value)]:
        labels = [label] if row.label else []
        metric.add_metric(labels, float(number) * row.factor)  # type: ignore[attr-defined]
    return metric


def _durations(state: State) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(
        f"{PREFIX}request_duration_seconds", "Answer times by method.", labels=["method"]
    )
    for method, histogram in sorted(state.metrics.durations.items()):
        buckets, below = [], 0
        for place, bound in enumerate(BOUNDS):
            below += histogram.counts[place]
            if place % EVERY_BUCKET == 0:
                buckets.append((f"{bound / 1000:.6g}", float(below)))
        buckets.append(("+Inf", float(histogram.total)))
        family.add_metric([method], buckets, histogram.sum / 1000)
    return family
