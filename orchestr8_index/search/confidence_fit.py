"""The coefficients that turn a ranking's features into a confidence.

Fitted by scripts/fit-confidence on the public development sets named in docs/measurements.md
together with requests that nobody there can answer; the coefficients are the result, not tunables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct, field

INTERCEPT = -0.7013
COEFFICIENTS = {
    "cosine": 18.6572,
    "cosine_squared": -11.2625,
    "cosine_long": -2.7128,
    "long": 0.0655,
    "lead_drop": 1.7488,
    "drop_squared": -1.5128,
    "drop_large": 2.1871,
    "spread_size": -1.3772,
    "words_spread": 7.1142,
    "relative_squared": -5.6659,
}
ABSTAIN_BELOW = 0.025


class Fit(Struct, frozen=True):
    """A logistic regression on the features of a ranking."""

    intercept: float = INTERCEPT
    coefficients: dict[str, float] = field(default_factory=lambda: dict(COEFFICIENTS))

    def probability(self, features: Mapping[str, float], shift: float = 0.0) -> float:
        """The probability that the first hit is right; `shift` is added to the log odds."""
        z = shift + self.intercept
        z += sum(self.coefficients[name] * value for name, value in features.items())
        return 1 / (1 + math.exp(-max(-500.0, min(500.0, z))))


SHIPPED_FIT = Fit()
