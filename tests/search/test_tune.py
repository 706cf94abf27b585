"""Would a catalogue be answered better with vectors and a confidence of its own?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="tuning needs scikit-learn")

import numpy as np

from orchestr8_index.catalog.index import Index
from orchestr8_index.catalog.word_vectors import Words
from orchestr8_index.search import teach, tune
from orchestr8_index.search.confidence_fit import SHIPPED_FIT
from orchestr8_index.search.teach import Lesson, Vectors, blend, rescaled
from orchestr8_index.search.train import Trained, normalised
from orchestr8_index.search.trial import (
    CHANCE,
    Seen,
    best,
    by_chance,
    by_chance_of_mean,
    judge,
    scores,
)
from orchestr8_index.search.tune import TuneQuestion, TuneRequest, read_asked
from orchestr8_index.search.tuned import FOLDER, VECTORS

from ..trees import MakeTree, agent


def seen(*places: int, said: float = 0.5) -> list[Seen]:
    return [Seen(place, {}, said) for place in places]


# --- is it better, or luckier? -----------------------------------------------------------------


def test_scores_are_means_over_all_questions() -> None:
    told = scores(seen(1, 2, 0, 6))
    assert (told.hit1, told.r5) == (0.25, 0.5)
    assert told.mrr == pytest.approx((1 + 1 / 2 + 1 / 6) / 4, abs=1e-4)
    assert told.ece == 0.25 and told.loss == pytest.approx(0.6931, abs=1e-4)


def test_an_even_split_is_chance_and_a_clear_one_is_not() -> None:
    assert by_chance(0, 0) == 1.0 and by_chance(5, 5) > 0.5
    assert by_chance(10, 0) == pytest.approx(1 / 1024)
    assert by_chance_of_mean([0.1, 0.2] * 20) < 0.001 < 0.4 < by_chance_of_mean([0.1, -0.1] * 20)
    assert by_chance_of_mean([0.0] * 5) == 1.0


def test_a_clear_gain_passes_and_noise_does_not() -> None:
    clear = judge("vectors", "", seen(*[2] * 40), seen(*[1] * 20, *[2] * 20), 3)
    assert clear.gains and (clear.better, clear.worse) == (20, 0)
    noise = judge("vectors", "", seen(*[2] * 40), seen(*[1] * 6, *[3] * 4, *[2] * 30), 3)
    assert not noise.gains and noise.after.mrr > noise.before.mrr


def test_who_tries_more_must_gain_more_clearly() -> None:
    before, after = seen(*[2] * 20), seen(*[1] * 6, *[2] * 14)
    alone, third = judge("vectors", "", before, after, 1), judge("vectors", "", before, after, 9)
    assert alone.gains and not third.gains and CHANCE / 9 < third.p < CHANCE


def test_a_confidence_gains_by_its_log_loss() -> None:
    places = [1] * 30 + [0] * 10
    better = [Seen(place, {}, 0.8 if place else 0.2) for place in places]
    assert judge("confidence", "", seen(*places), better, 1).gains
    assert not judge("confidence", "", better, seen(*places), 1).gains


def test_the_best_is_one_that_gains() -> None:
    better = judge("vectors", "good", seen(*[2] * 40), seen(*[1] * 40), 1)
    worse = judge("vectors", "bad", seen(*[1] * 40), seen(*[2] * 40), 1)
    assert best([(worse, 1), (better, 2)]) == (better, 2)
    assert best([(worse, 1)]) is None


# --- the candidates ----------------------------------------------------------------------------


def vectors(**rows: list[float]) -> Vectors:
    words = sorted(rows)
    habits = {name: np.ones(len(words)) for name in ("share", "naming", "frequency")}
    return Vectors(words, habits, normalised(np.array([rows[word] for word in words])))


def test_a_lesson_pulls_its_words_the_right_way() -> None:
    before = vectors(cat=[1.0, 0.0], dog=[1.0, 0.0])
    after = teach.teach(before, [Lesson([0], np.array([0.0, 3.0]))] * 5)
    assert after.rows[0][1] > 0.5 and after.rows[1].tolist() == [1.0, 0.0]
    assert np.linalg.norm(after.rows, axis=1) == pytest.approx([1, 1])


def test_a_catalogues_vectors_are_turned_onto_the_shipped_ones() -> None:
    shipped = vectors(a=[1.0, 0.0], b=[0.0, 1.0])
    turned = vectors(a=[0.0, 1.0], b=[-1.0, 0.0], c=[-1.0, 0.0])
    mixed = blend(shipped, Trained(turned.words, turned.habits, turned.rows), 0.5)
    assert mixed.words == ["a", "b", "c"]
    assert mixed.rows == pytest.approx(np.array([[1, 0], [0, 1], [0, 1]]), abs=1e-9)


def test_a_rescaled_confidence_refuses_the_same_questions() -> None:
    told = [{**dict.fromkeys(SHIPPED_FIT.coefficients, 0.1), "relative": n / 40} for n in range(40)]
    fit = rescaled(told, [n > 10 for n in range(40)])
    assert fit is not None and fit.can_be_used()
    below = [SHIPPED_FIT.probability(each) < SHIPPED_FIT.abstain_below for each in told]
    assert [fit.probability(each) < fit.abstain_below for each in told] == below


def test_a_confidence_that_is_always_wrong_is_not_turned_round() -> None:
    told = [{**dict.fromkeys(SHIPPED_FIT.coefficients, 0.1), "relative": n / 40} for n in range(40)]
    assert rescaled(told, [n < 10 for n in range(40)]) is None


# --- whole runs --------------------------------------------------------------------------------

TAUGHT = "latex unity game pdf video music excel travel recipe photo".split()


def odd_tree(make_tree: MakeTree) -> tuple[str, ...]:
    """Two agents that all questions find equally: only vectors can learn whom a word means."""
    files = {
        f"agents/{name}.md": agent(name, f"Handles request tickets about {about}.")
        for name, about in [("alpha", "kubernetes docker"), ("omega", "marketing sales")]
    }
    return (str(make_tree(files)),)


def ask(text: str, *expect: str, golden: bool = True) -> TuneQuestion:
    return TuneQuestion(text, expect, "agent", golden)


def test_with_few_questions_nothing_is_judged(make_tree: MakeTree, tmp_path: Path) -> None:
    few = [ask(f"request number {n}", "alpha") for n in range(29)]
    told = tune.tune(
        TuneRequest(odd_tree(make_tree), str(tmp_path / "d"), (*few, ask("x", "nobody"))),
        lambda step: None,
    )
    assert told.verdict.startswith("Not enough to judge by: 29 golden questions (at least 30)")
    assert (told.questions, told.unknown, told.trials) == (29, 1, [])
    assert not (tmp_path / "d" / FOLDER).exists()


def lessons(number: int = 80) -> list[TuneQuestion]:
    """Common words that by themselves say nothing about either agent, and always mean alpha."""
    known = [word for word in TAUGHT if Words().find(word) is not None]
    return [
        ask(f"request ticket {known[n % len(known)]} {known[n // 3 % len(known)]} nr{n}", "alpha")
        for n in range(number)
    ]


def test_what_gains_is_kept_and_used(make_tree: MakeTree, tmp_path: Path) -> None:
    roots, data = odd_tree(make_tree), tmp_path / "data"
    told = tune.tune(TuneRequest(roots, str(data), tuple(lessons())), lambda step: None)
    taught = next(t for t in told.trials if t.name == "taught by the questions")
    assert taught.gains and taught.after.hit1 > taught.before.hit1
    assert (data / FOLDER / VECTORS).exists() and told.verdict.startswith("Kept vectors")
    assert os.stat(data / FOLDER).st_mode & 0o777 == 0o700


def test_a_dry_run_keeps_nothing(make_tree: MakeTree, tmp_path: Path) -> None:
    steps: list[str] = []
    request = TuneRequest(odd_tree(make_tree), str(tmp_path / "d"), tuple(lessons()), True)
    told = tune.tune(request, steps.append)
    assert told.kept and told.verdict.startswith("Would keep")
    assert not (tmp_path / "d").exists() and "vectors, taught by the questions" in steps


def test_labels_by_chance_gain_nothing(make_tree: MakeTree, tmp_path: Path) -> None:
    names = ["alpha", "omega"]
    drawn = [ask(q.text, names[hash_of(q.text) % 2]) for q in lessons()]
    told = tune.tune(TuneRequest(odd_tree(make_tree), str(tmp_path), tuple(drawn)), lambda s: None)
    assert not [trial for trial in told.trials if trial.part == "vectors" and trial.gains]


def hash_of(text: str) -> int:
    return sum(map(ord, text)) * 7919 >> 3


def test_equal_questions_are_one_and_clones_are_right(shipped_index: Index) -> None:
    asked = read_asked(
        shipped_index,
        [ask("Fix  the docs", "docs-writer"), ask("fix the docs!", "docs-writer"), ask("?", "x")],
    )
    assert len(asked) == 1 and len(asked[0].right) >= 1
