"""From JSON to a method's params, or to a sentence about every field that is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from .errors import InvalidParams

MOST_NAMED = 50  # unknown fields that an error names

UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""All that a decoder raises for bytes that are not what they should be."""

STRANGE = "unknown field; the fields are "
FOR_PROGRAMS = Meta(extra={"for": "programs"})
"""Marks a field that MCP neither offers to a model nor shows it."""
SHORT_NUMBER = Meta(extra={"digits": 2})
"""Marks a number that MCP rounds."""

SPELLINGS = ("task", "context", "goal", "task_description")
"""Names for the text of what is to be done; each method has one of them as a field."""

Limit = Annotated[int, Meta(ge=1, le=20, description="1-20 rows")]
Share = Annotated[float, Meta(ge=0, le=1)]
Text50 = Annotated[str, Meta(min_length=1, max_length=50)]
Text100 = Annotated[str, Meta(min_length=1, max_length=100)]
Text500 = Annotated[str, Meta(min_length=1, max_length=500)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Names = Annotated[list[Name], Meta(max_length=50)]


class Params(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The params of a method, to be subclassed with its fields.

    `TASK` is the field that says what is to be done, which may be spelt as any of SPELLINGS.
    """

    TASK: ClassVar[str] = ""

    def problems(self) -> dict[str, str]:
        """What is wrong with several fields together: field to reason."""
        return {}


AnyParams = TypeVar("AnyParams", bound=Params)


def is_struct(kind: Any) -> bool:
    """Whether a type of a field is a struct of msgspec."""
    return isinstance(kind, type) and issubclass(kind, Struct)


def read_params(kind: type[AnyParams], raw: bytes) -> AnyParams:
    """The params of a method from their JSON. Raises InvalidParams with every bad field by name."""
    try:
        params = _decoded(kind, raw)
    except msgspec.ValidationError as error:
        wrong = _problems(kind, raw) or {"params": describe_error(error)}
        raise InvalidParams(wrong) from None
    if problems := params.problems():
        raise InvalidParams(problems)
    return params


def _decoded(kind: type[AnyParams], raw: bytes) -> AnyParams:
    """Raises ValidationError, and InvalidParams for two SPELLINGS with different values."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        given = _given(raw)
        spelt = spellings_of(kind) & given.keys() if given else set()
        if not given or not spelt - {kind.TASK}:
            raise
    _refuse_different({name: given[name] for name in spelt})
    given[kind.TASK] = given[min(spelt)]
    for name in spelt - {kind.TASK}:
        del given[name]
    return msgspec.json.decode(msgspec.json.encode(given), type=kind)


def spellings_of(params: type[Params]) -> set[str]:
    """The names that the params' TASK field may have; none without such a field."""
    own = {field.name for field in msgspec.structs.fields(params)} - {params.TASK}
    return set(SPELLINGS) - own if params.TASK else set()


def _refuse_different(spelt: dict[str, msgspec.Raw]) -> None:
    values = {name: msgspec.json.decode(value) for name, value in spelt.items()}
    first, *others = values
    if wrong := [name for name in others if values[name] != values[first]]:
        why = f"differs from {first}, and both name what is to be done: give one"
        raise InvalidParams(dict.fromkeys(wrong, why))


def _given(raw: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return None


def _problems(params: type[Params], raw: bytes) -> dict[str, str]:
    given = _given(raw)
    if given is None:
        return {"params": "must be an object with named fields, not a list or a bare value"}
    fields = {field.name: field for field in msgspec.structs.fields(params)}
    spelt = next((name for name in sorted(spellings_of(params) & given.keys())), params.TASK)
    unknown = [name for name in given if name not in fields and name != spelt]
    known = ", ".join(spelt if name == params.TASK else name for name in fields) or "none"
    problems = {name[:100]: "unknown field" for name in unknown[:MOST_NAMED]}
    problems |= dict.fromkeys(list(problems)[:1], STRANGE + known)
    for name, field in fields.items():
        name = spelt if name == params.TASK else name
        if name in given:
            try:
                msgspec.json.decode(given[name], type=field.type)
            except msgspec.ValidationError as error:
                problems[name] = describe_error(error) + _allowed(field.type)
        elif field.required:
            problems[name] = "required"
    return problems


def _allowed(kind: object) -> str:
    """The values that a field may have, where they are few."""
    parts = [kind, *get_args(kind)]
    values = [v for part in parts if get_origin(part) is Literal for v in get_args(part)]
    return f" (one of {', '.join(values)})" if values else ""


_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_SIZES = {"str": "characters", "array": "items", "object": "members"}
_BOUNDS = {">=": "at least", "<=": "at most"}


def describe_error(error: Exception, whole: str = "") -> str:
    """The decoder's message for people: `query must be a text, not a whole number`.

    `whole` is the subject where no field is to blame: `it is not whole JSON`. Without a full stop.
    """
    if isinstance(error, RecursionError):
        return f"{whole} nests too deep".strip()
    message, _, path = str(error).partition(" - at `$")
    where = path.rstrip("`").lstrip(".").replace("[...]", "") or whole
    for pattern, words in _MESSAGES:
        if match := re.fullmatch(pattern, message, re.DOTALL):
            return f"{where} {words(match)}".strip()
    return f"{where}: {message}".removeprefix(": ")


def _name(types: str) -> str:
    """The types in words, without null: `int | null` is "a whole number"."""
    names = [name for name in types.split(" | ") if name != "null"] or ["null"]
    return " or ".join(_WORDS.get(name, name) for name in names)


def _size(match: re.Match[str]) -> str:
    kind, bound, count = match.groups()
    if (bound, count) == (">=", "1"):
        return "must not be empty"
    return f"must have {_BOUNDS[bound]} {count} {_SIZES.get(kind.split(' ')[0], 'items')}"


def _range(match: re.Match[str]) -> str:
    return f"must be {_BOUNDS[match[1]]} {match[2].removesuffix('.0')}"


_MESSAGES: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (r"Expected `(.+)`, got `(.+)`", lambda m: f"must be {_name(m[1])}, not {_name(m[2])}"),
    (r"Expected `(.+)` of length (>=|<=) (\d+)", _size),
    (r"Expected `.+` (>=|<=) (.+)", _range),
    (r".+ regex '.+0-9(.+)\].+", lambda m: f"may have A-Z, a-z, 0-9 and {' '.join(m[1])} only"),
    (r"Object missing required field `(.+)`", lambda m: f"lacks {m[1]}"),
    (r"Object contains unknown field `(.+)`", lambda m: f"has a field {m[1]}, which is unknown"),
    (r"Invalid enum value (.+)", lambda m: f"cannot be {m[1]}"),
    (r"Number out of range", lambda m: "holds a number that is out of range"),
    (r"JSON is malformed.*|Input data was truncated", lambda m: "is not whole JSON"),
]
