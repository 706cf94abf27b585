"""What the index answers is answered before all layers: the same bytes, under the same guard."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message

from orchestr8_index.catalog.index import Index
from orchestr8_index.serve.background import Upkeep
from orchestr8_index.serve.http import ProjectAddress, make_web
from orchestr8_index.serve.keys import KeyFile
from orchestr8_index.serve.quick import Quick
from orchestr8_index.serve.shares import FREE_BYTES
from orchestr8_index.serve.state import State

from .learners import Learner, learn
from .lines import Line, served, with_limits
from .test_guard import FOREIGN
from .test_protocol import POST

BODY = b'{"jsonrpc":"2.0","id":%d,"method":"querySkills","params":{"context":"release notes"}}'
FULL = (
    b'{"jsonrpc":"2.0","id":1,"method":"queryAgents",'
    b'"params":{"context":"review the code","limit":20,"detail":"full"}}'
)
HOST = (b"host", b"127.0.0.1:3700")
Headers = list[tuple[bytes, bytes]]
Told = tuple[int, dict[bytes, bytes], bytes]


def post(app: ASGIApp, body: bytes, *headers: tuple[bytes, bytes], **state: Any) -> Told:
    return asyncio.run(posted(app, body, *headers, **state))


async def posted(app: ASGIApp, body: bytes, *headers: tuple[bytes, bytes], **state: Any) -> Told:
    """(status, headers, body) of a request that has come as a whole, as the protocol hands it on:
    to the quick way of a ProjectAddress first."""
    sent = [HOST, *headers] if HOST[0] not in dict(headers) else [*headers]
    length = (b"content-length", str(len(body)).encode())
    told: dict[str, Any] = {"running": 0, "head_too_large": False, "pipelined": False}
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/"}
    scope |= {"headers": [*sent, length]}
    scope |= {"state": told | state, "client": ("127.0.0.1", 1), "scheme": "http"}
    scope |= {"server": ("127.0.0.1", 3700), "query_string": b"", "http_version": "1.1"}
    come: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        come.append(message)

    if isinstance(app, ProjectAddress):
        scope["state"]["quick"] = app.quick
        if answer := app.quick(scope, body):
            head, _, said = answer.partition(b"\r\n\r\n")
            lines = [line.split(b": ", 1) for line in head.split(b"\r\n")]
            return 200, dict(lines), said
    await app(scope, receive, send)
    answer = b"".join(message.get("body", b"") for message in come[1:])
    return come[0]["status"], dict(come[0]["headers"]), answer


def warm(app: ASGIApp, *headers: tuple[bytes, bytes], body: bytes = BODY % 1) -> None:
    """After it this question takes the quick way: its headers and its body are known."""
    for _ in range(3):
        assert post(app, body, *headers)[0] == 200


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many were answered the quick way so far."""
    answered, answer = list[bytes](), Quick.__call__

    def noted(self: Quick, scope: Mapping[str, Any], body: bytes) -> bytes | None:
        if found := answer(self, scope, body):
            answered.append(found)
        return found

    monkeypatch.setattr(Quick, "__call__", noted)
    return lambda: len(answered)


# --- the same answers --------------------------------------------------------------------------

IDS = st.integers(-3, 10**17).map(str) | st.sampled_from(
    ['"a"', '"a\\u0062"', "null", "1.5", "007", "1e3", '"' + "x" * 70 + '"', "true", "[]", '"é"']
)
TEXTS = st.sampled_from(["release notes", "review code", "é", 'say "no"', "x" * 501, ""])
METHODS = st.sampled_from(["querySkills", "queryAgents", "getHealth", "nope", "getContext"])
FIELDS = st.sampled_from(["context", "goal", "task", "limit"])
SHAPES = st.sampled_from(
    [
        '{"jsonrpc":"2.0","id":%(id)s,"method":"%(method)s","params":%(params)s}',
        '{"jsonrpc": "2.0", "id": %(id)s, "method": "%(method)s", "params": %(params)s}',
        '{"jsonrpc": "2.0","id":%(id)s,"params":%(params)s,"method":"%(method)s"}',
        '{"jsonrpc":"2.0","method":"%(method)s","params":%(params)s,"id":%(id)s}',
        '{"jsonrpc":"2.0","id":%(id)s,"method":"%(method)s","id":2,"params":%(params)s}',
        '{"jsonrpc":"1.0","id":%(id)s,"method":"%(method)s","params":%(params)s}',
        '[{"jsonrpc":"2.0","id":%(id)s,"method":"%(method)s","params":%(params)s}]',
        '{"jsonrpc":"2.0","id":%(id)s,"method":"%(method)s","params":%(params)s} ',
        '{"jsonrpc":"2.0","id":%(id)s,"method":"%(method)s","params":%(params)s',
    ]
)


