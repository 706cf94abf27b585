"""Does an event stream hold up a stop, or count as a running request?"""

from __future__ import annotations

import asyncio
import threading

from starlette.types import ASGIApp, Receive, Scope, Send

from orchestr8_index.config import Door
from orchestr8_index.daemon.claim import listen
from orchestr8_index.serve.guard import Guard
from orchestr8_index.serve.protocol import Lines
from orchestr8_index.serve.server import GRACE_SECONDS, configured
from orchestr8_index.serve.state import State

from ..processes import wait_for
from .lines import Line, Quiet, with_limits
from .test_protocol import HEALTH, statuses

EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends one event, and then nothing for ever, whatever its client does."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
    await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    await asyncio.Event().wait()


def streaming(state: State, app: ASGIApp) -> tuple[Quiet, threading.Thread, int]:
    listening, lines = listen(0), Lines(state.settings.limits)
    server = Quiet(configured(Guard(app, state.gate), lines, Door()), lines)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    wait_for(lambda: server.started)
    return server, thread, listening.getsockname()[1]


def test_open_streams_do_not_hold_up_a_stop(module_state: State) -> None:
    state = with_limits(module_state, max_running=1)
    server, thread, port = streaming(state, stream)
    lines = []
    for _ in range(3):
        lines.append(Line(port).send(HEALTH.replace(b"/health", b"/mcp")))
        assert statuses(lines[-1].read_one()) == [200]
    server.end()
    thread.join(timeout=GRACE_SECONDS - 1)
    stopped = not thread.is_alive()
    for line in lines:
        line.close()
    thread.join()
    assert stopped
