"""Where a question's time goes: microseconds of each part, in the process that answers.

The server's application runs here, without a socket; new questions and repeated ones are handed to
it as uvicorn would. A part's time is without that of the parts within it. What the socket adds is
told by `side`.
"""

import asyncio
import contextlib
import importlib
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from .harness import Run
from .servers import Server, rpc
from .texts import questions

WARM = 500
REST = "the rest: guard, layers"
PARTS = {
    "read the body": ("serve.rpc:read_call",),
    "check the params": ("serve.calls:read_params", "serve.quick:read_params"),
    "key and cache": ("serve.calls:answer_key", "serve.cache:AnswerCache.get"),
    "is it a name": ("search.answer:_ask_name",),
    "read the question": ("search.rank:read_query",),
    "postings": ("search.rank:add_up",),
    "meaning": ("search.rank:by_meaning", "search.query:meaning_of"),
    "confidence": ("search.answer:_confidence_of",),
    "rows, reasoning": ("search.answer:_finish",),
    "make fit for a model": ("serve.calls:fit_json",),
    "query log": ("serve.calls:note_answer",),
    "before all layers": ("serve.quick:Quick.__call__",),
    "log line": ("serve.guard:_GuardedSend.end",),
}


class Clock:
    """Adds up the time of each part, without what is measured within it."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._inner = [0.0]

    def around(self, label: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            started = time.perf_counter()
            self._inner.append(0.0)
            try:
                return work(*given, **named)
            finally:
                took = time.perf_counter() - started
                self.spent[label] += took - self._inner.pop()
                self._inner[-1] += took

        return timed

    def take(self) -> Counter[str]:
        spent, self.spent = self.spent, Counter()
        return spent


def put_in(clock: Clock) -> None:
    for label, places in PARTS.items():
        for place in places:
            module, _, path = place.partition(":")
            *owners, name = path.split(".")
            owner: Any = importlib.import_module(f"orchestr8_index.{module}")
            for each in owners:
                owner = getattr(owner, each)
            setattr(owner, name, clock.around(label, getattr(owner, name)))


@contextlib.asynccontextmanager
async def living(root: str, data_dir: str) -> AsyncIterator[Any]:
    """The server's application between its start and its end."""
    from orchestr8_index.app import make_state
    from orchestr8_index.catalog.generations import Refresh
    from orchestr8_index.catalog.worker import Builder
    from orchestr8_index.config import Settings
    from orchestr8_index.serve.http import make_web
    from orchestr8_index.serve.logs import set_up_logs
    from orchestr8_index.serve.stores import ServerStore

    where = Path(data_dir)
    settings = Settings(roots=(root,), roots_from="--root", data_dir=where, watch=False)
    refresh = Refresh(settings, Builder(settings))
    refresh.open_last()
    state = make_state(settings, refresh, ServerStore(settings))
    state.log = set_up_logs(where, "INFO")
    app = make_web(state)
    inbox, outbox = asyncio.Queue[Any](), asyncio.Queue[Any]()
    running = asyncio.create_task(app({"type": "lifespan"}, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    await outbox.get()
    await state.store.outcomes()
    yield app
    await inbox.put({"type": "lifespan.shutdown"})
    await running


async def ask(app: Any, body: bytes) -> None:
    told: dict[str, Any] = {"running": 0, "head_too_large": False, "pipelined": False}
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    headers.append((b"content-length", str(len(body)).encode()))
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "state": told}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 3700), "scheme": "http"}
    scope |= {"query_string": b"", "http_version": "1.1", "raw_path": b"/", "root_path": ""}

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200, message

    scope["state"]["quick"] = app.quick
    if not app.quick(scope, body):
        await app(scope, receive, send)


async def measure(app: Any, clock: Clock, bodies: list[bytes]) -> dict[str, float]:
    """The median microseconds of each part, and of the whole."""
    rows = []
    for number, body in enumerate(bodies):
        started = time.perf_counter()
        await ask(app, body)
        took, spent = time.perf_counter() - started, clock.take()
        spent[REST], spent["together"] = took - spent.total(), took
        if number >= WARM:
            rows.append(spent)
        if number % 50 == 0:
            await asyncio.sleep(0)
    known = [label for label in (*PARTS, REST, "together") if any(label in row for row in rows)]
    return {label: statistics.median(row[label] for row in rows) * 1e6 for label in known}


async def table(root: str, data_dir: str, asked: int) -> dict[str, dict[str, float]]:
    texts = questions(root, asked + WARM)
    new = [rpc("queryAgents", {"context": text}) for text in texts]
    clock = Clock()
    put_in(clock)
    async with living(root, data_dir) as app:
        miss = await measure(app, clock, new)
        return {"miss": miss, "hit": await measure(app, clock, new[-1:] * (asked + WARM))}


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, questions=4000) as run, tempfile.TemporaryDirectory() as data_dir:
        with Server(run.root, data_dir=data_dir) as server:
            run.row("entries", server.get("/health")[1]["indexes"])
        found = asyncio.run(table(str(run.root), data_dir, run.given.questions))
        for what, parts in found.items():
            for label, spent in parts.items():
                run.row(f"{what}: {label}", **{"µs": round(spent, 1)})
