"""Fits the confidence: a logistic regression, its calibration error, its threshold.

Needs scikit-learn: scripts/fit-confidence loads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from orchestr8_index.search.confidence_fit import COEFFICIENTS

REFUSED = 0.02  # at most this share of the answerable questions
BINS = 10
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Sample:
    """One row per question: its set, its features, whether the first hit was right."""

    group: list[str] = field(default_factory=list)
    seen: list[list[float]] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)

    def add(self, group: str, seen: dict[str, float], right: bool, weight: float) -> None:
        self.group.append(group)
        self.seen.append([seen[name] for name in COEFFICIENTS])
        self.right.append(float(right))
        self.weight.append(weight)


def calibration_error(said: Array, right: Array) -> float:
    bins = np.minimum(BINS - 1, (said * BINS).astype(int))
    gaps = (abs(said[bins == b].sum() - right[bins == b].sum()) for b in range(BINS))
    return float(sum(gaps) / len(said))


def area(inside: Array, outside: Array) -> float:
    return float(np.mean((inside[:, None] > outside) + 0.5 * (inside[:, None] == outside)))


def fit(sample: Sample, rows: Array) -> tuple[Any, Array]:
    """The model of these rows, and what it says of all; features are scaled to unit spread."""
    seen = np.array(sample.seen)
    seen = seen / (seen.std(axis=0) + 1e-9)
    model = LogisticRegression(C=1, max_iter=1000)
    right, weight = np.array(sample.right), np.array(sample.weight)
    model.fit(seen[rows], right[rows], sample_weight=weight[rows])
    return model, model.predict_proba(seen)[:, 1]


def threshold(said: Array, group: Array) -> float:
    """The highest at which no set of answerable questions has more than REFUSED refused."""
    names = [name for name in set(group) if not name.startswith("outside")]
    return float(min(np.quantile(said[group == name], REFUSED) for name in names))
