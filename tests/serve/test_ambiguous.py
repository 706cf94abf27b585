"""Is a name that several entries have credited to the one that was meant, or to nobody?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestr8_index.catalog.index import Index

from ..trees import agent, build_tree, write_tree
from .learners import Learner, learn

FILES = {
    "plugins/one/agents/r.md": agent("reviewer", "Reviews bridges of steel."),
    "plugins/two/agents/r.md": agent("reviewer", "Reviews novels and poems.", "Other words."),
    "plugins/two/agents/t.md": agent("tester"),
}


def built(tmp_path: Path, files: dict[str, str]) -> Index:
    return build_tree(write_tree(tmp_path / "tree", files), data_dir=tmp_path / "index").index


def receipt(tmp_path: Path, index: Index, *agents: str) -> Any:
    async def report(learner: Learner) -> Any:
        said = {"task_id": "t", "task_description": "review it", "result": "success"}
        return (await learner.call("cacheDecision", agents_used=list(agents), **said))["receipt"]

    return learn(tmp_path, index, report)


def test_a_name_of_several_is_kept_without_credit_and_the_choices_are_told(tmp_path: Path) -> None:
    told = receipt(tmp_path, built(tmp_path, FILES), "reviewer", "tester")
    assert told["ambiguous"] == {"reviewer": ["one:reviewer", "two:reviewer"]}
    assert [change["entry"] for change in told["entries"]] == ["two:tester"]
    assert told["unknown"] == []


def test_the_one_that_the_host_calls_so_is_meant(tmp_path: Path) -> None:
    own = {".claude/agents/r.md": agent("reviewer", "Reviews changes of this project.", "Words.")}
    told = receipt(tmp_path, built(tmp_path, {**FILES, **own}), "reviewer")
    assert [change["entry"] for change in told["entries"]] == [".claude:reviewer"]


def test_a_qualified_name_is_not_ambiguous(tmp_path: Path) -> None:
    told = receipt(tmp_path, built(tmp_path, FILES), "two:reviewer")
    assert [change["entry"] for change in told["entries"]] == ["two:reviewer"]
