"""Is one error the same error on every face: its code, its sentence and its cure?

Each case provokes an error as a caller would, and asks for it over JSON-RPC, in a batch, over MCP,
with the Python client and as the command line does.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestr8_index import Orchestrator, errors
from orchestr8_index.catalog.index import Index
from orchestr8_index.cli import asking
from orchestr8_index.config import Door, fixture_root
from orchestr8_index.daemon.http import request
from orchestr8_index.daemon.locate import Address
from orchestr8_index.errors import RequestError
from orchestr8_index.methods import METHODS
from orchestr8_index.serve.callers import Right
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.keys import KeyFile
from orchestr8_index.serve.shares import BURST_SECONDS, Buckets
from orchestr8_index.serve.state import State

from .processes import call, wait_for
from .serve.asking import ask, settings_of, state_of
from .serve.lines import served
from .serve.mcp.test_endpoint import META, MODERN, live

Told = tuple[int, str, str]
REPORT = {"task_id": "t", "task_description": "d", "agents_used": ["a"], "result": "success"}
ENTRY = {"kind": "agent", "plugin": "studio", "name": "nobody"}
TASK = {"task": "write notes"}


def told_of(error: dict[str, Any]) -> Told:
    return error["code"], error["message"], error.get("data", {}).get("cure", "")


# --- what a call is answered -------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A call by its short name that ends in `kind`. `change` brings the server to that."""

    kind: type[RequestError]
    short: str
    params: dict[str, Any] = field(default_factory=dict)
    change: Callable[[State], object] = lambda state: None
    right: Right = "admin"
    client_raises: bool = True


def lose_index(state: State) -> None:
    wait_for(lambda: state.refresh._building and state.refresh._building.done())
    state.refresh.index = None


CASES = {
    "a field too many": Case(errors.InvalidParams, "query_skills", {"context": "x", "limit": 99}),
    "nothing asked": Case(errors.InvalidParams, "get_context", client_raises=False),
    "not found": Case(errors.InvalidParams, "get_entry", ENTRY),
    "a key that may not": Case(
        errors.Forbidden, "report_outcome", REPORT, right="read", client_raises=False
    ),
    "no store": Case(errors.StoreUnavailable, "report_outcome", REPORT, client_raises=False),
    "no store to read": Case(
        errors.StoreUnavailable, "get_pattern", {"goal": "x"}, client_raises=False
    ),
    "starting": Case(errors.Starting, "get_context", TASK, lose_index, client_raises=False),
    "a defect": Case(errors.InternalError, "query_workflows", {"goal": "x"}, client_raises=False),
}


@pytest.fixture
def locked(tmp_path: Path, shipped_index: Index) -> State:
    """A server with keys and without a store."""
    door = Door(require_keys=True)
    return state_of(settings_of(tmp_path / "data", fixture_root(), door=door), shipped_index)


def over_rpc(where: Address, case: Case) -> Told:
    return told_of(call(where, _wire(case), case.params)["error"])


def in_a_batch(where: Address, case: Case) -> Told:
    sent = {"jsonrpc": "2.0", "id": 1, "method": _wire(case), "params": case.params}
    _, replies = request(where, "POST", "/", [sent])
    return told_of(replies[0]["error"])


