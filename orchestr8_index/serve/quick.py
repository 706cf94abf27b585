"""A fast path that answers a question from the bytes of its request, before all layers.

It takes bodies of the shape `{"jsonrpc":"2.0","id":1,"method":…}`, of a caller that the guard has
admitted with equal headers before. A body that was answered before, apart from its id, is not even
parsed. Everything else takes the ordinary path, also errors, overload, and traced or logged calls.
"""

from __future__ import annotations

import contextvars
import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from msgspec import UnsetType

from ..errors import RequestError
from ..memo import keep
from ..methods import METHODS
from ..validate import read_params
from .body import JSON, REPLY
from .callers import CORRELATION, Principal, caller, new_ident
from .calls import AskedQuestion, answer_key, asked, cache_of, note_answer, perform
from .guard import Guard
from .rpc import read_call
from .shares import FREE_BYTES
from .state import State

_ASKED = re.compile(rb', ?"method": ?"query(?:Agents|Skills|Workflows)"')
"""The begin of a call that may be computed here: the index answers it in about a millisecond."""
MOST_BODIES = 256
NOTED_SECONDS = 1.0  # the precision of the time at which a project was asked last
MOST_ANSWER = FREE_BYTES - 200  # bytes of a result whose response needs no account
_SHAPE = re.compile(
    rb'\{"jsonrpc": ?"2\.0", ?"id": ?((?:0|[1-9][0-9]{0,14})|"[A-Za-z0-9._-]{1,64}"),'
)
_HEAD = b"content-type: " + JSON + b"\r\ncontent-length: %d\r\n" + CORRELATION + b": %b\r\n\r\n"
Body = tuple[bytes, bytes]
"""A body's bytes (before the id, after the id)."""
log = logging.getLogger("orchestr8.http")


class Quick:
    """The fast path, called with a complete `POST /`; `learn` makes a body known to it."""

    def __init__(self, guard: Guard, state: State) -> None:
        self._guard, self._state, self._gate = guard, state, state.gate
        self._bodies: dict[Body, AskedQuestion] = {}

    def __call__(self, scope: Mapping[str, Any], body: bytes) -> bytes | None:
        """The response from its Content-Type on; None for what must take the ordinary path.

        Of pipelined requests only the first may be computed here, so that others get a turn.
        """
        parts, ident = _split(body)
        if not ident or self._state.trace or log.isEnabledFor(logging.DEBUG):
            return None
        question = self._bodies.get(parts)
        may_compute = not scope["state"]["pipelined"] and _ASKED.match(parts[1])
        asking = self._guard.remembered(scope) if question or may_compute else None
        if asking is None:
            return None
        try:
            state = self._state.projects.find(asking)
            answer = question and self._cached(state, question, asking)
            if answer is None and may_compute:
                answer = self._compute(state, body, asking)
        except RequestError:  # the ordinary path answers it
            return None
        if answer is None:
            return None
        self._gate.unlogged += 1
        if time.monotonic() - state.asked > NOTED_SECONDS:
            self._state.projects.note_asked(state)
        whole = REPLY % (ident, answer)
        return _HEAD % (len(whole), new_ident().encode()) + whole

    def learn(self, body: bytes, question: AskedQuestion) -> None:
        """Remember that a body, whatever its id, asks this question."""
        parts, ident = _split(body)
        if ident:
            keep(self._bodies, MOST_BODIES, parts, question)

    def _admit(self, state: State, asking: Principal) -> bool:
        """Charge a request, if there is room for it. Raises TooManyRequests."""
        gate = self._gate
        has_room = not gate.memory.shedding and gate.shares.running.has_room(asking)
        if not has_room or not self._state.projects.is_awake(state):
            return False
        gate.buckets.charge(asking.name)
        return True

    def _cached(self, state: State, question: AskedQuestion, asking: Principal) -> bytes | None:
        """The result from the cache, charged and counted; None for a miss."""
        started, method = time.perf_counter(), question.method
        cache = cache_of(state, method)
        answer = cache.peek(answer_key(state, question, asking.ident))
        if answer is None or len(answer) > MOST_ANSWER or not self._admit(state, asking):
            return None
        self._gate.charge(asking.name, method.name)
        cache.hits += 1
        self._gate.audit.read(asking.name, method.name)
        spent = (time.perf_counter() - started) * 1000
        note_answer(state, question, answer, spent, is_hit=True)
        state.metrics.answered(method.name, spent, is_query=True)
        return answer

    def _compute(self, state: State, body: bytes, asking: Principal) -> bytes | None:
        """The result by `perform`, which counts it; None when the call cannot be answered here."""
        call = read_call(body)
        if state.shared.answers is not None or isinstance(call.params, UnsetType):
            return None
        read_params(METHODS[call.method].params, raw := bytes(call.params))
        if not self._admit(state, asking):
            return None
        own, held = contextvars.copy_context(), self._gate.shares.held
        answer: bytes = own.run(_performed, state, call.method, raw, asking)
        if len(answer) > MOST_ANSWER:
            held.take(asking, len(answer))
            held.give(asking, len(answer))  # at once, as it is written before anything else runs
        if question := own[asked]:
            self.learn(body, question)
        return answer


def _performed(state: State, name: str, raw: bytes, asking: Principal) -> Any:
    """Run `perform` without an event loop, as it awaits nothing here. Raises RequestError."""
    caller.set(asking)
    try:
        perform(state, name, raw).send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError(f"{name} awaits something")


def _split(body: bytes) -> tuple[Body, bytes]:
    """(the body without its id, the id); empty bytes for a body of another shape."""
    match = _SHAPE.match(body) if len(body) <= FREE_BYTES else None
    if match is None:
        return (b"", b""), b""
    start, end = match.span(1)
    return (body[:start], body[end:]), body[start:end]
