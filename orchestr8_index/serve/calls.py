"""One call of a method, from its raw params to the bytes of its result.

JSON-RPC, MCP and the hooks all use `perform`: it validates, caches, counts, and is the one place
where an unexpected exception becomes an InternalError.
"""

from __future__ import annotations

import contextvars
import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from .. import __version__
from ..errors import Forbidden, InternalError, MethodNotFound, RequestError, StoreUnavailable
from ..fit import fit_json
from ..methods import METHODS
from ..table import Method
from ..validate import read_params
from .cache import AnswerCache, CacheKey
from .callers import caller, correlation_id
from .events import Learnt
from .handlers import HANDLERS
from .state import State

if TYPE_CHECKING:
    from ..team.over_all import AnswersOfAll

from_cache: contextvars.ContextVar[bool] = contextvars.ContextVar("from_cache", default=False)
LOGGED_BYTES, DISCOVER = 2000, "rpc.discover"
MISS, HIT = b'"cache_hit":false', b'"cache_hit":true'  # cannot match a text, whose quotes are \"
log = logging.getLogger("orchestr8.rpc")


async def perform(state: State, name: str, raw: bytes) -> bytes:
    """The result of the method as JSON. `raw` are its params as JSON. Raises RequestError only.

    Counts, audits and traces the call however it ends, except for a success of a `quiet` method.
    """
    started, method = time.perf_counter(), METHODS.get(name)
    try:
        if method is None:
            raise _no_method(METHODS)
        caller.get().must_have(method.scope)
        if not method.quiet:
            state.gate.charge(caller.get().name, name)
        result = await _perform(state, method, raw)
        _note(state, method, started)
        return result
    except RequestError as error:
        failure = error
    except sqlite3.Error as error:  # answers go on, and /health says why
        state.store.failed(error)
        failure = StoreUnavailable("The store cannot be read.")
    except Exception:  # the one place where an unexpected exception becomes a response
        log.exception("the method failed", extra={"method": name})
        state.refresh.suspect()
        failure = InternalError("The server met an error of its own.")
    state.metrics.failed(failure.code)
    _note(state, method, started, failure)
    try:
        raise failure from None
    finally:
        del failure  # its traceback refers to this frame: the cycle would keep the index alive


def is_quiet(name: str) -> bool:
    """Whether calls of that method are neither audited, counted nor logged."""
    return name in METHODS and METHODS[name].quiet


def _note(
    state: State, method: Method | None, started: float, failure: RequestError | None = None
) -> None:
    """Audit and trace a call. An unknown method is not named, so that no caller makes labels."""
    is_quiet = method is not None and method.quiet
    if failure or not is_quiet:
        name = method.name if method else "no such method"
        outcome = failure.code if failure else "ok"
        is_read = not isinstance(failure, Forbidden) and (method is None or method.scope == "read")
        state.gate.audit.done(name, str(outcome), is_read)
    if state.trace is not None and not is_quiet:
        label, code = method.name if method else "unknown", failure.code if failure else 0
        is_hit = code == 0 and from_cache.get()
        took = time.perf_counter() - started
        state.trace.call(label, took, code, is_hit, correlation_id.get())
        from_cache.set(False)  # for the next call of a batch


def check_face(name: str, face: str) -> None:
    """Raises MethodNotFound for a method of another face; any is allowed for the face ""."""
    method = METHODS.get(name)
    if face and (method is None or method.face != face):
        raise _no_method(each.name for each in METHODS.values() if each.face == face)


def _no_method(names: Iterable[str]) -> MethodNotFound:
    return MethodNotFound("There is no such method.", f"The methods are {', '.join(names)}.")


async def _perform(state: State, method: Method, raw: bytes) -> bytes:
    started = time.perf_counter()
    if method.cache and log.isEnabledFor(logging.DEBUG):  # only questions are logged, not reports
        text = raw[:LOGGED_BYTES].decode("utf-8", "replace")
        log.debug("asked", extra={"method": method.name, "params": text})
    params = read_params(method.params, raw)
    answer = _cached if method.cache else _handle
    result = await answer(state, method, params)
    if method.scope != "read" and method.face == "index":
        state.events.publish(Learnt(method.name))
    if not method.quiet:
        spent = (time.perf_counter() - started) * 1000
        state.metrics.answered(method.name, spent, bool(method.cache))
    return result


