"""The numbers that make a confidence of what the ranking saw.

Fitted by scripts/fit-confidence on the public development sets named in docs/measurements.md
together with requests that nobody there can answer; the coefficients are the result, not tunables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct, field

INTERCEPT = -0.1651
COEFFICIENTS = {
    "cosine": 8.9161,
    "spread": -8.2578,
    "words": 0.7515,
    "words_squared": 9.2607,
    "relative_squared": -12.8593,
    "lead": 0.7531,
    "drop": 1.9214,
    "strange": 2.8578,
    "short": 0.2443,
}
ABSTAIN_BELOW = 0.03


class Fit(Struct, frozen=True):
    """A logistic regression on what the ranking saw."""

    intercept: float = INTERCEPT
    coefficients: dict[str, float] = field(default_factory=lambda: dict(COEFFICIENTS))

    def probability(self, seen: Mapping[str, float]) -> float:
        z = self.intercept + sum(self.coefficients[name] * value for name, value in seen.items())
        return 1 / (1 + math.exp(-max(-500.0, min(500.0, z))))


SHIPPED_FIT = Fit()
