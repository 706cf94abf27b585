"""A request with the very head of the one before is read without a parser, and nobody can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from uvicorn.server import ServerState

from orchestr8_index.config import Door
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.protocol import NEVER, Lines, Wire
from orchestr8_index.serve.server import configured
from orchestr8_index.serve.shares import Buckets
from orchestr8_index.serve.state import State

from .lines import with_limits
from .test_quick import BODY, lines_of, request

TURNS = 40  # of the loop, in which any request that is whole is answered
NOW = [(b"date", b"Sun, 29 Nov 2026 08:00:00 GMT")]
FIRST, NEW = BODY % 1, BODY.replace(b"release notes", b"release nodes") % 1
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
)
SAID = [
    request(FIRST),
    request(FIRST),
    request(BODY % 2),
    request(NEW),
    request(BODY % 10),
    request(FIRST.replace(b"}}", b"} ")),
    request(FIRST, b"X-Agent: a\r\n"),
    request(FIRST, b"Connection: Upgrade\r\nUpgrade: h2c\r\n"),
    request(FIRST, b"Connection: close\r\n"),
    request(FIRST).replace(b"1.1", b"1.0"),
    request(FIRST).replace(b"POST", b"PUT"),
    CHUNKED % (len(FIRST), FIRST),
    b"\r\n",
    b"x",
]


class Kept:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.said, self._is_closing = b"", False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        found = {"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 3700)}
        return found.get(name, default)

    def write(self, data: bytes) -> None:
        self.said += data

    def close(self) -> None:
        self._is_closing = True

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Parsed(Wire):
    """Parses each head."""

    def data_received(self, data: bytes) -> None:
        self._length = 0
        super().data_received(data)


class Counted(Wire):
    parsed = 0

    def on_message_begin(self) -> None:
        self.parsed += 1
        super().on_message_begin()


async def speak(wire: type[Wire], state: State, reads: Iterable[bytes]) -> tuple[Wire, Any]:
    """All that came of these reads of one connection: what was written and what was counted."""
    lines, server, transport = Lines(state.settings.limits), ServerState(), Kept()
    server.default_headers = NOW
    config = configured(make_web(state), lines, Door())
    config.load()
    one = wire(config, server, {}, lines=lines)
    one.connection_made(transport)  # type: ignore[arg-type]
    for read in reads:
        if not transport.is_closing():
            one.data_received(read)
        for _ in range(TURNS):
            await asyncio.sleep(0)
    usage = [row[1:] for row in state.gate.audit.usage.take()]
    metrics = state.metrics.requests, state.metrics.errors, state.metrics.queries.total
    counted = state.query_cache.hits, state.query_cache.misses, state.gate.unlogged, usage
    idle = bool(one.timeout_keep_alive_task), one._idle_due == NEVER
    assert one._idle_due == NEVER or one._due == NEVER  # whoever owes something does not idle
    kept = one._due == NEVER, list(lines.waiting) == [one], idle
    one.connection_lost(None)
    await asyncio.gather(*server.tasks)
    told = lines_of(transport.said), transport.is_closing(), server.total_requests
    return one, (told, metrics, counted, kept)


@hypothesis.given(data=st.data(), said=st.lists(st.sampled_from(SAID), min_size=2, max_size=9))
def test_nobody_can_tell(module_state: State, data: st.DataObject, said: list[bytes]) -> None:
    """Whole requests in reads of their own, or cut and joined anywhere, behind two whose head is
    remembered."""
    reads, whole = said, b"".join(said)
    if data.draw(st.booleans()):
        cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=4))
        marks = sorted({0, *cuts, len(whole)})
        reads = [whole[a:b] for a, b in zip(marks, marks[1:], strict=False)]
    rate, found = data.draw(st.sampled_from([0, 1])), []
    for wire in (Wire, Parsed):
        state = with_limits(module_state, rate=rate)
        state.gate.buckets = Buckets(rate, clock=lambda: 0.0)
        found.append(asyncio.run(speak(wire, state, [SAID[0], SAID[0], *reads]))[1])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("said", "parsed"),
    [
        ([SAID[0]] * 6, 2),  # the guard looks at the first itself, the second's head is remembered
        ([SAID[0]] * 4 + [request(NEW)] * 2, 2),
        ([SAID[0]] * 4 + [SAID[6]], 3),
        ([SAID[0] * 2] * 4, 8),
        ([SAID[7]] * 6, 6),
        ([SAID[-3]] * 6, 6),
    ],
)
def test_only_the_same_head_is_known_again(state: State, said: list[bytes], parsed: int) -> None:
    one, _ = asyncio.run(speak(Counted, state, said))
    assert isinstance(one, Counted) and one.parsed == parsed
