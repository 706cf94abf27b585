"""Are the events of one agent joined, in whatever order they come?"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import msgspec
import pytest

from orchestr8_index.reports import Report
from orchestr8_index.serve.hooks.delegations import MOST_CALLERS, Delegations, OfCallers, task_id
from orchestr8_index.serve.hooks.payloads import PAYLOAD, AgentStopped, Prompted, ToolEnded

from ...clocks import Clock
from . import events


def told(delegations: Delegations, payload: dict[str, Any]) -> Report | None:
    event = PAYLOAD.decode(msgspec.json.encode(payload))
    assert not isinstance(event, Prompted)
    if isinstance(event, ToolEnded):
        return delegations.ended(event)
    return (
        delegations.stopped(event) if isinstance(event, AgentStopped) else delegations.failed(event)
    )


def report(*payloads: dict[str, Any]) -> Report | None:
    """What is reported in the end, after all that was reported before."""
    delegations = Delegations()
    reports = [each for payload in payloads if (each := told(delegations, payload))]
    return reports[-1] if reports else None


def sure(*payloads: dict[str, Any]) -> Report:
    found = report(*payloads)
    assert found is not None
    return found


def test_an_agent_that_was_waited_for_is_a_whole_report() -> None:
    assert sure(events.stopped(), events.completed()) == Report(
        task_id=f"claude:{events.SESSION}:{events.AGENT}",
        task_description=events.TEXT,
        agents_used=["docs-writer"],
        result="success",
        duration_ms=543,
        model="claude-sonnet-4-5",
        caller="claude-code",
    )


def test_an_agent_that_has_only_stopped_is_not_reported() -> None:
    assert report(events.stopped()) is None


def test_an_agent_that_is_only_launched_is_not_reported() -> None:
    assert report(events.launched()) is None


def test_an_agent_in_the_background_is_reported_when_it_stops() -> None:
    clock = Clock()
    delegations = Delegations(clock=clock)
    told(delegations, events.launched())
    clock.now += 2.5
    found = told(delegations, events.stopped(in_background=True))
    assert found and (found.task_description, found.duration_ms) == (events.TEXT, 2500)
    clock.now += 6.5
    assert told(delegations, events.stopped(in_background=True)) == found
    assert told(delegations, events.launched()) == found


@pytest.mark.parametrize("second", [events.completed(), events.launched()])
def test_the_order_of_the_deliveries_does_not_matter(second: dict[str, Any]) -> None:
    orders = permutations((events.stopped(), second))
    one, other = (msgspec.structs.replace(sure(*order), duration_ms=None) for order in orders)
    assert one == other


def test_a_redelivery_is_the_same_report() -> None:
    once = report(events.stopped(), events.completed())
    again = (events.completed(), events.stopped(), events.completed())
    assert report(events.stopped(), events.completed(), *again) == once


def test_a_stop_alone_is_enough_where_it_names_the_task() -> None:
    """The server may have been started again since the launch."""
    found = sure(events.stopped(in_background=True))
    assert (found.task_description, found.agents_used) == (events.TASK, ["docs-writer"])


def test_the_last_words_of_a_resumed_agent_count() -> None:
    first = (events.launched(), events.stopped("I could not do it."))
    assert sure(*first).result == "failure"
    assert sure(*first, events.stopped()).result == "success"


def test_agents_and_sessions_are_kept_apart() -> None:
    assert report(events.launched(ident="a"), events.stopped(ident="b")) is None
    other = {**events.stopped(), "session_id": "another"}
    assert report(events.launched(), other) is None


@pytest.mark.parametrize(
    ("event", "result"),
    [
        (events.failed(), "failure"),
        (events.failed(interrupted=True), "partial"),
        (events.completed(events.UNCLEAR), "partial"),
        (events.completed(""), None),
        (events.failed("Agent type 'docs-writer' not found. Available agents: x"), None),
        ({**events.completed(), "tool_name": "Bash"}, None),
        ({**events.failed(), "tool_name": "Bash"}, None),
        ({**events.failed(), "tool_use_id": None}, None),
        ({**events.completed(), "tool_input": {}}, None),
        ({**events.completed(), "tool_response": None}, None),
        ({**events.completed(), "tool_response": {"status": "remote_launched"}}, None),
        (events.completed(agent="x" * 201), None),
    ],
)
def test_what_is_reported(event: dict[str, Any], result: str | None) -> None:
    found = report(event)
    assert (found.result if found else None) == result


def test_an_answer_that_is_plain_text_is_understood() -> None:
    found = sure({**events.completed(), "tool_response": events.DONE})
    assert (found.result, found.duration_ms) == ("success", 544)
    assert found.task_id.endswith(events.CALL)


def test_an_agent_that_nobody_named_is_the_hosts_own() -> None:
    given = {"description": events.TASK, "prompt": events.DETAIL}
    response = {"agentId": "a", "content": events.DONE}
    found = sure({**events.completed(), "tool_input": given, "tool_response": response})
    assert found.agents_used == ["general-purpose"]


@pytest.mark.parametrize("spent", [-5, 1e300])
def test_a_duration_that_cannot_be_is_left_out(spent: float) -> None:
    response = {**events.completed()["tool_response"], "totalDurationMs": spent}
    assert sure({**events.completed(), "tool_response": response}).duration_ms is None


def test_a_long_task_is_cut() -> None:
    given = {**events.asked(), "prompt": "word " * 5000}
    assert len(sure({**events.completed(), "tool_input": given}).task_description) == 1000


def test_a_task_id_is_short_and_stable() -> None:
    assert task_id("s", "a") == "claude:s:a"
    long = task_id("s" * 500, "a")
    assert long == task_id("s" * 500, "a") != task_id("s" * 500, "b")
    assert len(long) <= 100


def test_little_is_remembered_of_a_long_task() -> None:
    delegations = Delegations()
    given = {"description": "x" * 400_000, "subagent_type": "y" * 400_000}
    told(delegations, {**events.launched(), "tool_input": given})
    found = told(delegations, events.stopped())
    assert found is None  # no agent has such a name
    assert len(repr(delegations.get(events.SESSION, events.AGENT))) < 3000


def test_only_the_last_agents_are_remembered() -> None:
    delegations = Delegations(kept=3)
    for ident in "abcd":
        told(delegations, events.launched(ident=ident))
    assert len(delegations) == 3
    assert told(delegations, events.stopped(ident="a")) is None
    assert told(delegations, events.stopped(ident="d")) is not None


def test_each_caller_joins_its_own_events_alone() -> None:
    """Another key's stop would else end this one's task, with another's last words."""
    every = OfCallers()
    assert told(every.of("a"), events.launched()) is None
    assert every.of("a") is every.of("a") and len(every.of("a")) == 1
    assert len(every.of("b")) == 0
    for number in range(MOST_CALLERS):
        every.of(f"c{number}")
    assert len(every.of("a")) == 0  # the callers of whom nothing came for longest make way
