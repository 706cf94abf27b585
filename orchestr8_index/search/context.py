"""Packs what one task needs into a token budget: rows, a pattern and passages, by gain per token.

The budget is for the whole result as JSON, the receipt included, and it is never exceeded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from ..catalog.index import Index
from ..queries import Answer, Context, ContextQuery, Row, TokenReceipt
from ..records import KINDS, PLURAL, Experience, Kind
from ..text import Terms
from ..tokens import ESTIMATING, Tokenizer
from .answer import answer_task
from .confidence import DOUBTFUL
from .excerpt import cut_to
from .passages import best_passages
from .query import read_query
from .semantic import likenesses

SEVERAL: dict[Kind, int] = {"agent": 5, "skill": 5, "workflow": 1}
ALONE = 5
WORTH = 0.5
"""A row is offered when it scores at least this share of the best of its kind."""
AS_A_SKILL = 0.1  # confidence that a skill is given more, as it says how to do a task
LEAST_TEXT = 40
"""Tokens below which a passage is left out."""


class Offer(Struct):
    """A candidate for the context's field `where`; `cost` in tokens."""

    where: str
    value: Any
    gain: float
    cost: int

    @property
    def worth(self) -> float:
        return self.gain / self.cost


def get_context(
    index: Index,
    query: ContextQuery,
    terms: Terms,
    experience: Experience | None = None,
    pattern: dict[str, Any] | None = None,
    tokens: Tokenizer = ESTIMATING,
) -> Context:
    """The context of the query's task; `pattern` is a result of getOrchestrationPattern, if any."""
    answers = [_ask(index, kind, query, terms, experience) for kind in KINDS if kind in query.kinds]
    packing = Packing(query.max_tokens, catalogue_tokens(index, tokens), tokens)
    packing.set_confidence(answers)
    queues = [list(_rows(answer, tokens)) for answer in answers]
    if pattern is not None:
        queues.append([_pattern(pattern, tokens)])
    packing.fill(queues)
    best = _best(answers)
    if best and packing.room >= LEAST_TEXT and best[1] in packing.rows(best[0]):
        packing.put_text(*_passages(index, best, query, terms, experience))
    return packing.close()


class Packing:
    """A context that is being filled, and the room that is left in it, in tokens."""

    def __init__(self, budget: int, catalogue: int, tokens: Tokenizer) -> None:
        self.context = Context(receipt=TokenReceipt(budget, catalogue, tokens.name))
        self._budget, self._tokens = budget, tokens
        self._taken: list[str] = []
        self.room = budget - self._cost()

    def set_confidence(self, answers: list[Answer]) -> None:
        sure = {
            PLURAL[answer.kind]: round(answer.confidence, 2) for answer in answers if answer.rows
        }
        self.context.confidence = sure
        self.room = self._budget - self._cost()

    def fill(self, queues: list[list[Offer]]) -> None:
        """Merge the queues by the gain per token of their heads; a head too big ends its queue."""
        waiting = [queue[::-1] for queue in queues if queue]
        while waiting:
            best = max(waiting, key=lambda queue: queue[-1].worth)
            if best[-1].cost <= self.room:
                self._put(best.pop())
            else:
                best.clear()
            waiting = [queue for queue in waiting if queue]

    def rows(self, kind: Kind) -> list[Row]:
        rows: list[Row] = getattr(self.context, PLURAL[kind])
        return rows

    def put_text(self, head: str, passages: list[str]) -> None:
        """Put in as many whole passages as fit, in order; the first one may be cut."""
        text = ""
        for passage in passages:
            longer = f"{text or head}\n\n{passage}"
            if text and self._cost_of(longer) > self.room:
                continue
            text = longer
        while text and (over := self._cost_of(text) - self.room) > 0:
            left = self._tokens(text) - over
            if left < LEAST_TEXT:
                return
            text = cut_to(text, left, self._tokens)
        if text:
            self._put(Offer("text", text, 0.0, self._cost_of(text)))

    def close(self) -> Context:
        """The context with its exact cost. Joining parts may add tokens, so the last parts are
        taken out while it is over its budget."""
        while self._taken and self._cost() > self._budget:
            self._take_out()
        shown = {name for name in self.context.confidence if getattr(self.context, name)}
        self.context.confidence = {k: v for k, v in self.context.confidence.items() if k in shown}
        for _ in range(2):  # the number's own digits count too
            self._set_tokens_used(self._cost())
        return self.context

    def _put(self, offer: Offer) -> None:
        field = getattr(self.context, offer.where)
        value = [*field, offer.value] if isinstance(field, list) else offer.value
        setattr(self.context, offer.where, value)
        self._taken.append(offer.where)
        self.room -= offer.cost

    def _take_out(self) -> None:
        where = self._taken.pop()
        field = getattr(self.context, where)
        empty = {"pattern": None, "text": ""}
        setattr(self.context, where, field[:-1] if isinstance(field, list) else empty[where])

    def _cost(self) -> int:
        return cost_of(self.context, self._tokens)

    def _cost_of(self, text: str) -> int:
        return cost_of(text, self._tokens)

    def _set_tokens_used(self, used: int) -> None:
        self.context.receipt = msgspec.structs.replace(self.context.receipt, tokens_used=used)


