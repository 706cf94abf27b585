"""What does a hook of Claude Code get, whatever it sends?"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import Limits
from orchestr8_index.serve.hooks.claude import receive_claude
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.state import State

from ..asking import ask
from ..learners import Learner, learn
from . import events
from .test_suggest import REQUEST

PLACE = "/hooks/claude"
WRITER = "studio:docs-writer"


@pytest.fixture
def kept(tmp_path: Path, shipped_index: Index) -> Callable[..., Any]:
    """Deliver payloads to a server with a store: the rows of the decisions in the end."""

    def deliver(*payloads: dict[str, Any]) -> Any:
        async def work(learner: Learner) -> Any:
            for payload in payloads:
                assert await receive_claude(learner.state, msgspec.json.encode(payload)) == {}
            outcomes = await learner.store.outcomes()
            rows = outcomes.store.reader.execute(
                "SELECT task_description, agents_used, result FROM decision_history"
            )
            return [(text, json.loads(agents), result) for text, agents, result in rows]

        return learn(tmp_path / "data", shipped_index, work)

    return deliver


def test_an_outcome_is_kept_once(kept: Callable[..., Any]) -> None:
    sent = (events.stopped(), events.completed(), events.completed(), events.stopped())
    assert kept(*sent) == [(events.TEXT, [WRITER], "success")]


def test_an_agent_in_the_background_is_kept_once(kept: Callable[..., Any]) -> None:
    stop = events.stopped(in_background=True)
    assert kept(events.launched(), stop, stop, events.launched()) == [
        (events.TEXT, [WRITER], "success")
    ]


def test_a_failure_is_kept(kept: Callable[..., Any]) -> None:
    assert kept(events.failed()) == [(events.TEXT, [WRITER], "failure")]


def test_the_hosts_own_agent_does_not_become_advice(kept: Callable[..., Any]) -> None:
    assert kept(events.completed(agent="Explore")) == [(events.TEXT, ["Explore"], "partial")]


def test_a_prompt_gets_context(app: ASGIApp) -> None:
    told = ask(app, "POST", PLACE, json=events.prompted(REQUEST)).json()
    said = told["hookSpecificOutput"]
    assert said["hookEventName"] == "UserPromptSubmit"
    assert "code-reviewer" in said["additionalContext"]


DEEP = b'{"hook_event_name":"UserPromptSubmit","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
NOT_UNDERSTOOD: list[Any] = [
    {},
    [],
    0,
    {"hook_event_name": "Stop"},
    {"hook_event_name": 3},
    {"hook_event_name": "UserPromptSubmit"},
    {"hook_event_name": "UserPromptSubmit", "prompt": {"a": 1}},
    {"hook_event_name": "PostToolUse", "tool_response": [1]},
    {"hook_event_name": "SubagentStop", "background_tasks": [None], "agent_id": "a"},
]


@pytest.mark.parametrize("payload", NOT_UNDERSTOOD)
def test_what_is_not_understood_is_passed_over(app: ASGIApp, payload: Any) -> None:
    reply = ask(app, "POST", PLACE, json=payload)
    assert (reply.status_code, reply.json()) == (200, {})


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", DEEP])
def test_what_is_not_json_is_refused(app: ASGIApp, body: bytes) -> None:
    assert ask(app, "POST", PLACE, content=body).status_code == 400


def test_a_body_over_the_limit_is_refused(app: ASGIApp) -> None:
    assert ask(app, "POST", PLACE, content=b" " * (Limits().max_body + 1)).status_code == 413


def test_only_posts_are_taken(app: ASGIApp) -> None:
    assert ask(app, "GET", PLACE).status_code == 405


def test_the_guard_is_in_front(app: ASGIApp) -> None:
    sent = events.prompted(REQUEST)
    host, origin = {"host": "evil.example"}, {"origin": "http://evil.example"}
    assert ask(app, "POST", PLACE, json=sent, headers=host).status_code == 421
    assert ask(app, "POST", PLACE, json=sent, headers=origin).status_code == 403


@pytest.mark.parametrize("event", [events.prompted(REQUEST), events.completed()])
def test_a_server_that_starts_disturbs_nobody(starting: State, event: dict[str, Any]) -> None:
    reply = ask(make_web(starting), "POST", PLACE, json=event)
    assert (reply.status_code, reply.json()) == (200, {})


def test_a_store_that_is_away_disturbs_nobody(app: ASGIApp) -> None:
    assert ask(app, "POST", PLACE, json=events.completed()).json() == {}


def test_no_word_of_a_payload_is_logged(app: ASGIApp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "orchestr8")
    for event in (events.prompted(REQUEST), events.completed(), events.failed()):
        ask(app, "POST", PLACE, json=event)
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert logged
    assert not [word for word in ("correctness", "certs", "gateway") if word in logged]


# --- any payload at all ------------------------------------------------------------------------

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
REAL: list[dict[str, Any]] = [
    events.prompted(REQUEST),
    events.completed(),
    events.launched(),
    events.failed(),
    events.stopped(in_background=True),
]


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """A real payload, of which any parts are replaced or missing."""
    payload = dict(draw(st.sampled_from(REAL)))
    for name in draw(st.lists(st.sampled_from(sorted(payload)), max_size=3)):
        payload[name] = draw(ANYTHING)
    for name in ("tool_input", "tool_response"):
        if isinstance(part := payload.get(name), dict) and part:
            payload[name] = {**part, draw(st.sampled_from(sorted(part))): draw(ANYTHING)}
    for name in draw(st.lists(st.sampled_from(sorted(payload)), max_size=2)):
        payload.pop(name, None)
    return payload


@given(broken())
def test_a_broken_payload_is_answered(app: ASGIApp, payload: dict[str, Any]) -> None:
    body = json.dumps(payload, allow_nan=True).encode()
    reply = ask(app, "POST", PLACE, content=body)
    assert reply.status_code in (200, 400)
    assert isinstance(reply.json(), dict)


@given(st.lists(broken(), max_size=6))
def test_broken_payloads_never_become_a_bad_report(
    state: State, payloads: list[dict[str, Any]]
) -> None:
    """The method refuses what is out of its bounds, and counts it as an error."""
    app = make_web(state)
    for payload in payloads:
        ask(app, "POST", PLACE, content=json.dumps(payload).encode())
    assert -32602 not in state.metrics.errors
    assert -32603 not in state.metrics.errors


@pytest.mark.parametrize("named", [{"session_id": "s" * 900_000}, {"cwd": "/" + "s" * 900_000}])
def test_nothing_is_kept_of_names_that_are_no_names(
    kept: Callable[..., Any], named: dict[str, str]
) -> None:
    """A thousand sessions with such ids took 900 MB."""
    assert kept({**events.stopped(), **named}, {**events.completed(), **named}) == []
