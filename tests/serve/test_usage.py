"""What is asked of a server is counted, and which servers there are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import fixture_root
from orchestr8_index.errors import StoreUnavailable
from orchestr8_index.overview import UsageQuery
from orchestr8_index.serve import audit
from orchestr8_index.serve.audit import Usage
from orchestr8_index.serve.calls import perform
from orchestr8_index.serve.state import State
from orchestr8_index.serve.stores import ServerStore
from orchestr8_index.serve.usage import keep_usage
from orchestr8_index.serve.views import get_usage

from .asking import call, settings_of, state_of

QUESTION = b'{"context": "write notes"}'


def test_calls_are_counted_but_not_those_that_only_watch(
    tmp_path: Path, shipped_index: Index
) -> None:
    async def work(state: State) -> None:
        for method, raw in (
            ("queryAgents", b'{"context": "write notes"}'),
            ("queryAgents", b'{"limit": 0}'),
            ("getHealth", b"{}"),
            ("listProjects", b"{}"),
            ("nothing", b"{}"),
        ):
            await asyncio.gather(perform(state, method, raw), return_exceptions=True)
        told = await get_usage(state, UsageQuery())
        counted = {row.name: (row.calls, row.errors) for row in told.tools}
        assert counted == {"queryAgents": (2, 1), "no such method": (1, 1)}
        assert {row.name for row in told.errors} == {"InvalidParams", "MethodNotFound"}
        assert [row.calls for row in told.days] == [row.calls for row in told.callers] == [3]

    run(tmp_path, shipped_index, work)


def test_what_cannot_be_written_is_counted_with_the_next(
    tmp_path: Path, shipped_index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise StoreUnavailable("The disk is full.")

    async def work(state: State) -> None:
        await perform(state, "querySkills", QUESTION)
        assert isinstance(state.store, ServerStore)
        with monkeypatch.context() as full, pytest.raises(StoreUnavailable):
            full.setattr((await state.store.outcomes()).store, "write", refuse)
            await keep_usage(state)
        await perform(state, "querySkills", QUESTION)
        assert (await get_usage(state, UsageQuery())).tools[0].calls == 2

    run(tmp_path, shipped_index, work)


def run(folder: Path, index: Index, work: Callable[[State], Awaitable[None]]) -> None:
    async def running() -> None:
        state = state_of(settings := settings_of(folder, fixture_root()), index)
        state.store = keeper = ServerStore(settings)
        keeper.begin()
        await keeper.outcomes()
        try:
            await work(state)
        finally:
            await keeper.stop()

    asyncio.run(running())


def test_names_without_end_are_counted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_EACH", 3)
    usage = Usage()
    for number in range(10):
        usage.note(f"n{number}", "queryAgents", "ok")
    rows = {who: times for _, who, _, _, times in usage.take()}
    assert rows == {"n0": 1, "n1": 1, "n2": 1, "others": 7} and usage.take() == []


def test_one_server_is_a_list_of_one(state: State) -> None:
    told: Any = call(state, "listServers")["result"]
    (row,) = told["servers"]
    assert row["server"] == told["own"] and row["stores"] == {"sqlite": "connected"}
    assert row["here"] and row["generation"] == 1 and row["started"] > "2020"
