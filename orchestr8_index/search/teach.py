"""How could the shipped vectors and confidence learn from one catalogue and its questions?

Each function makes one candidate; tune.py judges them. Needs scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from ..catalog.index import Index
from ..catalog.word_vectors import UNIT, Words, write_words
from .confidence_fit import COEFFICIENTS, SHIPPED_FIT, Fit
from .train import DIMENSIONS, Trained, normalised, sections_of, tokenise, train

SHARES = (0.0, 0.3)  # of a known word's vector that the catalogue decides; 0: new words alone
FEWEST_WORDS = 2 * DIMENSIONS
PULL, DOUBT = 2.0, 3  # how far a question moves its words; questions of doubt about a word
SMALLEST_SPREAD = 1e-9

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Vectors:
    """What a words.vec is made of."""

    words: list[str]
    habits: dict[str, Array]
    rows: Array

    def write(self, path: Path) -> str:
        return write_words(
            path, self.rows.shape[1], sections_of(self.words, self.habits, self.rows)
        )


@dataclass
class Lesson:
    """The words of a question, and the way from the best wrong entry to the right one."""

    words: list[int]
    way: Array


def read(words: Words) -> Vectors:
    names, raw = words.everything()
    rows = np.frombuffer(raw, np.int8).reshape(words.size, words.dimensions) / UNIT
    habits = {name: np.array(getattr(words, name)) for name in ("share", "naming", "frequency")}
    return Vectors(names, habits, normalised(rows))


def of_catalogue(index: Index) -> Trained | None:
    """Vectors of the catalogue's own texts; None where they are too few to have any."""
    corpus = tokenise(
        (entry.name, f"{entry.said} {segment.text(place)}")
        for segment in index.segments.values()
        for place in range(segment.size)
        for entry in (segment.entry(place),)
    )
    if len(corpus.numbers) < FEWEST_WORDS or len(corpus.stream) < 100 * DIMENSIONS:
        return None
    trained = train(corpus)
    return trained if len(trained.words) >= FEWEST_WORDS else None


def blend(shipped: Vectors, own: Trained, share: float) -> Vectors:
    """The catalogue's vectors turned onto the shipped ones (orthogonal Procrustes), and mixed."""
    place = {word: at for at, word in enumerate(shipped.words)}
    common = [at for at, word in enumerate(own.words) if word in place]
    new = [at for at, word in enumerate(own.words) if word not in place]
    theirs = np.array([place[own.words[at]] for at in common], int)
    left, _, right = np.linalg.svd(own.rows[common].T @ shipped.rows[theirs])
    turned = own.rows @ (left @ right)
    rows = shipped.rows.copy()
    rows[theirs] = (1 - share) * rows[theirs] + share * turned[common]
    words = shipped.words + [own.words[at] for at in new]
    order = np.array(sorted(range(len(words)), key=lambda at: words[at].encode()), int)
    habits = {
        name: np.concatenate([values, own.habits[name][new]])[order]
        for name, values in shipped.habits.items()
    }
    return Vectors(
        [words[at] for at in order], habits, normalised(np.concatenate([rows, turned[new]]))[order]
    )


def teach(shipped: Vectors, lessons: Sequence[Lesson]) -> Vectors:
    """The words of each question are pulled towards its right entry, away from the best wrong."""
    moved, times = np.zeros_like(shipped.rows), np.zeros(len(shipped.rows))
    for lesson in lessons:
        length = max(float(np.linalg.norm(lesson.way)), SMALLEST_SPREAD)
        moved[lesson.words] += lesson.way / length
        times[lesson.words] += 1
    rows = shipped.rows + PULL * moved / (times + DOUBT)[:, None]
    return Vectors(shipped.words, shipped.habits, normalised(rows))


# --- confidence --------------------------------------------------------------------------------


def rescaled(seen: Sequence[dict[str, float]], right: Sequence[bool]) -> Fit | None:
    """The shipped confidence with its log odds shifted and scaled: two numbers to learn (Platt).

    The threshold moves along, so that the same questions are refused: the user's questions say
    nothing of those that nobody can answer.
    """
    odds = np.array([log_odds(SHIPPED_FIT.probability(each)) for each in seen])
    model = LogisticRegression(C=10, max_iter=1000).fit(odds[:, None], np.array(right))
    scale, shift = float(model.coef_[0][0]), float(model.intercept_[0])
    if scale <= 0:
        return None
    coefficients = {name: scale * value for name, value in COEFFICIENTS.items()}
    least = 1 / (1 + math.exp(-scale * log_odds(SHIPPED_FIT.abstain_below) - shift))
    return Fit(scale * SHIPPED_FIT.intercept + shift, coefficients, least)


def log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))
