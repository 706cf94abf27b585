"""What is reported on one server, all learn: the same, in whatever order and however often."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.errors import StoreUnavailable
from orchestr8_index.learn.outcomes import OWNER, Outcomes, Reporter
from orchestr8_index.reports import ForgetQuery
from orchestr8_index.store import ledger
from orchestr8_index.team.core import TeamCoordination
from orchestr8_index.team.learning import TeamLearning

from ..coordinate.worlds import until
from ..learn.reporting import MOMENT, assert_sound, counted, known, opened, report_of
from .engines import Postgres
from .worlds import team

MakeLearner = Callable[[str], contextlib.AbstractAsyncContextManager["Learner"]]


class Learner:
    """One server's part in what the team learns, with a store of its own."""

    def __init__(self, server: TeamCoordination, outcomes: Outcomes, folder: Path) -> None:
        async def own() -> Outcomes:
            return outcomes

        self.own = outcomes
        self.team = TeamLearning(server, "p", own, folder)

    async def tell(self, task: str, by: Reporter = OWNER, **given: Any) -> Any:
        return await self.team.report(report_of(task, **given), known, MOMENT, by)

    def state(self) -> Any:
        """All that was learnt, as the tables and the memory have it."""
        return list(ledger.decisions(self.own.store.reader)), *counted(self.own)

    async def reach(self, other: Learner) -> None:
        await until(lambda: self.team.cursor >= other.team.cursor)


@contextlib.asynccontextmanager
async def learning(url: str, schema: str, folder: Path) -> AsyncIterator[Learner]:
    folder.mkdir(exist_ok=True)
    async with team(url, 1, schema) as (server,), opened(folder) as outcomes:
        made = Learner(server, outcomes, folder)
        try:
            yield made
        finally:
            await made.team.stop()


@pytest.fixture
def learner(quick_postgres: Postgres, tmp_path: Path) -> MakeLearner:
    """A server of one team, by the name of its folder."""
    url, schema = quick_postgres.url, f"o8_{secrets.token_hex(6)}"
    return lambda name: learning(url, schema, tmp_path / name)


def test_a_report_on_one_server_is_learnt_by_another(learner: MakeLearner) -> None:
    async def work() -> None:
        async with learner("a") as a, learner("b") as b:
            before = b.own.revision
            applied = await a.tell("t1", agents_used=["a", "nobody"])
            assert applied.receipt.unknown == ["nobody"]
            await until(lambda: b.own.decisions == 1)
            assert b.own.revision > before
            assert await b.own.store.write(lambda on: ledger.find_decision(on, "t1"))

    asyncio.run(work())


def test_experience_is_the_same_on_all(learner: MakeLearner) -> None:
    """Two report at once, amend and forget; one is started again, a third comes at the end."""

    async def work() -> None:
        async with learner("a") as a:
            async with learner("b") as b:
                await asyncio.gather(
                    *(a.tell(f"a{n}", agents_used=["a", "b"]) for n in range(6)),
                    *(b.tell(f"b{n}", agents_used=["b"], result="failure") for n in range(6)),
                )
                await a.tell("b1", result="success")  # amended by another than its reporter
            await a.team.forget(ForgetQuery(task_id="a3"))
            await a.team.store_pattern("ship it", ("p:a", "p:b"), {}, [["p:a"], ["p:b"]], OWNER)
            async with learner("b") as b, learner("c") as c:
                for other in (b, c):
                    await other.reach(a)
                assert len(a.state()[0]) == 11
                assert b.state() == a.state()
                assert c.state() == a.state()
                for each in (a, b, c):
                    assert_sound(each.own)

    asyncio.run(work())


@pytest.mark.parametrize("cursor", [1 << 40, 1 << 63, 10**30])
def test_a_bent_place_in_the_log_hangs_nobody(
    learner: MakeLearner, tmp_path: Path, cursor: int
) -> None:
    """Beyond the log's end nothing was applied any more, and each report waited without end."""

    async def work() -> None:
        async with learner("a") as a:
            await a.tell("t1")
        (place,) = tmp_path.rglob("learnt-*.json")
        told = json.loads(place.read_text())
        place.write_text(json.dumps({**told, "cursor": cursor}))
        async with learner("a") as a, learner("b") as b:
            async with asyncio.timeout(20):
                await a.tell("t2")
                await b.reach(a)
            for each in (a, b):
                assert [decision.task_id for decision in each.state()[0]] == ["t1", "t2"]
                assert_sound(each.own)

    asyncio.run(work())


def test_another_keys_report_is_amended_by_nobody_on_any_server(learner: MakeLearner) -> None:
    async def work() -> None:
        async with learner("a") as a, learner("b") as b:
            await a.tell("t1", Reporter("ann", is_admin=False))
            with pytest.raises(Exception, match="Another key"):
                await b.tell("t1", Reporter("bob", is_admin=False), result="failure")
            await a.reach(b)
            assert a.state()[0] == b.state()[0]
            assert a.state()[0][0].result == "success"

    asyncio.run(work())


def test_an_outcome_is_refused_while_postgres_is_away(learner: MakeLearner) -> None:
    """Nothing of it is kept in the server: the client has it."""

    async def work() -> None:
        async with learner("a") as a:
            await a.tell("t1")
            server: Any = a.team._shared
            await server.bus.stop()  # so that nobody finds it again
            server.team.circuit.lost("PostgreSQL is not running there.")
            server.team._writer.connection.close()
            with pytest.raises(StoreUnavailable, match="not running"):
                await a.tell("t2")
            assert a.own.decisions == 1

    asyncio.run(work())