def cost_of(value: Any, tokens: Tokenizer) -> int:
    return tokens(msgspec.json.encode(value).decode())


def catalogue_tokens(index: Index, tokens: Tokenizer = ESTIMATING) -> int:
    """Tokens of all entries' names and descriptions; the build has the estimate precomputed."""
    if tokens is ESTIMATING:
        return sum(info.tokens for info in index.manifest.segments.values())
    return index.count_once(tokens.name, lambda entry: tokens(entry.line))


# --- what may go in ----------------------------------------------------------------------------


def _ask(
    index: Index, kind: Kind, query: ContextQuery, terms: Terms, experience: Experience | None
) -> Answer:
    chosen: Any = {"limit": ALONE if len(query.kinds) == 1 else SEVERAL[kind]}
    chosen |= {"min_confidence": DOUBTFUL, "user_only": query.user_only, "host": query.host}
    return answer_task(index, kind, query.task, terms, experience, **chosen)


def _rows(answer: Answer, tokens: Tokenizer) -> Iterator[Offer]:
    """Rows down to WORTH of the best score; gain = confidence · score / best / log2(rank + 1)."""
    for place, row in enumerate(answer.rows):
        share = row.score / answer.rows[0].score if answer.rows[0].score else 0.0
        if share < WORTH:
            return
        row.also = []
        gain = answer.confidence * share / math.log2(place + 2)
        yield Offer(PLURAL[answer.kind], row, gain, 1 + cost_of(row, tokens))


def _pattern(pattern: dict[str, Any], tokens: Tokenizer) -> Offer:
    gain = pattern["success_rate"] * pattern["similarity"]
    return Offer("pattern", pattern, gain, cost_of(pattern, tokens))


def _best(answers: list[Answer]) -> tuple[Kind, Row] | None:
    """The first row of the answer with the highest confidence, a skill's plus AS_A_SKILL."""
    found = [answer for answer in answers if answer.rows]
    sure = lambda answer: answer.confidence + AS_A_SKILL * (answer.kind == "skill")  # noqa: E731
    best = max(found, key=sure, default=None)
    return (best.kind, best.rows[0]) if best else None


def _passages(
    index: Index,
    best: tuple[Kind, Row],
    query: ContextQuery,
    terms: Terms,
    experience: Experience | None,
) -> tuple[str, list[str]]:
    kind, row = best
    segment = index.segments[kind]
    place = segment.position[f"{row.plugin}:{row.name}"]
    entry, text = segment.entry(place), segment.text(place)
    asked = read_query(segment, query.task, terms, experience)
    weights = {word.term: word.weight for word in asked.words if not word.is_pair}
    if asked.meaning is not None and weights:
        usual = sum(weights.values()) // len(weights)
        for term, like in likenesses(segment.words, set(terms(text)), asked.meaning).items():
            weights.setdefault(term, round(usual * like))
    found = best_passages(text, weights, terms, set(terms(f"{entry.name} {entry.description}")))
    return f"From the {kind} {row.plugin}:{row.name}:", found
