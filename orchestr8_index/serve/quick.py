"""A question to the index is answered from its bare bytes, before all layers.

This is for a body of one shape, `{"jsonrpc":"2.0","id":1,"method":…}`, and for a caller whom the
guard let in before with the very same headers. A body that was answered before, but for its id, is
not even read. Everything else goes its ordinary way, and so does whatever is wrong, refused, short
of room, traced or logged one by one.
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
"""Methods whose answers nobody waits for: the index alone gives them, in a millisecond or so."""
MOST_BODIES = 256
NOTED_SECONDS = 1.0  # it is known to a second when a project was asked
MOST_ANSWER = FREE_BYTES - 200  # bytes, without what stands around it: nobody counts them
_SHAPE = re.compile(
    rb'\{"jsonrpc": ?"2\.0", ?"id": ?((?:0|[1-9][0-9]{0,14})|"[A-Za-z0-9._-]{1,64}"),'
)
_HEAD = b"content-type: " + JSON + b"\r\ncontent-length: %d\r\n" + CORRELATION + b": %b\r\n\r\n"
Body = tuple[bytes, bytes]
"""What stands before the id and after it."""
log = logging.getLogger("orchestr8.http")


class Quick:
    """Called with a `POST /` that has come as a whole; `learn` makes its body known."""

    def __init__(self, guard: Guard, state: State) -> None:
        self._guard, self._state, self._gate = guard, state, state.gate
        self._bodies: dict[Body, AskedQuestion] = {}

    def __call__(self, scope: Mapping[str, Any], body: bytes) -> bytes | None:
        """The answer from its content type on; None for what goes the ordinary way.

        Of what is pipelined only the first is worked out here: others get their turn between.
        """
        known, ident = _split(body)
        if not ident or self._state.trace or log.isEnabledFor(logging.DEBUG):
            return None
        question = self._bodies.get(known)
        may_work = not scope["state"]["pipelined"] and _ASKED.match(known[1])
        asking = self._guard.remembered(scope) if question or may_work else None
        if asking is None:
            return None
        try:
            state = self._state.projects.find(asking)
            answer = question and self._kept(state, question, asking)
            if answer is None and may_work:
                answer = self._work_out(state, body, asking)
        except RequestError:  # which the ordinary way says
            return None
        if answer is None:
            return None
        self._gate.unlogged += 1
        if time.monotonic() - state.asked > NOTED_SECONDS:
            self._state.projects.note_asked(state)
        whole = REPLY % (ident, answer)
        return _HEAD % (len(whole), new_ident().encode()) + whole

    def learn(self, body: bytes, question: AskedQuestion) -> None:
        known, ident = _split(body)
        if ident:
            keep(self._bodies, MOST_BODIES, known, question)

    def _enter(self, state: State, asking: Principal) -> bool:
        """Whether there is room for one more, which is charged. Raises TooManyRequests."""
        gate = self._gate
        has_room = not gate.memory.shedding and gate.shares.running.has_room(asking)
        if not has_room or not self._state.projects.is_awake(state):
            return False
        gate.buckets.charge(asking.name)
        return True

    def _kept(self, state: State, question: AskedQuestion, asking: Principal) -> bytes | None:
        """The result from the cache, charged and counted."""
        started, method = time.perf_counter(), question.method
        cache = cache_of(state, method)
        answer = cache.peek(answer_key(state, question, asking.ident))
        if answer is None or len(answer) > MOST_ANSWER or not self._enter(state, asking):
            return None
        self._gate.charge(asking.name, method.name)
        cache.hits += 1
        self._gate.audit.read(asking.name, method.name)
        spent = (time.perf_counter() - started) * 1000
        note_answer(state, question, answer, spent, is_hit=True)
        state.metrics.answered(method.name, spent, is_query=True)
        return answer

    def _work_out(self, state: State, body: bytes, asking: Principal) -> bytes | None:
        """As `perform` does, once nothing is wrong with the call; it counts what it does itself."""
        call = read_call(body)
        if state.shared.answers is not None or isinstance(call.params, UnsetType):
            return None
        read_params(METHODS[call.method].params, raw := bytes(call.params))
        if not self._enter(state, asking):
            return None
        own, held = contextvars.copy_context(), self._gate.shares.held
        answer: bytes = own.run(_performed, state, call.method, raw, asking)
        if len(answer) > MOST_ANSWER:
            held.take(asking, len(answer))
            held.give(asking, len(answer))  # it is written before anything else happens
        if question := own[asked]:
            self.learn(body, question)
        return answer


def _performed(state: State, name: str, raw: bytes, asking: Principal) -> Any:
    """Raises RequestError."""
    caller.set(asking)
    try:
        perform(state, name, raw).send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError(f"{name} waits for something")


def _split(body: bytes) -> tuple[Body, bytes]:
    """(the body without its id, the id); nothing of another shape."""
    found = _SHAPE.match(body) if len(body) <= FREE_BYTES else None
    if found is None:
        return (b"", b""), b""
    start, end = found.span(1)
    return (body[:start], body[end:]), body[start:end]
