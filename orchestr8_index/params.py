"""Are these params right? From JSON to a method's struct, with every bad field by name."""

from __future__ import annotations

from typing import Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct

from .errors import InvalidParams

MOST_NAMED = 50  # unknown fields that an error names
Params = TypeVar("Params", bound=Struct)


def read_params(kind: type[Params], raw: bytes) -> Params:
    """Raises InvalidParams with every bad field by name, unknown ones too.

    A struct may have a method `problems`, for rules about several of its fields.
    """
    try:
        params = msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidParams(_problems(kind, raw) or {"params": _plain(error)}) from None
    check = getattr(params, "problems", None)
    if check is not None and (problems := check()):
        raise InvalidParams(problems)
    return params


def _problems(params: type[Struct], raw: bytes) -> dict[str, str]:
    said = msgspec.json.decode(raw)
    if not isinstance(said, dict):
        return {"params": "must be an object with named fields, not a list or a bare value"}
    fields = {field.name: field for field in msgspec.structs.fields(params)}
    strange = [name for name in said if name not in fields]
    problems = {name[:100]: "unknown field" for name in strange[:MOST_NAMED]}
    for name, field in fields.items():
        if name in said:
            try:
                msgspec.convert(said[name], field.type)
            except msgspec.ValidationError as error:
                problems[name] = _plain(error) + _allowed(field.type)
        elif field.required:
            problems[name] = "required"
    return problems


def _allowed(kind: object) -> str:
    """The values that a field may have, where they are few."""
    parts = [kind, *get_args(kind)]
    values = [v for part in parts if get_origin(part) is Literal for v in get_args(part)]
    return f" (one of {', '.join(values)})" if values else ""


def _plain(error: msgspec.ValidationError) -> str:
    from .plain import plain  # where nobody errs it is not needed

    return plain(error)
