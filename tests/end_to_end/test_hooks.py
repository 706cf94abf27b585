"""Does a delegated task become an outcome by itself? A real server, and the hooks' payloads."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import Any

from orchestr8_index.config import fixture_root

from ..processes import World
from ..serve.hooks import events

ROOT = str(fixture_root())
REVIEWER = "guard-house:code-reviewer"
CALLED = "guard-house:security:code-reviewer"  # by the host, in whose folder it lies


def deliver(port: int, payload: dict[str, Any]) -> Any:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("POST", "/hooks/claude", json.dumps(payload))
        reply = connection.getresponse()
        assert reply.status == 200
        return json.loads(reply.read())


def test_a_session_with_hooks_leaves_each_outcome_once(world: World) -> None:
    running = world.serve("--root", ROOT)
    waited, later = events.completed(ident="a1"), events.launched(REVIEWER, ident="b2")
    sequence = [
        events.prompted("thanks"),
        later,
        events.stopped(ident="a1"),
        waited,
        waited,
        events.stopped("All tests pass.", REVIEWER, ident="b2", in_background=True),
        events.NOTIFIED,
        events.stopped("All tests pass.", REVIEWER, ident="b2", in_background=True),
    ]
    assert [deliver(running.port, payload) for payload in sequence] == [{}] * len(sequence)
    told = json.loads(world.run("learned", "--json").stdout)
    assert told["decisions"] == 2
    won = {row["entry"]: row["wins"] for row in told["entries"]}
    assert won == {"studio:docs-writer": 1, REVIEWER: 1}


def test_a_request_gets_its_match_and_the_store_nothing(world: World) -> None:
    running = world.serve("--root", ROOT)
    secret = "Review the zanzibar holes in the security and correctness of this web application"
    told = deliver(running.port, events.prompted(secret))
    assert CALLED in told["hookSpecificOutput"]["additionalContext"]
    running.stop()
    kept = [path.read_bytes() for path in world.data.rglob("*") if path.is_file()]
    assert kept
    assert not [data for data in kept if b"zanzibar" in data]
