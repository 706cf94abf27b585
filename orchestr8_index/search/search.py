"""The state of one question on its way to an answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..catalog.index import Segment
from ..queries import Choice
from ..records import Experience, ResolvedRole
from .candidates import Points
from .confidence_fit import ABSTAIN_BELOW
from .rank import Ranking


@dataclass(slots=True)
class Search:
    """`points` by position; `first` are the role's agents; `notes` go into the reasoning."""

    segment: Segment
    choice: Choice
    experience: Experience | None = None
    points: Points = field(default_factory=Points)
    rankings: list[Ranking] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    confidence: float = 0.0
    role: ResolvedRole | None = None

    @property
    def least(self) -> float:
        """The confidence below which the answer is empty."""
        asked = self.choice.min_confidence
        if asked is None and any(ranking.query.misspelt for ranking in self.rankings):
            return 0.0  # the answer must show what a misspelt word was read as
        return ABSTAIN_BELOW if asked is None else asked
