"""The bodies of /health and /metrics."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import asdict

from .. import __version__
from ..records import PLURAL
from ..store.backup import age_seconds as backup_age
from .callers import caller
from .learning import offered
from .memory import memory_mb
from .state import State

STALE_SECONDS = 7200.0


def health(state: State) -> dict[str, Any]:
    """The body of /health; `status` is starting, healthy or degraded, with the `reasons` why."""
    refresh, index = state.refresh, state.refresh.index
    reasons = reasons_of(state)
    manifest = index.manifest if index else None
    files = manifest.files if manifest else {}
    counts = manifest.counts if manifest else dict.fromkeys(PLURAL, 0)
    entries = {PLURAL[kind]: n for kind, n in counts.items()}
    checked = refresh.clock() - refresh.checked_at
    body = {
        "status": "starting" if index is None else "degraded" if reasons else "healthy",
        "uptime_ms": round((time.monotonic() - state.started) * 1000),
        "memory_mb": memory_mb(),
        "cache": cache_figures(state),
        "database": database(state),
        "indexes": {**entries, "patterns": len(offered(state))},
        "version": __version__,
        "generation": manifest.generation if manifest else 0,
        "build_ms": manifest.build_ms if manifest else 0,
        "built_at": _moment(manifest.built_at) if manifest else None,
        "checked_age_s": round(max(0.0, checked), 1) if refresh.checked_at else None,
        "files": {name: files.get(name, 0) for name in ("indexed", "repaired", "skipped")},
        "roots_digest": state.settings.roots_digest,
        "data_digest": state.settings.data_digest,
        "reasons": reasons,
        "coordination": _shared_figures(state),
    }
    if outcomes := state.store.ready:
        body["calibration"] = {
            PLURAL[kind]: {name: round(value, 4) for name, value in asdict(calibration).items()}
            for kind, calibration in outcomes.memory.calibrations.items()
        }
    body.update(state.shared.of_team)
    body.update(refresh.builder.facts)
    if index is None:
        body["progress"] = {"done": refresh.progress.done, "total": refresh.progress.total}
    return body


def reasons_of(state: State) -> list[str]:
    """What is wrong, as sentences with what to do."""
    refresh = state.refresh
    stale = _stale(time.monotonic() - refresh.looked_at)
    log = state.log.trouble if state.log else ""
    troubles = [state.file_watch.trouble, log, state.gate.keys.trouble, state.claims.trouble]
    rest = [stale, refresh.damage, *troubles, *state.watched.reasons, *state.shared.reasons]
    rest += state.metrics.reasons
    return [
        each
        for each in (refresh.failure, *state.store.reasons, *state.gate.memory.reasons, *rest)
        if each
    ]


def _stale(seconds: float) -> str:
    if seconds < STALE_SECONDS:
        return ""
    return (
        f"The index may be stale: the trees were last looked at {seconds / 3600:.0f} hours ago. "
        "Look now with `orchestr8-index reindex`; the log says why it was not done."
    )


def metrics(state: State) -> dict[str, Any]:
    """The body of /metrics: counts since the start, and the last sample of the process."""
    counted, sample, outcomes = state.metrics, state.samples.latest, state.store.ready
    uptime = time.monotonic() - state.started
    renewed = state.query_cache.renewed + state.pattern_cache.renewed
    return {
        "queries": {
            "total": counted.queries.total,
            "by_method": dict(sorted(counted.requests.items())),
        },
        "performance": counted.performance(),
        "cache": {**cache_figures(state), "renewed": renewed},
        "patterns": _patterns(state),
        "errors": {"by_code": {str(code): n for code, n in sorted(counted.errors.items())}},
        "latency_ms": {name: took.summary() for name, took in sorted(counted.durations.items())},
        "memory": {"rss_mb": sample.memory_mb},
        "database": {**database(state), "size_mb": sample.database_mb},
        "index": _index(state),
        "store": _store(state),
        "learning": {
            "patterns_known": len(list(outcomes.patterns)) if outcomes else 0,
            "patterns_offered": len(offered(state)),
            "revision": max(0, state.store.revision),
        },
        "coordination": _shared_figures(state),
        "process": {
            "cpu_seconds": sample.cpu_seconds,
            "open_files": sample.open_files,
            "threads": sample.threads,
            "sampled_age_s": round(time.monotonic() - sample.at, 1),
            "started_at_s": round(time.time() - uptime, 3),
        },
        "uptime_ms": round(uptime * 1000),
    }


def _shared_figures(state: State) -> dict[str, int]:
    """The shared state's counts over all projects; {} for a key that is limited to some."""
    return {} if caller.get().projects else state.shared.figures


def _index(state: State) -> dict[str, Any]:
    index = state.refresh.index
    manifest = index.manifest if index else None
    return {
        "generation": manifest.generation if manifest else 0,
        "entries": {PLURAL[kind]: n for kind, n in manifest.counts.items()} if manifest else {},
        "build_ms": manifest.build_ms if manifest else 0,
        "built_at_s": manifest.built_at if manifest else 0,
        "looked_age_s": round(time.monotonic() - state.refresh.looked_at, 1),
        "files": manifest.files if manifest else {},
    }


def _store(state: State) -> dict[str, Any]:
    """The store's state; `trouble` is 1 if something is wrong, `backup_age_s` None without one."""
    age = backup_age(state.settings.data_dir)
    return {
        "connected": state.store.ready is not None,
        "trouble": int(bool(state.store.reasons)),
        "backup_age_s": round(age) if age != float("inf") else None,
    }


def _patterns(state: State) -> dict[str, float]:
    patterns = offered(state)
    rates = [pattern.success_rate for pattern in patterns if pattern.uses]
    average = round(sum(rates) / len(rates), 4) if rates else 0
    return {"total": len(patterns), "avg_success_rate": average}


def live() -> dict[str, Any]:
    """The body of /health/live."""
    return {"status": "alive", "version": __version__}


def ready(state: State) -> dict[str, Any]:
    """The body of /health/ready; `ready` is true when there is an index."""
    if state.refresh.index is not None:
        return {"ready": True, "generation": state.refresh.index.generation}
    reasons = [state.refresh.failure] if state.refresh.failure else []
    return {"ready": False, "reasons": reasons or ["The first index is being built."]}


def database(state: State) -> dict[str, Any]:
    outcomes = state.store.ready
    return {"connected": outcomes is not None, "size_mb": outcomes.store.size_mb if outcomes else 0}


def cache_figures(state: State) -> dict[str, float]:
    caches = (state.query_cache, state.pattern_cache)
    hits, misses = sum(cache.hits for cache in caches), sum(cache.misses for cache in caches)
    rate = round(hits / (hits + misses), 4) if hits else 0.0
    return {"hits": hits, "misses": misses, "hit_rate": rate}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