@hypothesis.given(
    shape=SHAPES, method=METHODS, params=st.dictionaries(FIELDS, TEXTS), idents=st.lists(IDS)
)
def test_both_ways_give_the_same_bytes(
    module_state: State, shape: str, method: str, params: dict[str, str], idents: list[str]
) -> None:
    app = make_web(module_state)
    for ident in ["1", "2", *idents]:
        said = shape % {"id": ident, "method": method, "params": json.dumps(params)}
        told = []
        for way in (app, app.app):  # the second is past the quick way
            module_state.drop_answers()
            told.append([_without_clock(post(way, said.encode())) for _ in "ab"])
        assert told[0] == told[1]


def _without_clock(told: Told) -> Any:
    """/health tells of the time."""
    assert len(told[1].pop(b"x-correlation-id")) == 16
    return told[:1] if b'"uptime_ms"' in told[2] else told


@pytest.mark.parametrize("ident", [b"7", b'"a-b"', b"123456789012345"])
def test_only_the_id_differs(state: State, quick: Callable[[], int], ident: bytes) -> None:
    app, spaced = make_web(state), BODY.replace(b":", b": ")
    for body in (BODY, spaced):
        warm(app, body=body % 1)
        sent, before = body.replace(b"%d", ident), quick()
        assert json.loads(post(app, sent)[2])["id"] == json.loads(ident)
        assert quick() == before + 1


def request(body: bytes, more: bytes = b"") -> bytes:
    return POST + more + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def lines_of(answer: bytes) -> list[bytes]:
    """Without the time of day and the correlation id."""
    passing = (b"date:", b"x-correlation-id:")
    return [line for line in answer.split(b"\r\n") if not line.startswith(passing)]


def test_a_server_answers_both_ways_alike(state: State, quick: Callable[[], int]) -> None:
    with served(state) as port:
        line = Line(port)
        answers = [line.send(request(BODY % 1)).read_one() for _ in range(4)]
        named = line.send(request(BODY % 1, b"X-Correlation-Id: a\r\n")).read_one()
        last = line.send(request(BODY % 1, b"Connection: close\r\n")).read()
    assert quick() == 3 and answers[3].count(b"\r\ndate: ") == 1
    assert lines_of(answers[1]) == lines_of(answers[3]) == lines_of(named)
    assert b"connection: close" in last


def test_what_is_pipelined_is_answered_in_its_order(state: State, quick: Callable[[], int]) -> None:
    """A new question between known ones waits for its turn, and so do those behind it."""
    other = BODY.replace(b"release notes", b"database tuning")
    with served(state) as port:
        line = Line(port)
        for _ in range(2):
            line.send(request(BODY % 1)).read_one()
        sent = [BODY % 2, BODY % 3, other % 4, BODY % 5, BODY % 6]
        last = request(BODY % 7, b"Connection: close\r\n")
        answers = line.send(b"".join(map(request, sent)) + last).read()
    assert re.findall(rb'"id":(\d)', answers) == [b"2", b"3", b"4", b"5", b"6", b"7"]
    assert quick() >= 3


def test_of_new_questions_in_one_read_only_the_first_is_quick(
    state: State, quick: Callable[[], int]
) -> None:
    """The others let other connections have their turn."""
    with served(state) as port:
        line = Line(port)
        line.send(request(BODY % 1)).read_one()
        before = quick()
        new = [request(BODY.replace(b"notes", b"note%d" % n) % n) for n in range(6)]
        line.send(b"".join(new))
        answers = [line.read_one() for _ in new]
        line.close()
    assert len(answers) == 6 and quick() == before + 1


