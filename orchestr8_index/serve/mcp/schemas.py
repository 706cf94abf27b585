"""JSON schemas of what a tool takes and returns, from structs, made small.

A host sends the schemas of the params with every request to its model: titles, definitions, limits
and defaults that say nothing are left out. What is left out is checked all the same.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from .results import is_for_programs, may_lack, model_view

Schema = dict[str, Any]
_WORDS = ("title", "description", "$defs")
TASK = "task"
_LIMITS = ("minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMaximum")
_LIST_LIMITS = ("minItems", "maxItems", "default")


def input_schema(params: type[Struct]) -> Schema:
    """The struct's fields but those for programs, the required ones first.

    What is to be done is `task` in every tool.
    """
    schema = _small(*_root(params), described=True)
    fields, required = schema["properties"], schema.get("required", [])
    optional = [
        field.name
        for field in msgspec.structs.fields(params)
        if field.name not in required and not is_for_programs(field.type)
    ]
    named = {getattr(params, "TASK", ""): TASK}
    schema["properties"] = {named.get(n, n): fields[n] for n in [*required, *optional]}
    if required:
        schema["required"] = [named.get(name, name) for name in required]
    return schema


def without_limits(schema: Schema) -> Schema:
    """Without what a model rarely breaks, and is told if it does: lengths, patterns, minima."""
    kept = {key: value for key, value in schema.items() if key not in _LIMITS}
    if "items" in kept:
        kept["items"] = without_limits(kept["items"])
    fields = kept.get("properties", {})
    named = {name: without_limits(field) for name, field in fields.items()}
    return {**kept, "properties": named} if named else kept


def output_schema(result: Any) -> Schema:
    """Of a method's result, as a model gets it.

    Nested structs say nothing about what must be there: they leave out what is empty.
    """
    schema = _optional_within(_small(*_root(model_view(result))))
    if may_lack(result):
        schema["properties"] = {"found": {"type": "boolean"}, **schema["properties"]}
        del schema["required"]
    return schema


def _root(struct: type[Struct]) -> tuple[Schema, dict[str, Schema]]:
    schema = msgspec.json.schema(struct)
    defs = schema.get("$defs", {})
    return _followed(schema, defs), defs


def _followed(schema: Schema, defs: dict[str, Schema]) -> Schema:
    ref = schema.get("$ref")
    return defs[ref.rsplit("/", 1)[1]] if ref else schema


def _small(schema: Schema, defs: dict[str, Schema], described: bool = False) -> Schema:
    """With the words about fields where they are `described`."""
    schema = _followed(_not_null(schema), defs)
    left_out = (*_WORDS, *_LIMITS) if described else _WORDS
    small = {key: value for key, value in schema.items() if key not in left_out}
    if all(isinstance(choice, str) for choice in small.get("enum", [None])):
        small = {"type": "string", **small}  # some hosts take no choice without its type
    if "properties" in small:
        small["properties"] = {
            name: _told(field, described) | _small(field, defs, described)
            for name, field in small["properties"].items()
        }
    if "items" in small:
        small["items"] = _item(_small(small["items"], defs))
        small = {key: value for key, value in small.items() if key not in _LIST_LIMITS}
    if isinstance(small.get("additionalProperties"), dict):
        small["additionalProperties"] = _item(_small(small["additionalProperties"], defs))
    return {key: value for key, value in small.items() if not _says_nothing(key, value)}


def _told(schema: Schema, described: bool) -> Schema:
    description = _not_null(schema).get("description")
    return {"description": description} if described and description else {}


def _not_null(schema: Schema) -> Schema:
    """`X | None` is X that may be left out."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    return choices[0] if len(choices) == 1 else schema


def _item(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in ("minLength", "maxLength")}


def _says_nothing(key: str, value: Any) -> bool:
    return (
        (key == "default" and not value)
        or (key == "required" and not value)
        or (key == "maximum" and value > 10**9)
        or (key, value) in (("minLength", 1), ("additionalProperties", False))
    )


def _optional_within(schema: Schema) -> Schema:
    required = {"required": schema["required"]} if "required" in schema else {}
    return {**_without_required(schema), **required}


def _without_required(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_required(item) for item in value]
    if not isinstance(value, dict):
        return value
    keep = {key: _without_required(item) for key, item in value.items()}
    if isinstance(keep.get("properties"), dict):
        keep.pop("required", None)
    return keep
