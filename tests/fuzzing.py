"""What does no input do? Mutated bodies, headers, raw bytes and markdown files, and the checks.

A small corpus (tests/corpus) is bent at random; a seed gives the same inputs again. In process for
speed; a slice goes through a real socket.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import random
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import Message, Scope

from orchestr8_index.catalog.build_lines import BuildLine
from orchestr8_index.catalog.parse import parse
from orchestr8_index.catalog.worker import BuildChild
from orchestr8_index.config import Door, fixture_root
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.memory import memory_mb
from orchestr8_index.serve.sharedstate import SharedState
from orchestr8_index.serve.state import State
from orchestr8_index.serve.stores import ServerStore

from .serve.asking import Here, living, settings_of, state_of
from .trees import build_tree, source

CORPUS = Path(__file__).parent / "corpus"
ROUTES: tuple[str, ...] = (
    "/",
    "/health",
    "/metrics",
    "/reindex",
    "/health/live",
    "/health/ready",
    "/mcp",
)
ROUTES += ("/hooks/claude", "/nowhere", "//", "/%00", "/health/")
METHODS = ("POST", "POST", "POST", "GET", "HEAD", "PUT", "OPTIONS", "DELETE", "TRACE")
TOKENS = (
    *(b"NaN", b"-Infinity", b"1e999", b"-0", b"9" * 400, b"null", b"true", b"{}", b"[]", b'""'),
    *(b'"\\ud800"', b'"\\u0000"', b"\xff\xfe", b"\x00", b"\xed\xa0\x80", b'"' + b"x" * 600 + b'"'),
    *(b"[" * 2000, b'{"a":' * 500, b"---\n", b"\r\n", b": ", b"- ", b"&a *a", b"!!binary ", b"\t"),
    *(b"../../etc/passwd", b"'; DROP TABLE audit; --", b"%s%n", b"\xe2\x80\xae", b"<<: ", b"```\n"),
)
VALUES: tuple[Any, ...] = (None, True, 0, -1, 21, 10**30, 0.5, 1e300, "", "x", " ", "a" * 501, [])
VALUES += ({}, ["a"], [[]], {"a": 1}, "\u202e", "admin", "full", "agent", "failure", "studio")
HEADERS = (
    *((b"host", b"evil@localhost"), (b"host", b""), (b"host", b"localhost:80:80")),
    *((b"origin", b"null"), (b"origin", b"http://localhost"), (b"content-encoding", b"gzip")),
    *((b"content-length", b"-1"), (b"content-length", b"9" * 30), (b"content-length", b"x")),
    *((b"authorization", b"Bearer x"), (b"authorization", b"\xff"), (b"x-correlation-id", b"\xff")),
    *((b"accept", b"text/plain"), (b"accept", b"text/event-stream, application/json")),
    *((b"content-type", b"application/json"), (b"mcp-session-id", b"x"), (b"", b"")),
    *((b"mcp-protocol-version", b"1"), (b"x", b"y" * 9000), (b"expect", b"100-continue")),
)
_MCP = ((b"accept", b"application/json, text/event-stream"), (b"content-type", b"application/json"))
OF_CACHE = (b"Storage", b"Many", b"Keys", b"compareAndSet", b"queuePu", b'"restore"')
OF_CONTEXT = (b"session_id", b"create_session", b"_memory")
OF_SHARED = (b"Shared", b"lockRes", b"sendMess", b"readInb", b'"session"')
OF_GATEWAY = ("file_read", "file_write", "file_edit", "claim_file", "release_file", "log_step")
ERAS = (
    _MCP,
    (*_MCP, (b"mcp-protocol-version", b"2025-11-25")),
    *(
        (*_MCP, (b"mcp-protocol-version", b"2026-07-28"), (b"mcp-method", method))
        for method in (b"tools/list", b"tools/call", b"resources/read", b"skills/get")
    ),
)
QUERIES = (b"", b"after=0", b"after=-1", b"after=x&prefix=%00", b"prefix=k&after=1&after=1", b"%ff")
ILL = (b"Traceback", b"site-packages", b'File \\"', b"met an error of its own")
KNOWN_503 = {-32001, -32002, -32032}


@dataclass
class Tally:
    """What was tried, what came back, and what should not have."""

    tried: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def found(self, what: str, given: object) -> None:
        if len(self.findings) < 100:
            self.findings.append(f"{what}: {given!r:.600}")

    @property
    def growth_mb(self) -> float:
        """After the first fifth, in which caches fill and libraries load."""
        later = self.memory[len(self.memory) // 5 :]
        return max(later) - later[0] if later else 0.0


# --- inputs ------------------------------------------------------------------------------------


def corpus(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def bent(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """One to four changes of bytes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(changed))
        end = min(len(changed), at + rng.choice((1, 1, 2, 8, 64)))
        kind = rng.randrange(6)
        if kind == 0:
            changed[at:end] = b""
        elif kind == 1:
            changed[at:at] = rng.choice(TOKENS)
        elif kind == 2:
            changed[at:end] = rng.choice(TOKENS)
        elif kind == 3:
            changed[at:at] = changed[at:end] * rng.choice((2, 3, 50))
        elif kind == 4:
            other = rng.choice(others)
            cut = rng.randint(0, len(other))
            changed[at:end] = other[cut : cut + rng.choice((4, 40, 400))]
        elif at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def bent_body(rng: random.Random, bodies: list[bytes]) -> bytes:
    body = rng.choice(bodies)
    if rng.random() < 0.4:
        return bent(rng, body, bodies)
    value = json.loads(body)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        _bend_value(rng, value)
    return json.dumps(value).encode()


