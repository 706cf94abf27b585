"""Does the confidence follow the user's own outcomes, seldom, and the same after a restart?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestr8_index.catalog.index import Index
from orchestr8_index.learn.experience import JUDGED, Memory
from orchestr8_index.serve.renewal import EVERY_SECONDS, Calibrating
from orchestr8_index.text import Terms

from ..learn.reporting import decision
from .learners import Learner, learn

QUESTION = "make the sql query faster"


async def teach(learner: Learner, count: int, agent: str) -> None:
    for number in range(count):
        text = f"rotate the certificates of cluster {number}"
        await learner.report(f"{agent}{number}", text, agents_used=[agent])


async def sure(learner: Learner) -> float:
    return float((await learner.call("queryAgents", context=QUESTION))["confidence"])


async def agents(learner: Learner) -> Any:
    return (await learner.call("getHealth"))["calibration"].get("agents")


def test_outcomes_move_it_every_ten_minutes_at_most_and_health_says_so(
    tmp_path: Path, shipped_index: Index
) -> None:
    clock = [0.0]

    async def work(learner: Learner) -> Any:
        calibrating = Calibrating(learner.state, lambda: clock[0])
        await learner.store.outcomes()
        before = await sure(learner)
        await calibrating.step()
        assert await agents(learner) is None
        await teach(learner, 30, "docs-writer")
        clock[0] = EVERY_SECONDS - 1
        await calibrating.step()
        assert await sure(learner) == before
        clock[0] = EVERY_SECONDS
        await calibrating.step()
        assert await sure(learner) < before
        return await agents(learner), await sure(learner)

    told, moved = learn(tmp_path, shipped_index, work)
    assert told["outcomes"] == 30 and told["right"] == 0 > told["shift"]

    async def again(learner: Learner) -> Any:
        await learner.store.outcomes()
        await Calibrating(learner.state).step()
        return await agents(learner), await sure(learner)

    assert learn(tmp_path, shipped_index, again) == (told, moved)


def test_what_others_did_says_nothing(tmp_path: Path, shipped_index: Index) -> None:
    async def work(learner: Learner) -> None:
        await teach(learner, 5, "nobody-of-that-name")
        await Calibrating(learner.state).step()
        assert await agents(learner) is None

    learn(tmp_path, shipped_index, work)


def test_successes_alone_push_others_out_and_a_removal_takes_its_own() -> None:
    memory = Memory(Terms())
    for number in range(JUDGED + 5):
        memory.add(decision(f"a{number}", f"win {number}"))
        memory.add(decision(f"b{number}", f"loss {number}", result="failure"))
    judged = memory.judged["agent"]
    assert sum(each.won for each in judged.values()) == JUDGED
    assert "win 4" not in judged and "loss 3" not in judged and len(judged) <= 2 * JUDGED
    memory.add(decision("again", "win 9", result="failure"))
    assert not judged["win 9"].won and "win 5" in judged
    memory.remove(decision("again", "win 9", result="failure"))
    assert "win 9" not in judged
