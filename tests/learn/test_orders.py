"""Does it matter in which order outcomes come? Reports, repeats, amendments, removals, restarts."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.learn.outcomes import Outcomes

from ..drawn import COSTLY
from .reporting import assert_sound, counted, opened, recounted, send

ALIKE = (
    "rotate the TLS certs",
    "certs TLS rotate",
    "Rotate TLS certs!",
    "rotate the gateway certs",
)
TEXTS = (*ALIKE, "write release notes", "the and of")
SEQUENCES = (["a"], ["a"], ["a", "b"])
TASKS = st.sampled_from(["t1", "t2", "t3"])
REPORT = st.fixed_dictionaries(
    {
        "task_id": TASKS,
        "text": st.sampled_from(TEXTS),
        "agents_used": st.sampled_from(SEQUENCES),
        "result": st.sampled_from(["success", "success", "failure", "partial"]),
        "resolved_by": st.sampled_from([None, None, "b", "nobody"]),
        "skills_used": st.sampled_from([[], ["s"]]),
        "caller": st.sampled_from(["", "x"]),
        "duration_ms": st.sampled_from([None, 10.0, 0.1]),
    }
)
REPEAT = st.integers(0, 9)
BURST = st.tuples(st.just("burst"), st.integers(3, 5), st.sampled_from(ALIKE))
FORGET = st.tuples(st.just("forget"), TASKS | st.sampled_from(["b0", "b1"]))
STORE = st.tuples(st.just("store"), st.sampled_from(ALIKE), st.sampled_from(SEQUENCES))
OTHER = st.sampled_from([("restart",), ("checkpoint",)])
OPERATION = REPORT | REPORT | REPEAT | BURST | BURST | FORGET | STORE | OTHER
OPERATIONS = st.lists(OPERATION, min_size=3, max_size=12)


MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # what is not tested is the disk


async def perform(outcomes: Outcomes, done: list[dict[str, Any]], operation: Any) -> None:
    match operation:
        case dict():
            done.append(operation)
            await send(outcomes, **operation)
        case int() if done:
            await send(outcomes, **done[operation % len(done)])
        case ("burst", many, text):
            await asyncio.gather(*(send(outcomes, f"b{n}", text) for n in range(many)))
        case ("forget", task_id):
            await outcomes.forget(lambda decision: decision.task_id == task_id)
        case ("store", goal, sequence):
            names = tuple(f"p:{name}" for name in sequence)
            await outcomes.store_pattern(goal, names, {}, [])
        case ("checkpoint",):
            await outcomes.checkpoint()


async def run(folder: Path, operations: list[Any]) -> None:
    done: list[dict[str, Any]] = []
    while operations:
        async with opened(folder) as outcomes:
            assert counted(outcomes) == recounted(outcomes)
            while operations and (operation := operations.pop(0)) != ("restart",):
                await perform(outcomes, done, operation)
            assert_sound(outcomes)
            before = counted(outcomes)
        async with opened(folder) as outcomes:
            assert counted(outcomes) == before


@COSTLY
@given(OPERATIONS)
def test_any_order_of_operations_equals_a_recount(operations: list[Any]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        asyncio.run(run(Path(folder), list(operations)))


@COSTLY
@given(st.lists(REPORT, min_size=2, max_size=8, unique_by=lambda each: each["task_id"]), st.data())
def test_experience_does_not_depend_on_who_reported_first(
    reports: list[dict[str, Any]], data: st.DataObject
) -> None:
    orders = (reports, data.draw(st.permutations(reports)))

    async def total(order: list[dict[str, Any]]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            async with opened(Path(folder)) as outcomes:
                for each in order:
                    await send(outcomes, **each)
                return outcomes.memory.counted()

    first, second = (asyncio.run(total(order)) for order in orders)
    assert first == second
