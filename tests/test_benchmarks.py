"""The benchmarks can be started, tell figures and take any tree. What they measure is not here."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import REPOSITORY, fixture_root
from orchestr8_index.serve.hooks.suggest import suggest
from orchestr8_index.text import Terms

SCRIPTS = REPOSITORY / "scripts" / "benchmarks"
Module = Callable[[str], Any]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Module:
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def test_every_benchmark_of_the_table_can_be_started(
    module: Module, capsys: pytest.CaptureFixture[str]
) -> None:
    table = module("__main__").BENCHMARKS
    module("__main__").main(["--help"])
    assert all(callable(module(name).main) for name in table)
    out = capsys.readouterr().out
    assert all(sentence in out for sentence in table.values())
    started = {path.stem for path in SCRIPTS.glob("*.py") if "\ndef main(" in path.read_text()}
    assert started - {"__main__"} == set(table)


def test_an_unknown_benchmark_is_wrong_usage(module: Module) -> None:
    with pytest.raises(SystemExit, match="2"):
        module("__main__").main(["nope"])


def test_figures_are_lines_or_one_document(
    module: Module, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in ([], ["--json"]):
        with module("harness").Run("", options, rounds=3) as run:
            run.row("memory", 41.26, "MB", runs=run.given.rounds)
    lines, document = capsys.readouterr().out.rsplit("\n[", 1)
    assert lines.splitlines()[-1].split("  ")[0] == "memory"
    assert lines.endswith("41.3 MB  runs 3")
    last = json.loads(f"[{document}")[-1]
    assert last == {"name": "memory", "unit": "MB", "value": 41.26, "runs": 3}


def test_a_day_asks_the_golden_questions(module: Module) -> None:
    texts, source = module("day").texts_of(str(fixture_root()), 7)
    assert len(texts) > module("day").QUESTIONS and source == "golden.jsonl"


def test_a_tree_without_golden_questions_has_a_day_too(module: Module, tmp_path: Path) -> None:
    words = [f"{first}{second}" for first in "abcdefghijk" for second in "lmnopqrstu"]
    (tmp_path / "words.md").write_text(" ".join(words))
    texts, source = module("day").texts_of(str(tmp_path), 7)
    assert len(texts) == len(set(texts)) == module("day").QUESTIONS
    assert source == "made from the words of its files"


def test_a_tree_with_too_few_words_is_said(module: Module, tmp_path: Path) -> None:
    (tmp_path / "few.md").write_text("only a few words " * 4)
    with pytest.raises(SystemExit, match="too few words for 60 questions"):
        module("texts").questions(tmp_path, 60)


def test_a_day_tells_of_the_indexs_agents_alone(module: Module, shipped_index: Index) -> None:
    agents, day = module("day").agents_of(shipped_index), module("day").Day
    assert len(agents) == 24 and "studio:docs-writer" in agents
    for known in (agents, list[str]()):
        methods = {method for _, method, _, _ in day(["one text", "another"], known, 7).events()}
        assert ("cacheDecision" in methods) == bool(known)


def test_a_store_filled_in_bulk_has_every_decision(module: Module, tmp_path: Path) -> None:
    module("outcomes").fill(str(tmp_path), str(fixture_root()), 20, ["a", "b"], True)
    assert [*module("servers").stored(tmp_path).values()] == [True] * 40


def test_a_synthetic_catalogue_is_built_and_asked(
    module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gc.disable", lambda: None)
    made = module("scale").make(str(fixture_root()), 300, tmp_path)
    asked = module("scale").ask(str(fixture_root()), 10, tmp_path)
    assert made["disk_mb"] > 0 and 0 < asked["p50_ms"] <= asked["p95_ms"]


def test_two_servers_are_compared_round_by_round(module: Module, tmp_path: Path) -> None:
    """A machine that slows down between the rounds changes no ratio."""
    side = module("side")
    quick, slow = (side.Contestant(name, 1, tmp_path) for name in ("quick", "slow"))
    for rate in (100.0, 400.0, 1000.0):
        slow.rounds.append({"rate": rate})
        quick.rounds.append({"rate": rate * (3 if rate == 400 else 2)})
    assert quick.ratio(slow) == (2.0, 2.0, 3.0)


@pytest.mark.parametrize("kind", ["raw", "starlette"])
def test_the_floor_answers_like_a_server(module: Module, tmp_path: Path, kind: str) -> None:
    side = module("side")
    asked = side.bodies(tmp_path / "hit", ["one question"])
    with module("floor").Floor(kind) as quick:
        side.check(side.Contestant("constant", quick.port, asked))


def test_what_is_said_to_the_host_alone_gets_no_suggestion(
    module: Module, shipped_index: Index
) -> None:
    state: Any = SimpleNamespace(index=shipped_index, terms=Terms(), experience=None)
    chatter = module("prompts").CHATTER
    assert len(chatter) == 129 and not any(suggest(state, text) for text in chatter)


def test_the_gain_of_an_answer_falls_with_the_place_of_what_is_right(module: Module) -> None:
    gain = module("libraries").gain
    assert gain([3, 1], [3]) == 1.0 and gain([1, 2], [3]) == 0.0
    assert 0 < gain([1, 3], [3]) < 1 and gain([3, 4, 1], [4, 3]) == 1.0


def test_a_set_is_asked_as_the_other_libraries_are(
    module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gc.disable", lambda: None)
    about = {"a": "tunes slow databases", "b": "writes release notes", "c": "draws charts"}
    corpus = [
        {"id": f"x:{name}", "name": name, "description": said} for name, said in about.items()
    ]
    asked = [{"query": "release notes", "relevant": ["x:b"]}] * 30
    for name, rows in (("corpus", corpus), ("queries", asked)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    contest = module("contest")
    made, given = contest.of_set(tmp_path)
    module("scale").write(made, tmp_path)
    texts = [f"{entry.name} {entry.description} {body}" for entry, body in made]
    found = module("libraries").fts5(texts, [])("release notes")
    assert contest.ours(given, tmp_path)["ndcg_10"] == 1.0 and found == [1]
