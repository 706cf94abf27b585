"""Is a server short of memory said to be so, relieved, and well again afterwards?"""

from __future__ import annotations

import pytest

from orchestr8_index.config import Limits
from orchestr8_index.errors import Overloaded
from orchestr8_index.serve import memory as module
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.memory import MemoryLimit, give_back
from orchestr8_index.serve.state import State

from .asking import ask, call

LIMITS = Limits(memory_soft_mb=50, memory_hard_mb=100)


@pytest.fixture(autouse=True)
def no_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests have loaded what a server has not."""
    monkeypatch.setattr(module, "LIBRARIES_MB", {})


def memory_of(*used: float) -> MemoryLimit:
    """A process that uses so much at each measure; the last value stays."""
    left = list(used)
    return MemoryLimit(LIMITS, lambda: left.pop(0) if len(left) > 1 else left[0])


def measure(memory: MemoryLimit, entries: int = 0, decisions: int = 0) -> None:
    memory.measure(entries, decisions, lambda: None)


def test_below_the_soft_limit_nothing_is_said() -> None:
    memory = memory_of(49)
    measure(memory)
    memory.check()
    assert memory.reasons == []


def test_above_the_soft_limit_it_is_a_reason() -> None:
    memory = memory_of(80)
    measure(memory)
    memory.check()
    assert "80 MB" in memory.reasons[0]


def test_above_the_hard_limit_load_is_shed_until_there_is_memory_again() -> None:
    memory = memory_of(140, 140, 90)
    measure(memory)
    with pytest.raises(Overloaded):
        memory.check()
    assert "refused" in memory.reasons[0]
    measure(memory)
    memory.check()


def test_what_dropping_frees_is_seen_at_once() -> None:
    memory = memory_of(140, 60)
    measure(memory)
    memory.check()


@pytest.mark.parametrize("held", [{"entries": 5000}, {"decisions": 30_000}])
def test_much_to_know_is_no_illness(held: dict[str, int]) -> None:
    memory = memory_of(110)
    measure(memory, **held)
    memory.check()
    assert memory.reasons == []


def test_a_library_in_use_is_no_illness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIBRARIES_MB", {"json": 40})
    memory = memory_of(90)
    measure(memory)
    assert memory.reasons == []


def test_what_is_free_can_be_given_back() -> None:
    give_back()


def test_while_shedding_only_the_signs_of_life_are_answered(state: State) -> None:
    state.gate.memory.shedding = True
    app = make_web(state)
    answer = ask(app, "POST", "/", content=b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, -32032)
    assert answer.headers["retry-after"] == "1"
    assert ask(app, "GET", "/health").status_code == ask(app, "GET", "/metrics").status_code == 200


def test_too_little_memory_degrades_the_health(state: State) -> None:
    state.gate.memory.used = 9000.0
    assert ask(make_web(state), "GET", "/health").json()["status"] == "degraded"


def test_the_caches_are_what_is_dropped(state: State) -> None:
    call(state, "querySkills", context="notes")
    state.drop()
    assert len(state.query_cache) == 0
