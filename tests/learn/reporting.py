"""How do the tests report? Outcomes over a store in a temporary folder, used from one loop."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from orchestr8_index.learn.experience import Memory
from orchestr8_index.learn.outcomes import Outcomes
from orchestr8_index.learn.patterns import Patterns, records_of
from orchestr8_index.learn.receipt import Applied
from orchestr8_index.learn.verify import verify
from orchestr8_index.records import Decision, Kind
from orchestr8_index.reports import Report
from orchestr8_index.store import ledger
from orchestr8_index.store.store import Store
from orchestr8_index.text import Terms

MOMENT = "2026-01-31T12:00:00.000+00:00"
T = TypeVar("T")


def decision(task_id: str = "t1", text: str = "rotate the TLS certs", **given: Any) -> Decision:
    fields: dict[str, Any] = {"agents_used": ("p:a",), "result": "success", "timestamp": MOMENT}
    fields |= {"duration_ms": None, "tokens_saved": None, **given}
    return Decision(task_id=task_id, task_description=text, **fields)


def written(connection: sqlite3.Connection, made: Decision) -> Decision:
    """The decision as it was numbered, which must be new."""
    numbered = ledger.insert_decision(connection, made)
    assert numbered
    return numbered


def report_of(task_id: str = "t1", text: str = "rotate the TLS certs", **given: Any) -> Report:
    fields: dict[str, Any] = {"agents_used": ["p:a"], "result": "success", **given}
    return Report(task_id=task_id, task_description=text, **fields)


def known(kind: Kind, name: str) -> str | None:
    """Bare names are of plugin p; `nobody` does not exist."""
    return None if name == "nobody" else name if ":" in name else f"p:{name}"


async def send(outcomes: Outcomes, *given: Any, **fields: Any) -> Applied:
    return await outcomes.report(report_of(*given, **fields), known, MOMENT)


@contextlib.asynccontextmanager
async def opened(folder: Path, **limits: Any) -> AsyncIterator[Outcomes]:
    """Outcomes as a server has them; closed like a server that is killed: nothing is written."""
    store = Store(folder, **limits)
    outcomes = Outcomes(store, Terms())
    outcomes.open()
    store.start()
    try:
        yield outcomes
    finally:
        await store.stop()


def with_outcomes(folder: Path, work: Callable[[Outcomes], Awaitable[T]], **limits: Any) -> T:
    async def run() -> T:
        async with opened(folder, **limits) as outcomes:
            return await work(outcomes)

    return asyncio.run(run())


def recounted(outcomes: Outcomes) -> tuple[dict[str, Any], dict[Any, Any]]:
    """Memory and patterns counted from the decisions on the disk, and nothing else."""
    memory = Memory(Terms())
    patterns = Patterns(memory.task)
    patterns.load(outcomes.patterns)
    patterns.reset()
    for each in ledger.decisions(outcomes.store.reader):
        memory.add(each)
        patterns.add(each)
    return memory.counted(), records_of(patterns)


def counted(outcomes: Outcomes) -> tuple[dict[str, Any], dict[Any, Any]]:
    return outcomes.memory.counted(), records_of(outcomes.patterns)


def assert_sound(outcomes: Outcomes) -> None:
    assert counted(outcomes) == recounted(outcomes)
    verdict = verify(outcomes)
    assert (verdict.altered, verdict.differences) == ([], [])
