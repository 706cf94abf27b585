"""What does a model get of a result? The fields that help it, and nothing that is empty.

Each struct reads a method's result, leaves out what only programs need, and is the output schema.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ...answers import EntryChange, Excerpt, PatternChange
from ...records import Context, Row


class Hit(Row, omit_defaults=True, kw_only=True):
    """A row with its short score; clones in other plugins say the same and are left out."""

    capabilities: list[str] = []

    def __post_init__(self) -> None:
        self.score = round(self.score, 2)
        self.also = []


class Found(Struct, omit_defaults=True, kw_only=True):
    reasoning: str
    confidence: float
    near_misses: list[str] = []

    def __post_init__(self) -> None:
        self.confidence = round(self.confidence, 2)


class Agents(Found, omit_defaults=True, kw_only=True):
    agents: list[Hit]


class Skills(Found, omit_defaults=True, kw_only=True):
    skills: list[Hit]


class Workflows(Found, omit_defaults=True, kw_only=True):
    workflows: list[Hit]


class Packed(Context, omit_defaults=True, kw_only=True):
    pass


class Plan(Struct, omit_defaults=True, kw_only=True):
    goal: str
    agent_sequence: list[str]
    dependencies: dict[str, list[str]] = {}
    parallel_groups: list[list[str]] = []
    success_count: int = 0
    failure_count: int = 0


class Learnt(Struct, omit_defaults=True, kw_only=True):
    """`found` is false, and stands alone, where nothing has been learnt for such a goal."""

    found: bool | None = None
    pattern: Plan | None = None
    success_rate: float = 0.0
    similarity: float = 0.0
    matched_by: str = ""
    missing_agents: list[str] = []

    def __post_init__(self) -> None:
        self.found = self.pattern is not None


class Noted(Struct, omit_defaults=True, kw_only=True):
    pattern: PatternChange | None = None
    entries: list[EntryChange] = []
    duplicate: bool = False
    amended: bool = False
    unknown: list[str] = []


class Reported(Struct, omit_defaults=True, kw_only=True):
    stored: bool
    decision_id: int
    receipt: Noted


RESULTS: dict[str, type[Struct]] = {
    "query_agents": Agents,
    "query_skills": Skills,
    "query_workflows": Workflows,
    "get_entry": Excerpt,
    "get_context": Packed,
    "get_pattern": Learnt,
    "report_outcome": Reported,
}


def slim(name: str, result: bytes) -> Any:
    """A method's result as JSON becomes the tool's; `null` becomes a struct that says so."""
    return msgspec.json.decode(b"{}" if result == b"null" else result, type=RESULTS[name])
