"""How is the server? The bodies of /health and /metrics, from the state alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from .. import __version__
from ..learn.outcomes import Outcomes
from ..records import PLURAL
from ..store.backup import age_seconds as backup_age
from .learning import offered
from .process import memory_mb
from .samples import Sample
from .state import State


def health(state: State) -> dict[str, Any]:
    """`status` is starting, healthy or degraded; `reasons` say why it is not healthy."""
    refresh, index = state.refresh, state.refresh.index
    reasons = [refresh.failure] if refresh.failure else []
    reasons += state.keeper.reasons if state.keeper else []
    reasons += state.gate.memory.reasons
    reasons += state.signs.reasons(refresh)
    reasons += state.watched.reasons
    status = "starting" if index is None else "degraded" if reasons else "healthy"
    manifest = index.manifest if index else None
    counts = manifest.counts if manifest else dict.fromkeys(PLURAL, 0)
    files = manifest.files if manifest else {}
    body: dict[str, Any] = {
        "status": status,
        "uptime_ms": round((time.monotonic() - state.started) * 1000),
        "memory_mb": memory_mb(),
        "cache": cache_figures(state),
        "database": database(state),
        "indexes": {
            **{PLURAL[kind]: n for kind, n in counts.items()},
            "patterns": len(offered(_outcomes(state))),
        },
        "version": __version__,
        "generation": manifest.generation if manifest else 0,
        "build_ms": manifest.build_ms if manifest else 0,
        "built_at": _moment(manifest.built_at) if manifest else None,
        "checked_age_s": _age(refresh.checked_at, refresh.clock()),
        "files": {name: files.get(name, 0) for name in ("indexed", "repaired", "skipped")},
        "roots_digest": state.settings.roots_digest,
        "data_digest": state.settings.data_digest,
        "reasons": reasons,
    }
    if index is None:
        body["progress"] = {"done": refresh.progress.done, "total": refresh.progress.total}
    return body


def metrics(state: State) -> dict[str, Any]:
    counted, sample = state.metrics, state.signs.samples.latest
    return {
        "queries": {
            "total": counted.queries.total,
            "by_method": dict(sorted(counted.requests.items())),
        },
        "performance": counted.performance(),
        "cache": {**cache_figures(state), "renewed": _renewed(state)},
        "patterns": _patterns(state),
        "errors": {"by_code": {str(code): n for code, n in sorted(counted.errors.items())}},
        "latency_ms": {name: took.summary() for name, took in sorted(counted.durations.items())},
        "memory": {"rss_mb": sample.memory_mb},
        "database": {**database(state), "size_mb": sample.database_mb},
        "index": _index(state),
        "store": _store(state),
        "learning": _learning(state),
        "process": _process(state, sample),
        "uptime_ms": round((time.monotonic() - state.started) * 1000),
    }


def _index(state: State) -> dict[str, Any]:
    index, refresh = state.refresh.index, state.refresh
    manifest = index.manifest if index else None
    return {
        "generation": manifest.generation if manifest else 0,
        "entries": {PLURAL[kind]: n for kind, n in manifest.counts.items()} if manifest else {},
        "build_ms": manifest.build_ms if manifest else 0,
        "built_at_s": manifest.built_at if manifest else 0,
        "looked_age_s": round(time.monotonic() - refresh.looked_at, 1),
        "files": manifest.files if manifest else {},
    }


def _store(state: State) -> dict[str, Any]:
    """`trouble` is 1 while the store refuses or may have lost something; `backup_age_s` None
    without one."""
    age = backup_age(state.settings.data_dir)
    return {
        "connected": _outcomes(state) is not None,
        "trouble": int(bool(state.keeper and state.keeper.reasons)),
        "backup_age_s": round(age) if age != float("inf") else None,
    }


def _learning(state: State) -> dict[str, Any]:
    outcomes = _outcomes(state)
    return {
        "patterns_known": len(list(outcomes.patterns)) if outcomes else 0,
        "patterns_offered": len(offered(outcomes)),
        "revision": max(0, state.keeper.revision) if state.keeper else 0,
    }


def _process(state: State, sample: Sample) -> dict[str, Any]:
    return {
        "cpu_seconds": sample.cpu_seconds,
        "open_files": sample.open_files,
        "threads": sample.threads,
        "sampled_age_s": round(time.monotonic() - sample.at, 1),
        "started_at_s": round(time.time() - (time.monotonic() - state.started), 3),
    }


def live() -> dict[str, Any]:
    """Whether the process answers at all."""
    return {"status": "alive", "version": __version__}


def ready(state: State) -> dict[str, Any]:
    """`ready` is whether queries are answered now."""
    if state.refresh.index is not None:
        return {"ready": True, "generation": state.refresh.index.generation}
    reasons = [state.refresh.failure] if state.refresh.failure else []
    return {"ready": False, "reasons": reasons or ["The first index is being built."]}


def database(state: State) -> dict[str, Any]:
    outcomes = _outcomes(state)
    if outcomes is None:
        return {"connected": False, "size_mb": 0}
    return {"connected": True, "size_mb": outcomes.store.size_mb}


def _outcomes(state: State) -> Outcomes | None:
    return state.keeper.ready if state.keeper else None


def _patterns(state: State) -> dict[str, float]:
    patterns = offered(_outcomes(state))
    rates = [pattern.success_rate for pattern in patterns if pattern.uses]
    average = round(sum(rates) / len(rates), 4) if rates else 0
    return {"total": len(patterns), "avg_success_rate": average}


def cache_figures(state: State) -> dict[str, float]:
    caches = (state.query_cache, state.pattern_cache)
    hits, misses = sum(cache.hits for cache in caches), sum(cache.misses for cache in caches)
    rate = round(hits / (hits + misses), 4) if hits else 0.0
    return {"hits": hits, "misses": misses, "hit_rate": rate}


def _renewed(state: State) -> int:
    return state.query_cache.renewed + state.pattern_cache.renewed


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _age(moment: float, now: float) -> float | None:
    return round(max(0.0, now - moment), 1) if moment else None
