"""Does `tune` say what it measured, and can it be undone?"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.cli import tuning
from orchestr8_index.search.tuned import CONFIDENCE, FOLDER

from .conftest import ROOT, Run

needs_sklearn = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None, reason="tuning needs scikit-learn"
)


def test_without_scikit_learn_it_says_how_to_get_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "find_spec", lambda name: None)
    said = run("tune", "--root", ROOT)
    assert said.status == 1
    assert "needs scikit-learn" in said.err and "pip install scikit-learn" in said.err


@needs_sklearn
def test_few_questions_change_nothing(run: Run, tmp_path: Path) -> None:
    golden = tmp_path / "golden.jsonl"
    golden.write_text(json.dumps({"query": "write the docs", "expect": ["docs-writer"]}))
    said = run("tune", str(golden), "--root", ROOT)
    assert said.status == 0 and "Not enough to judge by: 1 golden questions" in said.out
    assert not (tmp_path / "data" / FOLDER).exists()


@needs_sklearn
def test_what_gains_is_kept_until_it_is_undone(run: Run, tmp_path: Path) -> None:
    told = run("tune", "--root", ROOT, "--json").json
    assert told["kept"] == ["confidence: shifted and scaled"] and told["questions"] >= 60
    assert (tmp_path / "data" / FOLDER / CONFIDENCE).exists()
    tuned = run("query", "openapi contract for a webhook", "--root", ROOT, "--json").json
    assert run("tune", "--undo", "--root", ROOT, "--json").json == {"undone": True}
    shipped = run("query", "openapi contract for a webhook", "--root", ROOT, "--json").json
    assert tuned["agents"]["confidence"] > shipped["agents"]["confidence"]
    assert "Nothing was tuned here." in run("tune", "--undo", "--root", ROOT).out


def test_a_child_that_dies_is_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tuning, "find_spec", lambda name: object())
    dying = (tuning.COMMAND[0], "-c", "import sys; sys.stdin.read(); sys.exit('no more memory')")
    monkeypatch.setattr(tuning, "COMMAND", dying)
    said = run("tune", "--root", ROOT)
    assert said.status == 1 and "Tuning failed: no more memory." in said.err


TRIAL: dict[str, Any] = {
    "part": "vectors",
    "name": "taught by the questions",
    "before": {"hit1": 0.5, "r5": 0.6, "mrr": 0.55, "ndcg": 0.56, "ece": 0.1, "loss": 0.6},
    "after": {"hit1": 0.7, "r5": 0.8, "mrr": 0.75, "ndcg": 0.76, "ece": 0.05, "loss": 0.5},
    "better": 9,
    "worse": 1,
    "p": 0.0107,
    "gains": True,
}


def test_a_trial_shows_before_and_after() -> None:
    shown = tuning.shown({"questions": 40, "unknown": 2, "trials": [TRIAL], "verdict": "Kept."})
    assert "Hit@1 0.500 → 0.700" in shown and "better 9, worse 1, by chance 0.011" in shown
    assert "calibration error" not in shown and "(2 are said twice" in shown
    other = tuning.shown(
        {
            "questions": 40,
            "unknown": 0,
            "verdict": "",
            "trials": [{**TRIAL, "part": "confidence", "gains": False}],
        }
    )
    assert "calibration error 0.100 → 0.050, log loss 0.600 → 0.500" in other
