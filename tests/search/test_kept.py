"""What the search remembers of a segment changes no answer."""

from __future__ import annotations

import random

import msgspec

from orchestr8_index.catalog.index import Index
from orchestr8_index.queries import AgentQuery, HostName
from orchestr8_index.search.answer import answer_agents
from orchestr8_index.search.spelling import edits
from orchestr8_index.text import Terms

HOSTS: list[HostName | None] = [None, "claude", "codex", "gemini"]
WORDS = "review kubernets databse kafka release notes team-lead build deploy postgres zzyzx".split()


def test_an_answer_is_the_same_however_much_was_asked_before(shipped_index: Index) -> None:
    draw, terms, first = random.Random(5), Terms(8), dict[bytes, bytes]()
    for _ in range(300):
        query = AgentQuery(
            context=" ".join(draw.sample(WORDS, 3)),
            host=draw.choice(HOSTS),
            detail=draw.choice(["short", "full"]),
            user_only=draw.choice([None, False]),
            plugins=draw.choice([[], [], ["studio"]]),
            limit=draw.choice([1, 5]),
        )
        answer = msgspec.json.encode(answer_agents(shipped_index, query, terms))
        asked = msgspec.json.encode(query)
        assert first.setdefault(asked, answer) == answer
        for segment in shipped_index.segments.values():
            if draw.random() < 0.2:
                segment.rows.clear()
                segment.asked.clear()


def test_letters_tell_what_cannot_be_near() -> None:
    """Each edit takes one letter away and adds another at most."""
    draw = random.Random(3)
    for _ in range(3000):
        one = "".join(draw.choices("abcde", k=draw.randint(1, 6)))
        other = "".join(draw.choices("abcde", k=draw.randint(1, 6)))
        made = edits(one, other, 2)
        assert made > 2 or len(set(one) ^ set(other)) <= 2 * made
