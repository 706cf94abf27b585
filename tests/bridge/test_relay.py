"""Does a host get over stdin and stdout what the server says over HTTP, in both eras?"""

from __future__ import annotations

import json

import pytest

from ..processes import World, wait_for
from .conftest import Bridge
from .standin import StandIn


def test_a_request_is_answered(bridge: Bridge) -> None:
    assert bridge.shake_hands().ask(1, "echo", text="ü€ \u2028\n")["result"] == {
        "text": "ü€ \u2028\n"
    }


def test_after_the_handshake_session_and_version_are_named(bridge: Bridge, server: StandIn) -> None:
    bridge.shake_hands().ask(1, "echo")
    assert "mcp-session-id" not in server.headers("initialize")
    assert server.headers("echo")["mcp-session-id"] in server.sessions
    assert server.headers("echo")["mcp-protocol-version"] == "2025-11-25"


def test_in_the_modern_era_each_request_names_its_version(bridge: Bridge, server: StandIn) -> None:
    bridge.modern("a", "tools/call", name="größe")
    bridge.find(id="a")
    headers = server.headers("tools/call")
    assert headers["mcp-protocol-version"] == "2026-07-28"
    assert headers["mcp-method"] == "tools/call"
    assert headers["mcp-name"] == "=?base64?Z3LDtsOfZQ==?="
    assert "mcp-session-id" not in headers


def test_an_answer_in_a_stream_comes_after_what_stands_before_it(bridge: Bridge) -> None:
    assert bridge.shake_hands().ask(1, "stream")["result"] == {"streamed": True}
    assert json.loads(bridge.lines[-2]) == {"jsonrpc": "2.0", "method": "notifications/progress"}


def test_a_message_is_one_line_however_the_server_wrote_it(bridge: Bridge) -> None:
    bridge.shake_hands().ask(1, "pretty")
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in bridge.lines)


def test_a_slow_call_does_not_stop_a_fast_one(bridge: Bridge, server: StandIn) -> None:
    bridge.shake_hands().send({"jsonrpc": "2.0", "id": "slow", "method": "slow"})
    assert bridge.ask("fast", "echo")["id"] == "fast"
    server.released.set()
    assert bridge.find(id="slow")["result"] == {}


def test_what_the_server_says_by_itself_arrives(bridge: Bridge, server: StandIn) -> None:
    server.say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    bridge.shake_hands()
    assert bridge.find(method="notifications/tools/list_changed")


def test_the_hosts_answer_to_the_server_is_posted(bridge: Bridge, server: StandIn) -> None:
    bridge.shake_hands().send({"jsonrpc": "2.0", "id": 7, "result": {"action": "accept"}})
    assert wait_for(lambda: [m for _, _, m in server.seen if m.get("id") == 7])


def test_a_large_message_arrives_whole(bridge: Bridge) -> None:
    text = "ä" * 2_000_000
    assert bridge.shake_hands().ask(1, "echo", text=text)["result"]["text"] == text


def test_many_at_once_are_all_answered_in_whole_lines(bridge: Bridge) -> None:
    bridge.shake_hands()
    for number in range(1, 301):
        bridge.send({"jsonrpc": "2.0", "id": number, "method": "echo", "params": {"n": number}})
    wait_for(lambda: len(bridge.lines) == 301)
    answers = [json.loads(line) for line in bridge.lines[1:]]
    assert {a["id"]: a["result"]["n"] for a in answers} == {n: n for n in range(1, 301)}


@pytest.mark.parametrize(
    ("line", "code"),
    [("{nonsense", -32700), ("[1]", -32600), ('{"id": [], "method": "x"}', -32600), ("7", -32600)],
)
def test_a_line_that_is_no_message_is_refused(line: str, code: int, bridge: Bridge) -> None:
    bridge.send(line)
    assert bridge.find(id=None)["error"]["code"] == code


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("place", ["id", "params"])
def test_what_is_no_number_in_json_is_no_message(number: str, place: str, bridge: Bridge) -> None:
    """Python's reader takes them; the answer then held an id that no host can read."""
    members = {"id": "1", "params": "[1]", place: number}
    said = ",".join(f'"{name}":{value}' for name, value in members.items())
    bridge.send(f'{{"jsonrpc":"2.0","method":"echo",{said}}}')
    assert bridge.find(id=None)["error"]["code"] == -32700
    assert "NaN" not in "".join(bridge.lines)


@pytest.mark.parametrize(
    ("method", "said"),
    [("crash", "HTTP 500"), ("large", "1 MB"), ("cut", "went away"), ("unknown", "not found")],
)
def test_an_error_has_the_requests_id_and_a_sentence(
    method: str, said: str, bridge: Bridge
) -> None:
    error = bridge.shake_hands().ask("it", method)["error"]
    assert said in error["message"]


def test_a_server_that_is_starting_is_waited_for(bridge: Bridge, server: StandIn) -> None:
    server.busy = 2
    assert bridge.shake_hands().ask(1, "echo")["result"] == {}


def test_a_connection_that_breaks_is_made_again(bridge: Bridge, server: StandIn) -> None:
    bridge.shake_hands()
    server.drops = 1
    assert bridge.ask(1, "echo")["result"] == {}


def test_a_lost_session_is_begun_again_with_what_was_asked_of_it(
    bridge: Bridge, server: StandIn
) -> None:
    bridge.shake_hands().ask(1, "resources/subscribe", uri="a:b")
    server.sessions.clear()
    assert bridge.ask(2, "echo")["result"] == {}
    assert server.count("POST", "initialize") == 2
    assert server.count("POST", "resources/subscribe") == 2
    assert len([line for line in bridge.lines if '"protocolVersion"' in line]) == 1


def test_a_server_that_comes_back_is_found(world: World) -> None:
    """The same port, another life: no session is known there."""
    with StandIn() as first:
        both = Bridge(world.start("mcp", "--port", str(first.port)))
        both.shake_hands().ask(1, "echo")
    with StandIn(first.port) as second:
        assert both.ask(2, "echo")["result"] == {}
        assert second.count("POST", "initialize") == 1


def test_a_cancelled_modern_request_ends_with_its_connection(
    bridge: Bridge, server: StandIn
) -> None:
    bridge.modern("it", "slow")
    wait_for(lambda: server.count("POST", "slow"))
    cancel = {"requestId": "it"}
    bridge.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})
    bridge.modern("next", "echo")
    bridge.find(id="next")
    server.released.set()
    assert bridge.close() == 0
    assert not any('"it"' in line for line in bridge.lines)
    assert server.count("POST", "notifications/cancelled") == 0


def test_a_subscription_outlives_a_stream_that_ends(bridge: Bridge, server: StandIn) -> None:
    bridge.modern("s", "subscriptions/listen")
    for uri in ("a:1", "a:2"):
        method = "notifications/resources/updated"
        server.say({"jsonrpc": "2.0", "method": method, "params": {"uri": uri}})
        assert bridge.find(params={"uri": uri})
    assert sum("acknowledged" in line for line in bridge.lines) == 1
