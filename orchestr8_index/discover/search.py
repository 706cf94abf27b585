"""What is known of one question on its way to an answer?"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..records import Choice, Experience, ResolvedRole
from .candidates import Points
from .index import Segment
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
        """The confidence below which the answer is that nobody can do this."""
        asked = self.choice.min_confidence
        if asked is None and any(ranking.query.misspelt for ranking in self.rankings):
            return 0.0  # whoever misspelt a word should see what it was read as
        return self.segment.fit.abstain_below if asked is None else asked
