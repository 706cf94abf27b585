"""Shortens a conversation to a budget of tokens: its newest messages, and an extract of the others.

The extract is made of whole sentences, chosen by the weights of their words. A word weighs less the
more messages have it, and counts once.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Sequence, Set
from itertools import accumulate

from msgspec import Struct

from ..records import JsonObject
from ..tokens import estimate_tokens

NEWEST_SHARE = 0.7  # of the budget that the newest messages may take
AROUND = 12  # tokens of the fields around a message or a line
MOST_WORDS = 40  # of a sentence; a longer one is cut
MOST_OLDER = 200_000  # characters of the older messages, the newest, that are looked at
HOW = "sentences of the older messages by the weight of their words; no model wrote this"
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"\w[\w./:-]*\w|\w")


class Sentence(Struct):
    place: int  # in the conversation
    row: JsonObject
    text: str
    words: frozenset[str]


def within(rows: Sequence[JsonObject], most: int) -> JsonObject:
    """Messages are given oldest first. Returns the last ones, and an `extract` of those before."""
    whole, spent = 0, 0
    for row in reversed(rows):
        cost = estimate_tokens(row["body"]) + AROUND
        if spent + cost > (most if whole + 1 == len(rows) else most * NEWEST_SHARE):
            break
        whole, spent = whole + 1, spent + cost
    older = rows[: len(rows) - whole]
    conversation: JsonObject = {"messages": list(rows[len(rows) - whole :])}
    if older:
        ends = accumulate(len(row["body"]) for row in reversed(older))
        first = len(older) - max(1, sum(end <= MOST_OLDER for end in ends))
        lines = _best(_sentences(older[first:]), len(older), most - spent)
        conversation["extract"] = {"of": len(older), "lines": lines, "how": HOW}
    return conversation


def _sentences(rows: Sequence[JsonObject]) -> list[Sentence]:
    sentences = list[Sentence]()
    for row in rows:
        for part in _SENTENCE.split(row["body"][:MOST_OLDER]):
            words = _WORD.findall(part.lower())
            if words:
                cut = " ".join(part.split()[:MOST_WORDS]) + " …"
                text = cut if len(words) > MOST_WORDS else part.strip()
                sentences.append(Sentence(len(sentences), row, text, frozenset(words[:MOST_WORDS])))
    return sentences


def _best(sentences: Sequence[Sentence], messages: int, room: int) -> list[JsonObject]:
    """The heaviest that fit, in the order of the conversation. A sentence's worth falls as others
    are chosen, so the heap's top is weighed again before it is chosen."""
    has = Counter(word for word, _ in {(w, s.row["id"]) for s in sentences for w in s.words})
    weight = {word: math.log1p(messages / count) for word, count in has.items()}
    heap = [(-_worth(each.words, weight), each.place) for each in sentences]
    heapq.heapify(heap)
    chosen, covered = list[Sentence](), set[str]()
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
            chosen.append(each)
    chosen.sort(key=lambda each: each.place)
    return [{"id": t.row["id"], "from": t.row["from"], "text": t.text} for t in chosen]


def _worth(words: frozenset[str], weight: dict[str, float], but: Set[str] = frozenset()) -> float:
    return sum(weight[word] for word in words - but) / math.sqrt(len(words) + 4)