def test_a_connection_that_was_answered_at_once_idles_like_any_other(state: State) -> None:
    settings = with_limits(state, idle_seconds=1)
    with served(settings) as port:
        line = Line(port)
        for _ in range(3):
            line.send(request(BODY % 1)).read_one()
        assert line.read() == b"" and settings.query_cache.hits == 2


def test_a_body_in_two_parts_is_waited_for_by_the_guard(
    state: State, quick: Callable[[], int]
) -> None:
    body = BODY % 1
    head = POST + b"Content-Length: %d\r\n\r\n" % len(body)
    with served(state) as port:
        line = Line(port)
        for _ in range(3):
            line.send(head + body).read_one()
        before = quick()
        line.send(head + body[:20])
        while not state.gate.shares.running.taken:
            pass
        assert b'"result"' in line.send(body[20:]).read_one()
        line.close()
    assert quick() == before


def test_a_new_generation_is_asked_anew(
    state: State, quick: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_web(state)
    warm(app)
    before, index = quick(), state.refresh.index
    assert index is not None
    monkeypatch.setattr(index, "generation", index.generation + 1)
    told = json.loads(post(app, BODY % 1)[2])["result"]
    assert not told["cache_hit"] and quick() == before + 1


def test_a_new_question_is_counted_like_any_other(state: State, quick: Callable[[], int]) -> None:
    app, new = make_web(state), BODY.replace(b"release notes", b"ship a release")
    warm(app)
    assert json.loads(post(app, new % 1)[2])["result"]["skills"] and quick() == 3
    assert (state.query_cache.misses, state.metrics.requests["querySkills"]) == (2, 4)
    assert len(state.recent.lately()) == 2


@pytest.mark.parametrize("room", [True, False])
def test_a_long_answer_needs_room(module_state: State, room: bool) -> None:
    state = with_limits(module_state, max_held_mb=1)
    app = make_web(state)
    warm(app, body=FULL)
    state.gate.shares.held.taken = 0 if room else 999_000
    state.drop_answers()
    status, _, answer = post(app, FULL)
    assert (status, len(answer) > FREE_BYTES) == ((200, True) if room else (503, False))


def test_what_was_learnt_makes_an_answer_untrue(tmp_path: Path, shipped_index: Index) -> None:
    async def work(learner: Learner) -> list[bool]:
        app, found = make_web(learner.state), []
        for number in range(8):
            if number == 4:
                await learner.report(text="release notes", agents_used=[], skills_used=SKILLS)
            told = json.loads((await posted(app, BODY % number))[2])["result"]
            found.append(told["cache_hit"])
        return found

    hits = learn(tmp_path / "data", shipped_index, work)
    assert hits == [False, True, True, True, False, True, True, True]


SKILLS = ["studio:release-notes"]


# --- the same guard ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "status"),
    [
        *[((b"host", host.encode()), 421) for host in FOREIGN],
        ((b"origin", b"https://example.com"), 403),
        ((b"origin", b"http://localhost:8080"), 403),
        ((b"sec-fetch-site", b"cross-site"), 403),
        ((b"sec-fetch-site", b"same-origin"), 415),
        ((b"content-encoding", b"gzip"), 415),
        ((b"authorization", b"Bearer o8_guess"), 200),
        ((b"x-agent", b"<b>"), 400),
        ((b"x-tree", b"not/absolute"), 400),
        ((b"x-project", b"nowhere"), 404),
        ((b"mcp-session-id", b"1"), 200),
    ],
)
def test_other_headers_are_looked_at(
    state: State, quick: Callable[[], int], header: tuple[bytes, bytes], status: int
) -> None:
    app = make_web(state)
    warm(app)
    before = quick()
    for _ in range(3):
        assert post(app, BODY % 1, header)[0] == status
    assert quick() - before == (2 if header[0] == b"authorization" else 0)  # once it is known


