"""What a model sees of a method: the JSON schemas of its params and result, and its result.

A host sends the schemas of the params with every request to its model, so titles, definitions,
limits and empty defaults are left out; the server checks them all the same. Results have neither
the fields for programs nor empty ones.
"""

from __future__ import annotations

from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo

from ...table import Method
from ...validate import is_struct

JsonSchema = dict[str, Any]
_USUAL = (("minLength", 1), ("additionalProperties", False))
_WORDS = ("title", "description", "$defs")
TASK = "task"
_LIMITS = ("minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMaximum")
MOST_DEEP = 100
_LIST_LIMITS = ("minItems", "maxItems", "default")


def input_schema(params: type[Struct]) -> JsonSchema:
    """The schema of a tool's arguments, the required ones first, without those for programs; the
    field that says what is to be done is called `task` in every tool."""
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


def without_limits(schema: JsonSchema) -> JsonSchema:
    """The schema without lengths, patterns and minima, which models rarely violate."""
    small = {key: value for key, value in schema.items() if key not in _LIMITS}
    if "items" in small:
        small["items"] = without_limits(small["items"])
    fields = small.get("properties", {})
    named = {name: without_limits(field) for name, field in fields.items()}
    return {**small, "properties": named} if named else small


def output_schema(result: Any) -> JsonSchema:
    """The schema of a method's result as a model gets it. Nested structs have no `required`, as
    their empty fields are left out."""
    schema: JsonSchema = _optional_within(_small(*_root(model_view(result))))
    if may_lack(result):
        schema["properties"] = {"found": {"type": "boolean"}, **schema["properties"]}
        del schema["required"]
    return schema


def _root(struct: type[Struct]) -> tuple[JsonSchema, dict[str, JsonSchema]]:
    schema = msgspec.json.schema(struct)
    defs = schema.get("$defs", {})
    return _followed(schema, defs), defs


def _followed(schema: JsonSchema, defs: dict[str, JsonSchema]) -> JsonSchema:
    ref = schema.get("$ref")
    return defs[ref.rsplit("/", 1)[1]] if ref else schema


def _small(schema: JsonSchema, defs: dict[str, JsonSchema], described: bool = False) -> JsonSchema:
    """A schema without what models do not need; `described` keeps the fields' descriptions."""
    schema = _followed(_not_null(schema), defs)
    left_out = (*_WORDS, *_LIMITS) if described else _WORDS
    small = {key: value for key, value in schema.items() if key not in left_out}
    if all(isinstance(choice, str) for choice in small.get("enum", [None])):
        small = {"type": "string", **small}  # some hosts take no choice without its type
    if "properties" in small:
        small["properties"] = {
            name: _description(field, described) | _small(field, defs, described)
            for name, field in small["properties"].items()
        }
    if "items" in small:
        small["items"] = _item(_small(small["items"], defs))
        small = {key: value for key, value in small.items() if key not in _LIST_LIMITS}
    if isinstance(small.get("additionalProperties"), dict):
        small["additionalProperties"] = _item(_small(small["additionalProperties"], defs))
    return {key: value for key, value in small.items() if not _says_nothing(key, value)}


def _description(schema: JsonSchema, described: bool) -> JsonSchema:
    description = _not_null(schema).get("description")
    return {"description": description} if described and description else {}


def _not_null(schema: JsonSchema) -> JsonSchema:
    """The schema of X for `X | None`, which a model may leave out."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    return choices[0] if len(choices) == 1 else schema


def _item(schema: JsonSchema) -> JsonSchema:
    return {key: value for key, value in schema.items() if key not in ("minLength", "maxLength")}


def _says_nothing(key: str, value: Any) -> bool:
    is_empty = key in ("default", "required") and not value
    is_far = key == "maximum" and value > 10**9
    return is_empty or is_far or (key, value) in _USUAL


def _optional_within(value: Any, is_root: bool = True) -> Any:
    if isinstance(value, list):
        return [_optional_within(item, False) for item in value]
    if not isinstance(value, dict):
        return value
    small = {key: _optional_within(item, False) for key, item in value.items()}
    if not is_root and isinstance(small.get("properties"), dict):
        small.pop("required", None)
    return small


def slim(method: Method, result: bytes) -> Any:
    """The tool's result from the method's, which is JSON. For a method that may answer null it has
    `found`, alone if that is false."""
    if method.face == "coordinate":
        return without_null(msgspec.json.decode(result))
    if result == b"null":
        return {"found": False}
    view = msgspec.json.decode(result, type=model_view(method.result))
    return {"found": True, **msgspec.to_builtins(view)} if may_lack(method.result) else view


def without_null(result: dict[str, Any]) -> dict[str, Any]:
    """The result without null fields in its rows, except a shared value that is null."""
    return {
        name: [_row(row) for row in rows] if isinstance(rows, list) else rows
        for name, rows in result.items()
    }


def _row(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    return {name: value for name, value in row.items() if value is not None or name == "value"}


def is_deep(value: Any) -> bool:
    """Whether lists and objects nest deeper than MOST_DEEP levels."""
    level = [value]
    for _ in range(MOST_DEEP):
        within = (each.values() if isinstance(each, dict) else each for each in level)
        level = [child for each in within for child in each if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def may_lack(result: Any) -> bool:
    """Whether a method with this result may answer `null`."""
    return NoneType in get_args(result)


def model_view(result: Any) -> type[Struct]:
    """The struct that a model gets for a result's type (of `X | None` that for X)."""
    (struct,) = (kind for kind in (*get_args(result), result) if is_struct(kind))
    return _view(struct, within=False)


@cache
def _view(struct: type[Struct], within: bool) -> type[Struct]:
    fields = [f for f in msgspec.structs.fields(struct) if not is_for_programs(f.type)]
    digits = {f.name: count for f in fields if (count := _mark(f.type, "digits"))}

    def round_numbers(self: Any) -> None:
        for name, count in digits.items():
            setattr(self, name, round(getattr(self, name), count))

    return msgspec.defstruct(
        struct.__name__,
        [(f.name, _view_of(f.type), *_default(f, within)) for f in fields],
        namespace={"__post_init__": round_numbers},
        omit_defaults=True,
        kw_only=True,
    )


def _default(field: FieldInfo, within: bool) -> tuple[Any, ...]:
    """A field's default; within a result, empty lists and None are defaults, so left out."""
    if field.default_factory is not msgspec.NODEFAULT:
        return (msgspec.field(default_factory=field.default_factory),)
    if field.default is not msgspec.NODEFAULT:
        return (field.default,)
    if within and get_origin(field.type) is list:
        return (msgspec.field(default_factory=list),)
    return (None,) if within and NoneType in get_args(field.type) else ()


def _view_of(kind: Any) -> Any:
    """The type with each struct in it replaced by its view."""
    if is_struct(kind):
        return _view(kind, within=True)
    parts = [_view_of(part) for part in get_args(kind)]
    if get_origin(kind) is list:
        return list[parts[0]]  # type: ignore[valid-type]
    return reduce(or_, parts) if get_origin(kind) in (Union, UnionType) else kind


def is_for_programs(kind: Any) -> bool:
    """Whether a field of this type is marked FOR_PROGRAMS."""
    return bool(_mark(kind, "for") == "programs")


def _mark(kind: Any, name: str) -> Any:
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, Meta) and meta.extra and name in meta.extra:
            return meta.extra[name]
    return next((found for part in get_args(kind) if (found := _mark(part, name))), None)