def mcp(where: Address, method: str, **params: Any) -> dict[str, Any]:
    """The whole reply to one call of the protocol."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    named = {"Mcp-Method": method, **({"Mcp-Name": params["name"]} if params else {})}
    headers = {**MODERN, **named, "Authorization": f"Bearer {where.key}"}
    with closing(http.client.HTTPConnection(where.host, where.port, timeout=20)) as connection:
        connection.request("POST", "/mcp", msgspec.json.encode(body), headers)
        reply: dict[str, Any] = msgspec.json.decode(connection.getresponse().read())
    return reply


def over_mcp(where: Address, case: Case) -> Told:
    """The object for programs; the text for a model says the same."""
    reply = mcp(where, "tools/call", name=case.short, arguments=case.params)
    result = reply["result"]
    told = told_of(result["_meta"]["orchestr8/error"])
    assert result["isError"] and result["content"][0]["text"] == f"{told[1]} {told[2]}"
    return told


def by_the_command_line(where: Address, case: Case) -> str:
    with pytest.raises(RequestError) as raised:
        asking.RunningServer(where).ask(_wire(case), case.params)
    return str(raised.value)


def by_the_client(where: Address, case: Case, data_dir: Path) -> Told:
    with Orchestrator(where.url, api_key=where.key, data_dir=data_dir) as client:
        with pytest.raises(RequestError) as raised:
            getattr(client, case.short)(**case.params)
    return raised.value.code, raised.value.sentence, raised.value.cure


def _wire(case: Case) -> str:
    return next(method.name for method in METHODS.values() if method.short == case.short)


@pytest.mark.parametrize("name", CASES)
def test_an_error_is_the_same_on_every_face(
    locked: State, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("orchestr8_index.search.methods.answer_workflows")  # for the defect
    case = CASES[name]
    key = KeyFile(locked.settings.data_dir).add("caller", case.right)
    with served(locked) as port:
        case.change(locked)
        where = Address(port, key=key)
        told = over_rpc(where, case)
        assert told[0] == case.kind.code and told[1].endswith(".") and told[2]
        assert in_a_batch(where, case) == told
        assert over_mcp(where, case) == told
        assert by_the_command_line(where, case) == f"{told[1]} {told[2]}"
        if case.client_raises:
            assert by_the_client(where, case, tmp_path / "client") == told


@pytest.mark.parametrize("method", ["resources/list", "prompts/list"])
def test_an_error_beside_the_tools_is_the_same_too(locked: State, method: str) -> None:
    key = KeyFile(locked.settings.data_dir).add("caller", "read")
    with served(locked) as port:
        lose_index(locked)
        where = Address(port, key=key)
        told = told_of(call(where, "getContext", TASK)["error"])
        assert told_of(mcp(where, method)["error"]) == told


def test_a_method_that_does_not_exist(locked: State) -> None:
    key = KeyFile(locked.settings.data_dir).add("caller", "read")
    with served(locked) as port:
        where = Address(port, key=key)
        told = told_of(call(where, "nope", {})["error"])
        assert told[0] == errors.MethodNotFound.code and "querySkills" in told[2]
        with pytest.raises(RequestError, match=told[1]):
            asking.RunningServer(where).ask("nope", {})


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"id":1,"id":2}', b'{"id":1e999}'])
def test_what_is_no_json_is_so_over_mcp_too(locked: State, body: bytes) -> None:
    key = KeyFile(locked.settings.data_dir).add("caller", "read")
    headers = {**MODERN, "Authorization": f"Bearer {key}"}
    sent = partial(ask, make_web(locked), "POST", content=body, headers=headers)
    there = live(locked, lambda asking: asking.post("/mcp", content=body, headers=headers))
    assert (there.status_code, there.json()) == (400, sent("/").json())
    assert there.json()["error"]["code"] == errors.ParseError.code


# --- what the door says ------------------------------------------------------------------------

ROUTES = [("POST", path) for path in ("/", "/mcp", "/reindex", "/hooks/claude")]
ROUTES += [("GET", path) for path in ("/mcp", "/health", "/metrics", "/nowhere")]


def fill(state: State) -> None:
    state.gate.memory.shedding = True


def spend(state: State) -> None:
    state.gate.buckets.charge("caller", BURST_SECONDS)


DOOR: dict[str, tuple[type[RequestError], dict[str, str], Callable[[State], object] | None]] = {
    "no key": (errors.Unauthorized, {"Authorization": ""}, None),
    "a foreign host": (errors.Misdirected, {"Host": "evil.example"}, None),
    "a foreign page": (errors.ForeignOrigin, {"Origin": "http://evil.example"}, None),
    "a large body": (errors.BodyTooLarge, {"Content-Length": "9999999"}, None),
    "a packed body": (errors.EncodingRefused, {"Content-Encoding": "gzip"}, None),
    "another's session": (errors.ForeignSession, {"Mcp-Session-Id": "s-1"}, None),
    "too little memory": (errors.Overloaded, {}, fill),
    "too often": (errors.TooManyRequests, {}, spend),
}
CALM = {"/health", "/metrics"}


def refusals(state: State, name: str, headers: dict[str, str]) -> Iterator[tuple[int, Told]]:
    app, change = make_web(state), DOOR[name][2]
    for method, path in ROUTES:
        if change and path in CALM:
            continue  # who looks after the server is never turned away
        state.gate.guesses = Buckets(0)
        answer = ask(app, method, path, headers={**headers, **DOOR[name][1]})
        said = answer.json()
        assert (said["jsonrpc"], said["id"]) == ("2.0", None)
        yield answer.status_code, told_of(said["error"])


@pytest.mark.parametrize("name", DOOR)
def test_the_door_says_the_same_on_every_route(locked: State, name: str) -> None:
    key = KeyFile(locked.settings.data_dir).add("caller", "admin")
    kind, _, change = DOOR[name]
    locked.gate.buckets = Buckets(int(kind is errors.TooManyRequests), lambda: 0.0)
    if change:
        change(locked)
    told = set(refusals(locked, name, {"Authorization": f"Bearer {key}"}))
    assert len(told) == 1, told
    ((status, (code, sentence, cure)),) = told
    assert (status, code) == (kind.status, kind.code)
    assert cure.startswith(kind.cure.removesuffix("."))
    assert sentence.endswith(".")


@pytest.mark.parametrize(("method", "path"), [("PUT", "/"), ("PUT", "/mcp"), ("POST", "/health")])
def test_another_verb_is_an_error_of_the_family(state_app: Any, method: str, path: str) -> None:
    answer = ask(state_app, method, path)
    said = told_of(answer.json()["error"])
    assert answer.status_code == errors.VerbRefused.status
    assert said[:2] == (errors.VerbRefused.code, "This address does not take that verb.")
    assert "POST to /, /reindex" in said[2]


@pytest.fixture
def state_app(tmp_path: Path, shipped_index: Index) -> Any:
    return make_web(state_of(settings_of(tmp_path, fixture_root()), shipped_index))
