"""A question that was answered before is answered from its bare bytes, before all layers.

This is for a body of one shape, `{"jsonrpc":"2.0","id":1,"method":…}`, that was answered before but
for its id, and for a caller whom the guard let in before with the very same headers. Everything
else goes its ordinary way, and so does whatever is refused, short of room, traced or logged one by
one.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from ..errors import RequestError
from .answers import AskedQuestion, answer_key, cache_of, note_answer
from .callers import CORRELATION, Principal, new_ident
from .guard import Guard
from .send import JSON
from .shares import FREE_BYTES
from .state import State

MOST_BODIES = 256
NOTED_SECONDS = 1.0  # it is known to a second when a project was asked
MOST_ANSWER = FREE_BYTES - 200  # bytes, without what stands around it: nobody counts them
_SHAPE = re.compile(
    rb'\{"jsonrpc": ?"2\.0", ?"id": ?((?:0|[1-9][0-9]{0,14})|"[A-Za-z0-9._-]{1,64}"),'
)
_HEAD = b"content-type: " + JSON + b"\r\ncontent-length: %d\r\n" + CORRELATION + b": %b\r\n\r\n"
_BODY = b'{"jsonrpc":"2.0","id":%b,"result":%b}'
Body = tuple[bytes, bytes]
"""What stands before the id and after it."""
log = logging.getLogger("orchestr8.http")


class Quick:
    """Called with a `POST /` that has come as a whole; `learn` makes its body known."""

    def __init__(self, guard: Guard, state: State) -> None:
        self._guard, self._state, self._gate = guard, state, state.gate
        self._bodies: dict[Body, AskedQuestion] = {}

    def __call__(self, scope: Mapping[str, Any], body: bytes) -> bytes | None:
        """The answer from its content type on; None for what goes the ordinary way."""
        started, (known, ident) = time.perf_counter(), _split(body)
        question = self._bodies.get(known)
        if question is None or self._state.trace or log.isEnabledFor(logging.DEBUG):
            return None
        asking = self._guard.remembered(scope)
        answer = self._answer(question, asking, started) if asking else None
        if answer is None:
            return None
        whole = _BODY % (ident, answer)
        return _HEAD % (len(whole), new_ident().encode()) + whole

    def learn(self, body: bytes, question: AskedQuestion) -> None:
        known, ident = _split(body)
        if not ident:
            return
        if len(self._bodies) >= MOST_BODIES:
            del self._bodies[next(iter(self._bodies))]
        self._bodies[known] = question

    def _answer(self, question: AskedQuestion, asking: Principal, started: float) -> bytes | None:
        """The result from the cache, charged and counted."""
        gate, projects, method = self._gate, self._state.projects, question.method
        try:
            state = projects.meant(asking)
            if gate.memory.shedding or not projects.is_awake(state):
                return None
            cache = cache_of(state, method)
            answer = cache.peek(answer_key(state, question, asking.ident))
            if answer is None or len(answer) > MOST_ANSWER:
                return None
            if not gate.shares.running.has_room(asking):
                return None
            gate.charge(asking.name, method.name)
            gate.buckets.charge(asking.name)
        except RequestError:  # which nothing was taken for: the ordinary way says it
            return None
        cache.hits += 1
        if time.monotonic() - state.asked > NOTED_SECONDS:
            projects.note_asked(state)
        gate.audit.read(asking.name, method.name)
        gate.unlogged += 1
        spent = (time.perf_counter() - started) * 1000
        note_answer(state, question, answer, spent, is_hit=True)
        state.metrics.answered(method.name, spent, is_query=True)
        return answer


def _split(body: bytes) -> tuple[Body, bytes]:
    """(the body without its id, the id); nothing of another shape."""
    found = _SHAPE.match(body) if len(body) <= FREE_BYTES else None
    if found is None:
        return (b"", b""), b""
    start, end = found.span(1)
    return (body[:start], body[end:]), body[start:end]