def test_a_header_that_was_sent_twice_is_refused(state: State) -> None:
    app = make_web(state)
    warm(app)
    assert post(app, BODY % 1, HOST, HOST)[0] == 400


@pytest.mark.parametrize("told", [{"head_too_large": True}, {"running": 1}])
def test_whatever_is_out_of_the_ordinary_goes_the_ordinary_way(
    module_state: State, told: dict[str, Any]
) -> None:
    state = with_limits(module_state, max_running=1)
    app = make_web(state)
    warm(app)
    before = state.gate.unlogged
    lines = type("Lines", (), {"refused": 0})()
    post(app, BODY % 1, **{"lines": lines, **told})
    assert state.gate.unlogged == before


def test_a_foreign_peer_is_not_taken_for_one_that_was_let_in(state: State) -> None:
    app = make_web(state)
    warm(app)
    known = app.app._known
    assert {peer for peer, *_ in known} == {"127.0.0.1"}


def bearer(token: str) -> tuple[bytes, bytes]:
    return b"authorization", f"Bearer {token}".encode()


def test_a_revoked_key_opens_nothing_any_more(locked: State, tmp_path: Path) -> None:
    keys, app = KeyFile(tmp_path), make_web(locked)
    mine, other = (bearer(keys.add(name, "read")) for name in ("ci", "laptop"))
    warm(app, mine)
    assert locked.gate.unlogged and post(app, BODY % 1)[0] == 401
    keys.revoke("ci")
    locked.gate.keys.reload_if_changed()
    assert [post(app, BODY % 1, key)[0] for key in (mine, other)] == [401, 200]


def test_who_asked_is_noted_where_keys_are_needed(locked: State, tmp_path: Path) -> None:
    app, key = make_web(locked), bearer(KeyFile(tmp_path).add("ci", "read"))
    warm(app, key)
    rows = [row[1:] for row in locked.gate.audit.take()]
    assert ("ci", "querySkills", "ok", 3) in rows and locked.gate.unlogged == 2


def test_each_counts_towards_the_rate(module_state: State) -> None:
    app = make_web(with_limits(module_state, rate=2))
    statuses = [post(app, BODY % number)[0] for number in range(12)]
    assert statuses[:8] == [200] * 8 and statuses[-1] == 429
    assert b"retry-after" in post(app, BODY % 1)[1]


def test_short_of_memory_it_is_refused(state: State) -> None:
    app = make_web(state)
    warm(app)
    state.gate.memory.shedding = True
    assert post(app, BODY % 1)[0] == 503


def test_no_room_for_one_more_is_refused(module_state: State) -> None:
    state = with_limits(module_state, max_running=2)
    app = make_web(state)
    warm(app)
    assert state.gate.shares.running.taken == 0
    state.gate.shares.running.taken = 2
    assert post(app, BODY % 1)[0] == 503


# --- what is counted ---------------------------------------------------------------------------


def test_metrics_and_the_cache_count_it(state: State, quick: Callable[[], int]) -> None:
    app = make_web(state)
    warm(app)
    hits, asked = state.query_cache.hits, state.metrics.requests["querySkills"]
    assert quick() and (hits, asked) == (2, 3)
    assert state.metrics.queries.total == 3 and len(state.recent.lately()) == 1


def test_one_line_a_second_tells_of_all(state: State, caplog: pytest.LogCaptureFixture) -> None:
    app = make_web(state)
    with caplog.at_level(logging.INFO, "orchestr8.http"):
        warm(app)
        post(app, BODY % 2)
        asyncio.run(Upkeep(state)._check())
    requests = [vars(record) for record in caplog.records if record.name == "orchestr8.http"]
    assert [told.get("count") for told in requests] == [None, 3] and not state.gate.unlogged


def test_at_debug_each_has_its_own(state: State, caplog: pytest.LogCaptureFixture) -> None:
    app = make_web(state)
    with caplog.at_level(logging.DEBUG, "orchestr8.http"):
        warm(app)
    assert [record.getMessage() for record in caplog.records] == ["request"] * 3
