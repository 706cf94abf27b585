"""Does /health carry the contract's fields, and tell the truth about them?"""

from __future__ import annotations

import builtins
import sys
from datetime import datetime
from typing import Any

import pytest

from orchestr8_index import __version__, changeable
from orchestr8_index.catalog.build_lines import BuildLine
from orchestr8_index.serve import keys
from orchestr8_index.serve.health import health, metrics
from orchestr8_index.serve.memory import memory_mb
from orchestr8_index.serve.state import State

from .asking import call

ORIGINAL = {"status", "uptime_ms", "memory_mb", "cache", "database", "indexes"}
ADDED = {"version", "generation", "build_ms", "built_at", "checked_age_s", "files", "reasons"}


def test_the_contracts_fields_are_there(state: State) -> None:
    assert ORIGINAL | ADDED <= set(health(state))


def test_the_inner_fields_are_those_of_the_contract(state: State) -> None:
    body = health(state)
    assert set(body["cache"]) == {"hits", "misses", "hit_rate"}
    assert set(body["indexes"]) == {"agents", "skills", "workflows", "patterns"}
    assert set(body["files"]) == {"indexed", "repaired", "skipped"}


def test_before_there_is_a_store_it_says_so(state: State) -> None:
    assert health(state)["database"] == {"connected": False, "size_mb": 0}
    assert health(state)["indexes"]["patterns"] == 0


def test_the_index_is_described(state: State) -> None:
    body = health(state)
    assert body["indexes"] == {"agents": 24, "skills": 8, "workflows": 8, "patterns": 0}
    assert (body["generation"], body["version"]) == (1, __version__)
    assert datetime.fromisoformat(body["built_at"]).tzinfo is not None


def test_with_an_index_and_no_failure_it_is_healthy(state: State) -> None:
    assert (health(state)["status"], health(state)["reasons"]) == ("healthy", [])


def test_a_failed_build_degrades_with_its_reason(state: State) -> None:
    state.refresh.failure = "The disk is full."
    body = health(state)
    assert (body["status"], body["reasons"]) == ("degraded", ["The disk is full."])
    assert body["generation"] == 1


@pytest.mark.parametrize("name", [keys.NAME, changeable.CLAIMS_FILE])
def test_a_file_that_a_person_wrote_and_that_says_nothing_any_more_is_told(
    state: State, name: str
) -> None:
    """Nobody got in with a key, or edits were let through that were to be refused: "healthy"."""
    path = state.settings.data_dir / name
    path.parent.mkdir()
    state.claims.chosen = changeable.ClaimsPolicy(state.settings.data_dir)
    for bent in (b"nonsense", b"\xff"):
        path.write_bytes(bent)
        path.chmod(0o600)
        state.gate.keys.reload_if_changed()
        (reason,) = health(state)["reasons"]
        assert "cannot be read" in reason and "`orchestr8-index " in reason
    path.unlink()
    path.mkdir()
    state.gate.keys.reload_if_changed()
    assert "cannot be read" in health(state)["reasons"][0]
    path.rmdir()
    state.gate.keys.reload_if_changed()
    assert health(state)["reasons"] == []


def test_without_an_index_it_is_starting_and_says_how_far(starting: State) -> None:
    starting.refresh.progress = BuildLine(done=3, total=10)
    body = health(starting)
    assert (body["status"], body["generation"], body["built_at"]) == ("starting", 0, None)
    assert body["progress"] == {"done": 3, "total": 10}
    assert body["indexes"] == {"agents": 0, "skills": 0, "workflows": 0, "patterns": 0}


def test_how_long_ago_the_trees_were_looked_at(state: State) -> None:
    assert health(state)["checked_age_s"] is None
    state.refresh.checked_at, state.refresh.clock = 1000.0, lambda: 1042.04
    assert health(state)["checked_age_s"] == 42.0


def test_a_clock_that_went_back_is_no_negative_age(state: State) -> None:
    state.refresh.checked_at, state.refresh.clock = 1000.0, lambda: 900.0
    assert health(state)["checked_age_s"] == 0.0


def test_the_hit_rate_is_hits_of_all_questions(state: State) -> None:
    for _ in range(4):
        call(state, "querySkills", context="release notes")
    assert health(state)["cache"] == {"hits": 3, "misses": 1, "hit_rate": 0.75}


def test_metrics_carry_the_contracts_fields(state: State) -> None:
    call(state, "querySkills", context="release notes")
    call(state, "nope")
    body = metrics(state)
    assert body["queries"] == {"total": 1, "by_method": {"querySkills": 1}}
    assert body["errors"] == {"by_code": {"-32601": 1}}
    assert body["patterns"] == {"total": 0, "avg_success_rate": 0}
    assert {"performance", "cache", "memory", "database"} <= set(body)


def test_memory_is_that_of_this_process() -> None:
    assert 5 < memory_mb() < 2000


def without_proc(path: Any, *_: Any, **__: Any) -> Any:
    raise FileNotFoundError(path)


def test_without_proc_the_peak_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "open", without_proc)
    assert 5 < memory_mb() < 4000


def test_on_windows_memory_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "open", without_proc)
    monkeypatch.setattr(sys, "platform", "win32")
    assert memory_mb() == 0.0