def _bend_value(rng: random.Random, value: Any) -> None:
    """Change one place of a decoded body, at any depth."""
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        if isinstance(value[key], dict | list) and value[key] and rng.random() < 0.7:
            _bend_value(rng, value[key])
        elif rng.random() < 0.2:
            value[rng.choice(("", "id", "limit", "colour", key + "s"))] = value.pop(key)
        else:
            value[key] = copy.deepcopy(rng.choice(VALUES))
    elif isinstance(value, list):
        added = copy.deepcopy(rng.choice(VALUES))
        value[rng.randint(0, len(value)) :] = [added] * rng.choice((0, 1, 60))


def bent_headers(rng: random.Random) -> list[tuple[bytes, bytes]]:
    headers = [(b"host", b"localhost")]
    if rng.random() < 0.3:
        headers += [rng.choice(HEADERS) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.05:
        headers = headers[1:]
    return headers


# --- the application ---------------------------------------------------------------------------


class Unchanged(Here):
    """A builder that finds everything as it was."""

    def run(self, unless: str = "", started: BuildChild | None = None) -> BuildLine:
        return BuildLine(fresh=True)


def state_in(folder: Path) -> State:
    """A server's state over plugins_fixture, with a store, in this process."""
    index = build_tree(fixture_root(), data_dir=folder / "index").index
    (folder / "work" / "t").mkdir(parents=True)
    settings = settings_of(folder / "data", fixture_root(), watch=False)
    settings = msgspec.structs.replace(settings, door=Door(workspace=str(folder / "work")))
    state = state_of(settings, index, Unchanged(settings))
    state.store = ServerStore(settings)
    state.shared = SharedState(settings, state.events, state.ending)
    return state


async def send_bodies(
    state: State, count: int, seed: int, until: float = float("inf"), tally: Tally | None = None
) -> Tally:
    """Ask every route with bent bodies and headers; the tally says what is wrong with answers."""
    rng, bodies, tally = random.Random(seed), corpus("bodies"), tally or Tally()
    app = inner = make_web(state)
    while not hasattr(inner, "routes"):  # behind what stands before it
        inner = inner.app  # type: ignore[assignment]
    routes = (*ROUTES, *(route.path for route in inner.routes))
    async with living(app):
        await _send(app, routes, state, (count, until), tally, rng, bodies)
    return tally


async def _send(
    app: Any,
    routes: tuple[str, ...],
    state: State,
    ends: tuple[int, float],
    tally: Tally,
    rng: random.Random,
    bodies: list[bytes],
) -> None:
    count, until = ends
    while tally.tried < count and time.monotonic() < until:
        body, headers = bent_body(rng, bodies), bent_headers(rng)
        usual = _usual(rng, body)
        path = usual if rng.random() < 0.7 else rng.choice(routes)
        method = "POST" if path == usual and rng.random() < 0.95 else rng.choice(METHODS)
        if path.startswith("/mcp") and rng.random() < 0.8:
            headers = [*headers, *rng.choice(ERAS)]
        status, answer = await _request(app, method, path, headers, body, rng)
        tally.tried += 1
        tally.answers[str(status)] += 1
        if ill := illness(path, method, status, answer):
            tally.found(ill, (method, path, headers, body, answer[:300]))
        if tally.tried % 5000 == 0:
            await _clean(state, tally)


def _usual(rng: random.Random, body: bytes) -> str:
    """Where a body like this one is sent to, mostly."""
    if rng.random() < 0.2:
        return "/"
    if b"hook_event_name" in body:
        return "/hooks/claude"
    if any(name in body for name in OF_CONTEXT):
        return "/mcp/context"
    if b'"task_id"' in body and b'"jsonrpc"' not in body:
        return f"/tools/{rng.choice(OF_GATEWAY)}"
    if b'"tools/call"' in body or b'"resources/' in body:
        return rng.choice(("/mcp", "/mcp/coordinate", "/mcp/all"))
    if any(name in body for name in OF_SHARED):
        return rng.choice(("/", "/shared"))
    return "/mcp/cache" if any(name in body for name in OF_CACHE) else "/"


async def _clean(state: State, tally: Tally) -> None:
    """What was reported is forgotten, so that what is left of memory was lost."""
    assert state.store
    outcomes = await state.store.outcomes()
    await outcomes.forget(lambda decision: True)
    state.gate.audit.take()
    gc.collect()
    tally.memory.append(memory_mb())


async def _request(
    app: Any,
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    rng: random.Random,
) -> tuple[int, bytes]:
    cut = rng.randint(0, len(body)) if rng.random() < 0.2 else len(body)
    parts = [{"body": body[:cut], "more_body": cut < len(body)}]
    parts += [{"body": body[cut:], "more_body": False}] if cut < len(body) else []
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", **parts.pop(0)} if parts else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": method, "path": path, "headers": headers}
    query = rng.choice(QUERIES) if path == "/events" else b""
    scope.update(query_string=query, root_path="", http_version="1.1", scheme="http")
    await app(scope, receive, send)
    status = next((message["status"] for message in sent if "status" in message), 0)
    return status, b"".join(message.get("body", b"") for message in sent)


