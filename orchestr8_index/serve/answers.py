"""What decides an answer, and where is it kept? And what is noted when it is given."""

from __future__ import annotations

import contextvars
import hashlib

from ..table import Method
from .cache import AnswerCache, Key
from .state import State


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


def note_answer(
    state: State, question: AskedQuestion, answer: bytes, spent: float, is_hit: bool
) -> None:
    """For renewal and the query log; `spent` are milliseconds."""
    asks = question.method.name, question.params
    state.recent.note(*asks)
    if state.store is not None and question.method.cache == "query":
        queries = state.store.queries
        (queries.hit if is_hit else queries.miss)(asks, answer, spent)
