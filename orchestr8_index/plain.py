"""How does a person hear what the decoder found wrong? Its words become a sentence's."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

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


def plain(error: msgspec.DecodeError, whole: str = "") -> str:
    """Without a full stop: `query must be a text, not a whole number`.

    `whole` is the subject where no field is to blame: `it is not whole JSON`.
    """
    said, _, path = str(error).partition(" - at `$")
    where = path.rstrip("`").lstrip(".").replace("[...]", "") or whole
    for pattern, words in _SAYINGS:
        if match := pattern.fullmatch(said):
            return f"{where} {words(match)}".strip()
    return f"{where}: {said}".removeprefix(": ")


def _name(types: str) -> str:
    """`int | null` is a whole number: what may be left out need not be told of null."""
    names = [name for name in types.split(" | ") if name != "null"] or ["null"]
    return " or ".join(_WORDS.get(name, name) for name in names)


def _size(match: re.Match[str]) -> str:
    kind, bound, count = match.groups()
    if (bound, count) == (">=", "1"):
        return "must not be empty"
    return f"must have {_BOUNDS[bound]} {count} {_SIZES.get(kind.split(' ')[0], 'items')}"


def _range(match: re.Match[str]) -> str:
    return f"must be {_BOUNDS[match[1]]} {match[2].removesuffix('.0')}"


_PATTERNS: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (r"Expected `(.+)`, got `(.+)`", lambda m: f"must be {_name(m[1])}, not {_name(m[2])}"),
    (r"Expected `(.+)` of length (>=|<=) (\d+)", _size),
    (r"Expected `.+` (>=|<=) (.+)", _range),
    (r"Object missing required field `(.+)`", lambda m: f"lacks {m[1]}"),
    (r"Object contains unknown field `(.+)`", lambda m: f"has a field {m[1]}, which is unknown"),
    (r"Invalid enum value (.+)", lambda m: f"cannot be {m[1]}"),
    (r"Number out of range", lambda m: "holds a number that is out of range"),
    (r"JSON is malformed.*|Input data was truncated", lambda m: "is not whole JSON"),
]
_SAYINGS = [(re.compile(pattern, re.DOTALL), words) for pattern, words in _PATTERNS]
