"""Can one caller take what all share: bytes that wait, answers, streams, sessions?"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestr8_index.environment import PROGRAM
from orchestr8_index.errors import Overloaded
from orchestr8_index.serve.body import send_json
from orchestr8_index.serve.cache import MOST_BYTES, RecentQuestions
from orchestr8_index.serve.callers import Principal
from orchestr8_index.serve.gate import Sessions
from orchestr8_index.serve.guard import Guard
from orchestr8_index.serve.shares import Account, Share, Shares, peer_of
from orchestr8_index.serve.state import State

from ..processes import wait_for
from .asking import ask, limits_of, reply
from .lines import Line, served, with_limits
from .test_protocol import CALL, HEALTH, POST, statuses

NEAR, KEY, FAR = Principal("127.0.0.1"), Principal("ci", keyed=True), Principal("192.0.2.1")
OURS = Principal("127.0.0.1", share=1.0)


def most_of(share: Share, who: Principal) -> int:
    taken = 0
    with pytest.raises(Overloaded):
        for _ in range(1000):
            share.take(who)
            taken += 1
    share.give(who, taken)
    return taken


@pytest.mark.parametrize(("who", "most"), [(NEAR, 90), (KEY, 50), (FAR, 50), (OURS, 100)])
def test_no_caller_takes_all_of_a_bound(who: Principal, most: int) -> None:
    assert most_of(Share(100, "things"), who) == most


def test_a_tenth_stays_however_many_take(state: State) -> None:
    share = Share(100, "things")
    share.take(KEY, 50)
    assert most_of(share, FAR) == 40
    assert most_of(share, OURS) == 50


def test_what_was_taken_comes_back_with_the_end_of_the_request() -> None:
    shares = Shares(limits_of())
    own = Account(shares, NEAR)
    own.run()
    own.take_body(900_000)
    own.hold_answer(2_000_000)
    own.stream()
    assert (shares.held.taken, shares.running.taken, shares.streams.taken) == (2_900_000, 0, 1)
    own.close()
    assert (shares.held.taken, shares.running.taken, shares.streams.taken) == (0, 0, 0)


# --- bodies that never end ---------------------------------------------------------------------


@pytest.fixture
def tight(module_state: State) -> State:
    return with_limits(module_state, max_held_mb=2, max_running=20, max_batch_bytes=100_000)


@pytest.fixture
def port(tight: State) -> Iterator[int]:
    with served(tight) as port:
        yield port


def posted(path: str = "/", more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(CALL) + CALL


def test_unfinished_bodies_are_bounded_and_others_come_through(port: int, tight: State) -> None:
    begun = POST + b"Content-Length: 900000\r\n\r\n" + b" " * 800_000
    waiting = [Line(port).send(begun) for _ in range(2)]
    wait_for(lambda: tight.gate.shares.held.taken > 1_500_000)
    third = Line(port).send(begun)
    assert statuses(third.read()) == [503]
    assert statuses(Line(port).send(posted()).read()) == [200]
    for line in waiting:
        line.close()
    wait_for(lambda: tight.gate.shares.held.taken == 0)


def test_who_takes_all_that_may_run_leaves_a_tenth(port: int, tight: State) -> None:
    """Two of twenty: for a hook, and for the command line."""
    begun = POST + b"Content-Length: 900\r\n\r\n{"
    waiting = [Line(port).send(begun) for _ in range(18)]
    wait_for(lambda: tight.gate.shares.running.taken == 18)
    assert statuses(Line(port).send(posted()).read()) == [503]
    for sent in (posted("/hooks/claude"), posted(more=f"User-Agent: {PROGRAM}\r\n")):
        assert statuses(Line(port).send(sent).read()) == [200]
    line = Line(port)
    assert statuses(line.send(HEALTH).read_one()) == [200]
    for each in (*waiting, line):
        each.close()


def test_pipelined_bytes_are_bounded(port: int) -> None:
    waits = POST + b"Content-Length: 10\r\n\r\n{"
    large = POST + b"Content-Length: 50000\r\n\r\n" + b" " * 50_000
    line = Line(port).send(waits + b" " * 9 + large * 4)
    assert len(statuses(line.read())) < 4


# --- answers -----------------------------------------------------------------------------------


def test_the_answers_of_a_batch_are_bounded(tight: State) -> None:
    entry = {"kind": "agent", "plugin": "studio", "name": "docs-writer"}
    one = {"jsonrpc": "2.0", "id": 1, "method": "getEntry", "params": entry}
    size = len(reply(tight, one).body)
    answer = reply(tight, [one] * 100)
    codes = [each.get("error", {}).get("code", 0) for each in json.loads(answer.body)]
    assert len(codes) == 100 and codes[0] == 0 and codes[-1] == -32600
    assert codes.count(0) * size <= tight.settings.limits.max_batch_bytes


async def answers(scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, 200, "x" * 5_000_000)


def test_an_answer_that_there_is_no_room_for_is_refused(tight: State) -> None:
    assert ask(Guard(answers, tight.gate), "GET", "/x").status_code == 503
    assert tight.gate.shares.held.taken == 0


# --- what is kept ------------------------------------------------------------------------------


def test_a_long_question_is_not_kept_for_renewal() -> None:
    recent = RecentQuestions()
    recent.note("queryAgents", b"x" * (MOST_BYTES + 1))
    assert recent.lately() == []


def test_a_tree_is_no_longer_than_a_path(app: ASGIApp) -> None:
    for length, status in ((4000, 200), (5000, 400)):
        headers = {"X-Tree": "/" + "t" * length}
        assert ask(app, "POST", "/", content=CALL, headers=headers).status_code == status


def test_the_session_that_makes_way_is_the_callers_own() -> None:
    sessions = Sessions(strict=True)
    for name in ("a1", "b1", "a2", "b2", "a3"):
        sessions.begin(name.encode(), name[0])
    sessions.check(b"a1", "a")
    every = {"a1", "b1", "a2", "b2", "a3"}
    assert sessions.makes_way(every, 10, 3, "a") == "a2"
    assert sessions.makes_way(every, 10, 4, "a") == ""
    assert sessions.makes_way(every, 5, 4, "c") == "a2"  # no room: of who has the most
    assert sessions.makes_way({"b1"}, 5, 4, "c") == ""


def test_streams_are_bounded(tight: State) -> None:
    gate = replace(tight.settings.limits, max_streams=1)
    own, other = Account(shares := Shares(gate), NEAR), Account(shares, NEAR)
    own.stream()
    with pytest.raises(Overloaded):
        other.stream()
    own.close()
    other.stream()


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("127.0.0.1", ""),
        ("127.9.9.9", ""),
        ("::1", ""),
        ("::ffff:127.0.0.1", ""),
        ("local", ""),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_machine_is_one_peer(address: str, peer: str) -> None:
    assert peer_of(address) == peer
