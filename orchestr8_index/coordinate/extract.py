"""A long talk within a budget of tokens: its newest messages whole, of the older ones an extract.

No model writes it: sentences are taken by the weight of their words, which falls with the number
of messages that have them, and a word counts once.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from ..records import JsonObject
from ..tokens import estimate_tokens

NEWEST_SHARE = 0.7  # of the budget that the newest messages may take
AROUND = 12  # tokens that a message's or a line's own fields take
MOST_WORDS = 40  # of a sentence; a longer one is cut
HOW = "sentences of the older messages by the weight of their words; no model wrote this"
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"\w[\w./:-]*\w|\w")


class Sentence(Struct):
    """One of the older messages', as an extract has it; `place` is its order in the talk."""

    place: int
    row: JsonObject
    text: str
    words: frozenset[str]


def within(rows: Sequence[JsonObject], most: int) -> JsonObject:
    """Of messages, the oldest first: the last ones whole, and an `extract` of those before."""
    whole, spent = 0, 0
    for row in reversed(rows):
        cost = estimate_tokens(row["body"]) + AROUND
        if spent + cost > (most if whole + 1 == len(rows) else most * NEWEST_SHARE):
            break
        whole, spent = whole + 1, spent + cost
    older = rows[: len(rows) - whole]
    conversation: JsonObject = {"messages": list(rows[len(rows) - whole :])}
    if older:
        lines = _best(_sentences(older), len(older), most - spent)
        conversation["extract"] = {"of": len(older), "lines": lines, "how": HOW}
    return conversation


def _sentences(rows: Sequence[JsonObject]) -> list[Sentence]:
    found = list[Sentence]()
    for row in rows:
        for part in _SENTENCE.split(row["body"]):
            words = _WORD.findall(part.lower())
            if words:
                text = part.strip()
                if len(words) > MOST_WORDS:
                    text = " ".join(part.split()[:MOST_WORDS]) + " …"
                found.append(Sentence(len(found), row, text, frozenset(words[:MOST_WORDS])))
    return found


def _best(sentences: Sequence[Sentence], messages: int, room: int) -> list[JsonObject]:
    """The heaviest that fit, in the order of the talk. What a sentence is worth falls as others
    are taken, so that the heap's top is weighed again before it is."""
    has = Counter(word for word, _ in {(w, s.row["id"]) for s in sentences for w in s.words})
    weight = {word: math.log1p(messages / count) for word, count in has.items()}
    heap = [(-_worth(each.words, weight), each.place) for each in sentences]
    heapq.heapify(heap)
    taken, covered = list[Sentence](), set[str]()
    while heap and room > AROUND:
        before, place = heapq.heappop(heap)
        each = sentences[place]
        worth = _worth(each.words, weight, covered)
        if heap and worth < -heap[0][0] and worth < -before:
            heapq.heappush(heap, (-worth, place))
            continue
        cost = estimate_tokens(each.text) + AROUND
        if worth and cost <= room:
            room -= cost
            covered |= each.words
            taken.append(each)
    taken.sort(key=lambda each: each.place)
    return [{"id": t.row["id"], "from": t.row["from"], "text": t.text} for t in taken]


def _worth(
    words: frozenset[str], weight: dict[str, float], covered: set[str] | None = None
) -> float:
    new = words - covered if covered else words
    return sum(weight[word] for word in new) / math.sqrt(len(words) + 4)