def illness(path: str, method: str, status: int, answer: bytes) -> str:
    """What is wrong with an answer; "" for a good one."""
    if any(mark in answer for mark in ILL):
        return "internals in an answer"
    if status == 204 or method == "HEAD":
        return "" if status != 500 else "status 500"
    if path == "/" and method == "POST":
        return _illness_of_rpc(status, answer)
    if 400 <= status < 500 or status in (200, 202, 307):
        return ""
    told = (b'"starting"', b"keeps no shared state")  # there is none in this process
    return "" if status == 503 and any(map(answer.__contains__, told)) else f"status {status}"


def _illness_of_rpc(status: int, answer: bytes) -> str:
    try:
        told = json.loads(answer)
    except ValueError:
        return "not JSON"
    replies = told if isinstance(told, list) else [told]
    for reply in replies:
        error = reply.get("error")
        if reply.get("jsonrpc") != "2.0" or "id" not in reply or ("result" in reply) is bool(error):
            return "not JSON-RPC"
        if error and error["code"] == -32603:
            return "an internal error"
        if error and status == 503 and error["code"] not in KNOWN_503:
            return "an unknown 503"
    good = status == 200 or 400 <= status < 500 or status == 503
    return "" if good else f"status {status}"


# --- the wire ----------------------------------------------------------------------------------


