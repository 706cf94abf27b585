"""The examples of section 7 of the JSON-RPC 2.0 specification, on a table of their methods.

Positional params are the one deviation: this server names its fields, and says so with -32602.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestr8_index.queries import NoParams
from orchestr8_index.serve import calls
from orchestr8_index.serve.rpc import Response
from orchestr8_index.serve.state import State
from orchestr8_index.table import Method
from orchestr8_index.validate import Params

from .asking import reply


class Difference(Params, frozen=True):
    minuend: int
    subtrahend: int


class Numbers(Params, frozen=True):
    numbers: list[int]


async def subtract(_: State, params: Difference) -> int:
    return params.minuend - params.subtrahend


async def add(_: State, params: Numbers) -> int:
    return sum(params.numbers)


async def nothing(_: State, params: Any) -> None:
    return None


async def data(_: State, params: NoParams) -> list[object]:
    return ["hello", 5]


TABLE = {
    method.name: method
    for method in (
        Method("subtract", "subtract", Difference, int, "Subtracts."),
        Method("sum", "sum", Numbers, int, "Adds."),
        Method("update", "update", Numbers, None, "Takes note."),
        Method("notify_hello", "notify_hello", Numbers, None, "Takes note."),
        Method("get_data", "get_data", NoParams, list[Any], "Gives data."),
    )
}
DONE = {
    "subtract": subtract,
    "sum": add,
    "update": nothing,
    "notify_hello": nothing,
    "get_data": data,
}


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "METHODS", TABLE)
    monkeypatch.setattr(calls, "HANDLERS", DONE)


def told(answer: Response) -> Any:
    """The decoded body; of an error, only its code."""
    decoded = msgspec.json.decode(answer.body)
    return (
        [code_only(each) for each in decoded] if isinstance(decoded, list) else code_only(decoded)
    )


def code_only(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "error": body["error"]["code"]} if "error" in body else body


def result(value: object, ident: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "result": value, "id": ident}


def error(code: int, ident: object = None) -> dict[str, object]:
    return {"jsonrpc": "2.0", "error": code, "id": ident}


@pytest.mark.parametrize(
    "params", ['{"subtrahend": 23, "minuend": 42}', '{"minuend": 42, "subtrahend": 23}']
)
def test_a_call_with_named_parameters(state: State, params: str) -> None:
    sent = f'{{"jsonrpc": "2.0", "method": "subtract", "params": {params}, "id": 3}}'
    assert told(reply(state, sent.encode())) == result(19, 3)


def test_a_call_with_positional_parameters_is_told_to_name_them(state: State) -> None:
    sent = b'{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}'
    assert told(reply(state, sent)) == error(-32602, 1)


@pytest.mark.parametrize("method", ["update", "foobar"])
def test_a_notification_gets_no_answer(state: State, method: str) -> None:
    answer = reply(state, {"jsonrpc": "2.0", "method": method, "params": {"numbers": [1, 2]}})
    assert (answer.status, answer.body) == (204, b"")


def test_a_method_that_does_not_exist(state: State) -> None:
    answer = reply(state, {"jsonrpc": "2.0", "method": "foobar", "id": "1"})
    assert (answer.status, told(answer)) == (404, error(-32601, "1"))


@pytest.mark.parametrize(
    "sent",
    [
        b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
        b'[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method"]',  # noqa: E501
    ],
)
def test_invalid_json(state: State, sent: bytes) -> None:
    answer = reply(state, sent)
    assert (answer.status, told(answer)) == (400, error(-32700))


def test_an_invalid_request_object(state: State) -> None:
    answer = reply(state, {"jsonrpc": "2.0", "method": 1, "params": "bar"})
    assert (answer.status, told(answer)) == (400, error(-32600))


def test_an_empty_batch(state: State) -> None:
    answer = reply(state, b"[]")
    assert (answer.status, told(answer)) == (400, error(-32600))


@pytest.mark.parametrize("batch", [[1], [1, 2, 3]])
def test_a_batch_of_invalid_calls_gets_an_error_for_each(state: State, batch: list[int]) -> None:
    answer = reply(state, batch)
    assert (answer.status, told(answer)) == (200, [error(-32600) for _ in batch])


def test_a_mixed_batch(state: State) -> None:
    batch = [
        {"jsonrpc": "2.0", "method": "sum", "params": {"numbers": [1, 2, 4]}, "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": {"numbers": [7]}},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"},
    ]
    assert told(reply(state, batch)) == [
        result(7, "1"),
        error(-32602, "2"),
        error(-32600),
        error(-32601, "5"),
        result(["hello", 5], "9"),
    ]


def test_a_batch_of_notifications_gets_no_answer(state: State) -> None:
    call = {"jsonrpc": "2.0", "method": "notify_hello", "params": {"numbers": [7]}}
    answer = reply(state, [call, call])
    assert (answer.status, answer.body) == (204, b"")
