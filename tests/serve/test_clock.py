"""Does a clock that is set by an hour, either way, harm a server that runs?"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.serve.health import health
from orchestr8_index.store import ledger

from .learners import Learner, learn

GOAL = "rotate the TLS certs of the gateway"


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_what_is_asked_and_told_goes_on(
    tmp_path: Path, shipped_index: Index, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    wall = time.time

    async def work(learner: Learner) -> None:
        await learner.report("t1", text=GOAL)
        before = await learner.call("queryAgents", context=GOAL)
        monkeypatch.setattr(time, "time", lambda: wall() + step)
        after = await learner.call("queryAgents", context=GOAL)
        assert after["agents"] == before["agents"]
        assert (await learner.report("t2", text=GOAL))["stored"]
        assert (await learner.report("t1", text=GOAL, result="failure"))["receipt"]["amended"]
        kept = ledger.decisions((await learner.state.store.outcomes()).store.reader)
        assert [(each.task_id, each.result) for each in kept] == [
            ("t1", "failure"),
            ("t2", "success"),
        ]
        assert not health(learner.state)["reasons"]

    learn(tmp_path / "data", shipped_index, work)