async def _handle(state: State, method: Method, params: Any) -> bytes:
    """Call the handler; answers for models are cleaned by `fit_json`, shared values are exact."""
    answer = msgspec.json.encode(await HANDLERS[method.name](state, params))
    is_for_models = method.face in ("index", "page") and method.name != DISCOVER
    return fit_json(answer) if is_for_models else answer


async def _cached(state: State, method: Method, params: Any) -> bytes:
    question = AskedQuestion(method, msgspec.json.encode(params))
    key = answer_key(state, question, caller.get().ident)
    started, cached = time.perf_counter(), cache_of(state, method).get(key)
    answer = await _compute(state, method, params, key) if cached is None else cached
    asked.set(question)
    from_cache.set(cached is not None)
    spent = (time.perf_counter() - started) * 1000
    note_answer(state, question, answer, spent, cached is not None)
    return answer


async def renew(state: State, name: str, raw: bytes) -> bool:
    """Compute an answer into the cache in advance; False when the cached one is still valid.

    `raw` are checked params as JSON. Raises RequestError.
    """
    method = METHODS[name]
    params = read_params(method.params, raw)
    key = answer_key(state, AskedQuestion(method, raw), "")
    cache = cache_of(state, method)
    if key in cache:
        return False
    await _compute(state, method, params, key)
    cache.renewed += 1
    return True


async def _compute(state: State, method: Method, params: Any, key: CacheKey) -> bytes:
    """Take the answer of another server of the team, else compute it; put it into the cache."""
    shared, cache = await shared_answer(state, method, key), cache_of(state, method)
    if shared is not None and shared.found is not None:
        cache.put(key, shared.found)
        return shared.found
    answer = await _handle(state, method, params)
    cache.put(key, cached := answer.replace(MISS, HIT, 1))
    if shared is not None and key[3] == state.stamp(method.about):
        shared.put(cached)
    return answer


class AskedQuestion:
    """A method with checked params, as the cache, the query log and the renewal identify it."""

    __slots__ = ("digest", "method", "params")

    def __init__(self, method: Method, params: bytes) -> None:
        """`params` are checked params as JSON."""
        self.method, self.params = method, params
        self.digest = hashlib.blake2b(params, digest_size=16).digest()  # params may be long


asked: contextvars.ContextVar[AskedQuestion | None] = contextvars.ContextVar("asked", default=None)
"""The question of this request, if its answer may be cached."""


def answer_key(state: State, question: AskedQuestion, asker: str) -> CacheKey:
    """The cache key: method, params, generation, and revision of what was learnt; with `asker`, a
    key's id or "", if that key has patterns of its own. The project is the cache's owner."""
    outcomes = state.store.ready if asker else None
    if outcomes is None or not outcomes.patterns.unproven_by(asker):
        asker = ""
    method = question.method
    return method.name, question.digest, asker, state.stamp(method.about)


def cache_of(state: State, method: Method) -> AnswerCache:
    """The project's cache for answers of that method."""
    return state.query_cache if method.cache == "query" else state.pattern_cache


class SharedAnswer(NamedTuple):
    """An answer's name in the cache that a team shares, and its bytes, if one server had put it."""

    answers: AnswersOfAll
    name: tuple[object, ...]
    seconds: float
    found: bytes | None

    def put(self, answer: bytes) -> None:
        self.answers.put(self.name, answer, self.seconds)


async def shared_answer(state: State, method: Method, key: CacheKey) -> SharedAnswer | None:
    """Look an answer up in the team's cache; None when it must not be shared, or without one."""
    shared, (name, digest, asker, (generation, revision)) = state.shared, key
    answers, is_own = shared.answers, asker or state.is_partial or state.lenders
    if answers is None or is_own or revision < 0 or method.cache != "query":
        return None
    learning = shared.learning_of(state)
    stamp = learning.stamp(method.about, state.store.ready) if learning else None
    content = await answers.content(state.refresh.generations.path(generation)) if stamp else ""
    if not content:
        return None
    shared_name = (__version__, content, stamp, state.tokens.name, name, digest)
    found = await answers.get(shared_name, generation)
    return SharedAnswer(answers, shared_name, state.settings.query_life, found)


def note_answer(
    state: State, question: AskedQuestion, answer: bytes, spent: float, is_hit: bool
) -> None:
    """Note a question for renewal and the query log; `spent` are milliseconds."""
    called = question.method.name, question.params
    state.recent.note(*called)
    if question.method.cache == "query":
        queries = state.store.queries
        (queries.hit if is_hit else queries.miss)(called, answer, spent)
