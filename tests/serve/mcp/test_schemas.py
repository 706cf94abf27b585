"""Are the schemas small, and still true?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from orchestr8_index.queries import AgentQuery
from orchestr8_index.serve.mcp.schemas import input_schema, output_schema
from orchestr8_index.serve.mcp.tools import TOOLS


class Inner(Struct):
    """Described."""

    size: int


class Asked(Struct, kw_only=True):
    word: Annotated[str, Meta(min_length=1, max_length=9)]
    inner: Inner | None = None
    names: Annotated[list[Annotated[str, Meta(max_length=3)]], Meta(max_length=2)] = []
    way: Literal["up", "down"] = "up"


def words_of(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        return set(schema).union(*(words_of(value) for value in schema.values()), set())
    return set().union(*(words_of(item) for item in schema)) if isinstance(schema, list) else set()


def test_a_schema_stands_alone() -> None:
    schema = input_schema(Asked)
    assert schema["properties"]["inner"]["properties"] == {"size": {"type": "integer"}}
    assert not {"$ref", "$defs", "title", "anyOf", "description"} & words_of(schema)


def test_limits_of_lists_are_left_to_the_server() -> None:
    names = input_schema(Asked)["properties"]["names"]
    assert names == {"type": "array", "items": {"type": "string"}}


def test_a_choice_has_its_type() -> None:
    way = input_schema(Asked)["properties"]["way"]
    assert way == {"type": "string", "enum": ["down", "up"], "default": "up"}


def test_what_is_required_stands_first() -> None:
    assert next(iter(input_schema(Asked)["properties"])) == "word"


def test_only_the_outer_fields_of_a_result_must_be_there() -> None:
    schema = output_schema(Asked)
    assert schema["required"] == ["word"]
    assert "required" not in schema["properties"]["inner"]


@pytest.mark.parametrize("tool", TOOLS)
def test_every_input_schema_is_a_schema_of_an_object(tool: str) -> None:
    schema = input_schema(TOOLS[tool].params)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"


@given(
    st.fixed_dictionaries({}, optional={"limit": st.integers(-2, 30), "role": st.text(max_size=60)})
)
def test_what_the_server_takes_the_schema_takes(params: dict[str, Any]) -> None:
    try:
        msgspec.convert(params, AgentQuery)
    except msgspec.ValidationError:
        return
    jsonschema.validate(params, input_schema(AgentQuery))
