"""A method's result as a model gets it: without fields for programs and without what is empty.

`model_view` derives a struct from the result's type in the table: it reads the result, rounds the
numbers that are marked, and is the tool's output schema.
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

MOST_DEEP = 100


def slim(method: Method, result: bytes) -> Any:
    """The tool's result from the method's as JSON.

    Of a method that may have no result, it begins with `found`, which stands alone if false.
    """
    if method.face == "coordinate":
        return without_null(msgspec.json.decode(result))
    if result == b"null":
        return {"found": False}
    view = msgspec.json.decode(result, type=model_view(method.result))
    return {"found": True, **msgspec.to_builtins(view)} if may_lack(method.result) else view


def without_null(result: dict[str, Any]) -> dict[str, Any]:
    """What a row does not have, it does not say; a shared value that is null stays."""
    return {
        name: [_row(row) for row in rows] if isinstance(rows, list) else rows
        for name, rows in result.items()
    }


def _row(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    return {name: value for name, value in row.items() if value is not None or name == "value"}


def is_deep(value: Any) -> bool:
    """Whether lists and objects nest over MOST_DEEP deep in it."""
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
    """The struct for a result's type; None is left out."""
    (struct,) = (kind for kind in (*get_args(result), result) if _is_struct(kind))
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
    """Within a result a list or what may be None is left out when it is empty."""
    if field.default_factory is not msgspec.NODEFAULT:
        return (msgspec.field(default_factory=field.default_factory),)
    if field.default is not msgspec.NODEFAULT:
        return (field.default,)
    if within and get_origin(field.type) is list:
        return (msgspec.field(default_factory=list),)
    return (None,) if within and NoneType in get_args(field.type) else ()


def _view_of(kind: Any) -> Any:
    """The type with a view in the place of every struct."""
    if _is_struct(kind):
        return _view(kind, within=True)
    parts = [_view_of(part) for part in get_args(kind)]
    if get_origin(kind) is list:
        return list[parts[0]]  # type: ignore[valid-type]
    return reduce(or_, parts) if get_origin(kind) in (Union, UnionType) else kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def is_for_programs(kind: Any) -> bool:
    """Whether a field of this type is marked FOR_PROGRAMS."""
    return bool(_mark(kind, "for") == "programs")


def _mark(kind: Any, name: str) -> Any:
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, Meta) and meta.extra and name in meta.extra:
            return meta.extra[name]
    return next((found for part in get_args(kind) if (found := _mark(part, name))), None)
