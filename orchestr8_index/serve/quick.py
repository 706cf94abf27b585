"""A question that was answered before is answered before all layers, from the cache.

This is for the body of one shape, `{"jsonrpc":"2.0","id":1,"method":…}`, that was answered before
but for its id, and for a caller whom the guard let in before with the very same headers. Everything
else goes its ordinary way, and so does whatever is refused, short of room, traced or logged one by
one.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import RequestError
from .answers import AskedQuestion, answer_key, cache_of, note_answer
from .callers import CORRELATION, Principal, new_ident
from .guard import Guard
from .send import JSON
from .shares import FREE_BYTES, Account
from .state import State

MOST_BODIES = 256
MOST_ANSWER = FREE_BYTES - 200  # bytes, without what stands around it: nobody counts them
_SHAPE = re.compile(
    rb'\{"jsonrpc": ?"2\.0", ?"id": ?((?:0|[1-9][0-9]{0,14})|"[A-Za-z0-9._-]{1,64}"),'
)
Body = tuple[bytes, bytes]
"""What stands before the id and after it."""
log = logging.getLogger("orchestr8.http")


class Quick:
    """`app` is the ordinary way, in which `guard` stands."""

    def __init__(self, app: ASGIApp, guard: Guard, state: State) -> None:
        self.app, self._guard, self._gate = app, guard, state.gate
        self._state, self._bodies = state, dict[Body | None, AskedQuestion]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asking = self._guard.remembered(scope) if scope["type"] == "http" else None
        if asking is None or self._state.trace or log.isEnabledFor(logging.DEBUG):
            await self.app(scope, receive, send)
            return
        started, message = time.perf_counter(), await receive()  # it is whole: nothing to wait for
        body, ident = _split(message)
        if (question := self._bodies.get(body)) is not None:
            account = Account(self._gate.shares, asking)
            try:
                if answer := self._answer(question, asking, account, started):
                    await _send(send, ident, answer)
                    return
            finally:
                account.close()
        await self.app(scope, Replayed(message, receive), send)
        if body is not None and (answered := scope["state"].get("asked")):
            self._keep(body, answered)

    def _keep(self, body: Body, question: AskedQuestion) -> None:
        if len(self._bodies) >= MOST_BODIES:
            del self._bodies[next(iter(self._bodies))]
        self._bodies[body] = question

    def _answer(
        self, question: AskedQuestion, asking: Principal, account: Account, started: float
    ) -> bytes | None:
        """The result from the cache, charged and counted; None for what goes the ordinary way."""
        gate, projects, method = self._gate, self._state.projects, question.method
        try:
            state = projects.meant(asking)
            if not projects.is_awake(state) or gate.memory.shedding:
                return None
            cache = cache_of(state, method)
            answer = cache.peek(answer_key(state, question, asking.ident))
            if answer is None or len(answer) > MOST_ANSWER:
                return None
            account.run()
            gate.buckets.charge(asking.name)
        except RequestError:  # which nothing was taken for: the ordinary way says it
            return None
        cache.hits += 1
        projects.note_asked(state)
        gate.audit.read(asking.name, method.name)
        gate.unlogged += 1
        spent = (time.perf_counter() - started) * 1000
        note_answer(state, question, answer, spent, is_hit=True)
        state.metrics.answered(method.name, spent, is_query=True)
        return answer


class Replayed:
    """`receive` of a message that was taken already, and then of what comes."""

    def __init__(self, message: Message, receive: Receive) -> None:
        self._message: Message | None = message
        self._receive = receive

    async def __call__(self) -> Message:
        message, self._message = self._message, None
        return await self._receive() if message is None else message


def _split(message: Message) -> tuple[Body | None, bytes]:
    """(the body without its id, the id); None for another shape."""
    body: bytes = message.get("body", b"")
    found = _SHAPE.match(body) if len(body) <= FREE_BYTES else None
    if found is None or message.get("more_body"):
        return None, b""
    start, end = found.span(1)
    return (body[:start], body[end:]), body[start:end]


async def _send(send: Send, ident: bytes, answer: bytes) -> None:
    body = b'{"jsonrpc":"2.0","id":' + ident + b',"result":' + answer + b"}"
    length = str(len(body)).encode()
    headers: list[Any] = [(b"content-type", JSON), (b"content-length", length)]
    headers.append((CORRELATION, new_ident().encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
