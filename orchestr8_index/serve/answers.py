"""What decides an answer, and where is it kept? And what is noted when it is given."""

from __future__ import annotations

import contextvars
import hashlib
from typing import TYPE_CHECKING, NamedTuple

from .. import __version__
from ..table import Method
from .cache import AnswerCache, Key
from .state import State

if TYPE_CHECKING:
    from ..team.over_all import AnswersOfAll


class AskedQuestion:
    """A checked question: what it is in the cache, in the query log, and for renewal."""

    __slots__ = ("digest", "method", "params")

    def __init__(self, method: Method, params: bytes) -> None:
        """`params` are checked ones, encoded."""
        self.method, self.params = method, params
        self.digest = hashlib.blake2b(params, digest_size=16).digest()  # params may be long


asked: contextvars.ContextVar[AskedQuestion | None] = contextvars.ContextVar("asked", default=None)
"""The question of this request, where its answer may be kept."""


def answer_key(state: State, question: AskedQuestion, asker: str) -> Key:
    """All that decides an answer: method and params (its host among them), what this asker alone
    knows, the generation, and what was learnt; the project is the cache's owner.

    `asker` is a key's id, "" for nobody in particular.
    """
    method = question.method
    return method.name, question.digest, _view(state, asker), state.stamp(method.about)


def _view(state: State, asker: str) -> str:
    """The asker where it knows something alone, which is in no cached answer of another."""
    outcomes = state.store.ready if asker and state.store else None
    return asker if outcomes is not None and outcomes.patterns.unproven_by(asker) else ""


def cache_of(state: State, method: Method) -> AnswerCache:
    """Where the project's answers of that method are kept."""
    return state.query_cache if method.cache == "query" else state.pattern_cache


class SharedAnswer(NamedTuple):
    """What all servers of a team call an answer, and what one of them made of it, if any."""

    answers: AnswersOfAll
    name: tuple[object, ...]
    seconds: float
    found: bytes | None

    def put(self, answer: bytes) -> None:
        self.answers.put(self.name, answer, self.seconds)


async def shared_answer(state: State, method: Method, key: Key) -> SharedAnswer | None:
    """None where the answer is this server's alone: a pattern's number is, and what was not learnt
    by all."""
    shared, (name, digest, asker, (generation, revision)) = state.shared, key
    answers = shared.answers if shared else None
    if answers is None or asker or method.cache != "query" or state.is_partial:
        return None
    learning = shared.learning_of(state) if shared else None
    stamp = learning.stamp(method.about, revision) if learning else None
    content = await answers.content(state.refresh.generations.path(generation)) if stamp else ""
    if not content:
        return None
    called = (__version__, content, stamp, state.tokens.name, name, digest)
    found = await answers.get(called, generation)
    return SharedAnswer(answers, called, state.settings.query_life, found)


def note_answer(
    state: State, question: AskedQuestion, answer: bytes, spent: float, is_hit: bool
) -> None:
    """For renewal and the query log; `spent` are milliseconds."""
    asks = question.method.name, question.params
    state.recent.note(*asks)
    if state.store is not None and question.method.cache == "query":
        queries = state.store.queries
        (queries.hit if is_hit else queries.miss)(asks, answer, spent)
