"""The OpenRPC document: every method, with params, result, errors and an example that is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.errors import RequestError
from orchestr8_index.methods import METHODS
from orchestr8_index.serve.calls import perform
from orchestr8_index.serve.state import State
from orchestr8_index.table import Method
from orchestr8_index.validate import read_params

from .asking import call
from .learners import Learner, learn

WITH_EXAMPLE = {name: method for name, method in METHODS.items() if method.example}


@pytest.fixture
def document(state: State) -> dict[str, Any]:
    result: dict[str, Any] = call(state, "rpc.discover")["result"]
    return result


def test_every_method_is_described_as_the_table_has_it(document: dict[str, Any]) -> None:
    described = {each["name"]: each for each in document["methods"]}
    assert list(described) == list(METHODS)
    for name, method in METHODS.items():
        fields = msgspec.structs.fields(method.params)
        assert {p["name"]: p["required"] for p in described[name]["params"]} == {
            field.name: field.required for field in fields
        }
        assert described[name]["summary"] == method.sentence


def test_required_params_come_first(document: dict[str, Any]) -> None:
    for method in document["methods"]:
        required = [param["required"] for param in method["params"]]
        assert required == sorted(required, reverse=True)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    named = re.findall(r'"#/components/(\w+)/(\w+)"', json.dumps(document))
    assert {kind for kind, _ in named} == {"schemas", "errors"}
    assert [name for kind, name in named if name not in document["components"][kind]] == []


def test_an_error_has_its_code_and_its_meaning(document: dict[str, Any]) -> None:
    kinds = {kind.__name__: kind for kind in RequestError.__subclasses__()}
    for name, error in document["components"]["errors"].items():
        assert (error["code"], error["message"]) == (kinds[name].code, kinds[name].means)


def test_whatever_takes_params_has_an_example() -> None:
    assert {n for n, m in METHODS.items() if m.params.__struct_fields__} <= set(WITH_EXAMPLE)


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_an_example_has_the_methods_types(name: str) -> None:
    method, example = METHODS[name], METHODS[name].example
    assert example and read_params(method.params, example.params.encode())
    assert msgspec.json.decode(example.result, type=method.result)


def test_the_examples_are_answered_as_they_say(tmp_path: Path, shipped_index: Index) -> None:
    """All of them in turn, on the fixture: the real answers have at least the example's fields."""
    first = ["cacheDecision"]  # the patterns of the others come from this report, made twice

    async def ask_all(learner: Learner) -> list[str]:
        await perform(learner.state, "cacheDecision", report("t-0"))
        return [
            name
            for name in sorted(WITH_EXAMPLE, key=lambda name: name not in first)
            if METHODS[name].face == "index"  # tests/coordinate has a shared state to ask
            and not fits(METHODS[name], await perform(learner.state, name, params(name)))
        ]

    assert learn(tmp_path, shipped_index, ask_all) == []


def params(name: str) -> bytes:
    example = WITH_EXAMPLE[name].example
    return example.params.encode() if example else b"{}"


def report(task: str) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(params("cacheDecision")), "task_id": task})


def fits(method: Method, result: bytes) -> bool:
    example = method.example
    assert example
    return within(json.loads(example.result), json.loads(result))


def within(example: Any, real: Any) -> bool:
    """Whether the real value has the example's fields and, in a list, as many items and more."""
    if isinstance(example, dict):
        return isinstance(real, dict) and all(
            name in real and within(value, real[name]) for name, value in example.items()
        )
    if isinstance(example, list):
        pairs = zip(example, real, strict=False)
        return len(real) >= len(example) and all(within(*pair) for pair in pairs)
    return example is None or type(example) is type(real)