def send_raw(port: int, count: int, seed: int, until: float = float("inf")) -> Tally:
    """Bent bytes through a real socket: answered in HTTP or cut off, and never with 500."""
    rng, requests, tally = random.Random(seed), corpus("raw"), Tally()
    while tally.tried < count and time.monotonic() < until:
        sent = bent(rng, rng.choice(requests), requests)
        try:
            said = _spoken(port, sent)
        except ConnectionError:
            said = b""
        tally.tried += 1
        tally.answers[said[9:12].decode("latin-1") or "cut off or waiting"] += 1
        if said and not said.startswith(b"HTTP/1.1 "):
            tally.found("not HTTP", (sent, said))
        if b"HTTP/1.1 500" in said or any(mark in said for mark in ILL):
            tally.found("an ill answer", (sent, said))
    return tally


def _spoken(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=0.02) as line:
        line.sendall(sent)
        try:
            return line.recv(65536)
        except TimeoutError:
            return b""


# --- files -------------------------------------------------------------------------------------


def read_files(
    count: int, seed: int, until: float = float("inf"), built_every: int = 5000
) -> Tally:
    """Parse bent markdown; of each `built_every` the last hundred make a tree."""
    rng, files, tally = random.Random(seed), corpus("markdown"), Tally()
    kinds: tuple[Any, ...] = ("agent", "skill", "workflow")
    last: list[bytes] = []
    while tally.tried < count and time.monotonic() < until:
        data = bent(rng, rng.choice(files), files)
        last = [*last[-99:], data]
        tally.tried += 1
        _check_file(tally, data, rng.choice(kinds))
        if tally.tried % built_every == 0:
            _check_tree(tally, last)
            gc.collect()
            tally.memory.append(memory_mb())
    return tally


def _check_file(tally: Tally, data: bytes, kind: Any) -> None:
    started = time.monotonic()
    try:
        done = parse(source("agents/tuner.md", kind), data, "/root")
    except Exception as error:
        tally.found(f"parse raised {type(error).__name__}", data)
        return
    tally.answers[done.report.outcome] += 1
    if time.monotonic() - started > 5:
        tally.found("parse took over 5 s", data)


def _check_tree(tally: Tally, files: list[bytes]) -> None:
    """Every file has one report, and every entry can be read back."""
    with tempfile.TemporaryDirectory() as folder:
        agents = Path(folder, "tree", "p", "agents")
        agents.mkdir(parents=True)
        for number, data in enumerate(files):
            (agents / f"f{number}.md").write_bytes(data)
        try:
            built = build_tree(agents.parent.parent, data_dir=Path(folder, "data"))
            told = {report.path for report in built.reports}
            if len(told) != len(files):
                tally.found("files without a report", len(files) - len(told))
        except Exception as error:
            tally.found(f"the build raised {type(error).__name__}: {error}", files)


def run(work: Callable[[Path], Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return work(Path(folder))


def bodies_of(folder: Path, count: int, seed: int, until: float = float("inf")) -> Tally:
    return asyncio.run(send_bodies(state_in(folder), count, seed, until))


def lines(name: str, tally: Tally, seconds: float) -> Iterator[str]:
    yield f"{name}: {tally.tried:,} in {seconds:.0f} s, {dict(tally.answers.most_common())}"
    yield f"{name}: memory grew by {tally.growth_mb:.1f} MB, {len(tally.findings)} findings"
    yield from (f"  {finding}" for finding in tally.findings)
