"""Puts one member into a JSON text, or removes it, without changing any other byte.

Comments and trailing commas are accepted, as some hosts allow them. For parsing they are replaced
by as many blanks, so that positions stay the same. A new member becomes the first of its object,
where no comment or comma can be in its way.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from ..errors import OperationError
from ..records import JsonObject
from ..roots import blanked, uncommented

_SPACE = " \t\r\n"


class Member(NamedTuple):
    key: str
    start: int
    value: int
    end: int


def read(text: str) -> JsonObject:
    """The object that the text holds; {} for an empty file. Raises OperationError with the line."""
    try:
        found = json.loads(blanked(text) or "{}")
    except json.JSONDecodeError as error:
        raise OperationError(f"line {error.lineno} is not JSON: {error.msg}", cure="") from None
    except (ValueError, RecursionError):
        raise OperationError("it is not JSON that can be read", cure="") from None
    if not isinstance(found, dict):
        raise OperationError("line 1 does not begin an object", cure="")
    return found


def held(text: str, group: str, name: str) -> Any:
    """The member `group.name`, or None. Raises OperationError if it is there twice."""
    mine = _find(text, group, name)
    return read(text)[group][name] if mine else None


def put(text: str, group: str, name: str, entry: Any) -> str:
    """The text with `group.name` set to `entry`. Raises OperationError."""
    if not isinstance(read(text).get(group, {}), dict):
        raise OperationError(f'"{group}" is not an object', cure="")
    if not blanked(text):
        return text + json.dumps({group: {name: entry}}, indent=2, ensure_ascii=False) + "\n"
    if old := _find(text, group, name):
        return text[: old.value] + _written(text, old.start, entry, 2) + text[old.end :]
    if servers := _find(text, group):
        return _with_first(text, servers.value, name, entry, 2)
    return _with_first(text, blanked(text).index("{"), group, {name: entry}, 1)


def take(text: str, group: str, name: str, *, keep_group: bool) -> str:
    """The text without `group.name`, and without a group that would be empty."""
    mine, servers = _find(text, group, name), _find(text, group)
    if mine is None or servers is None:
        return text
    if not keep_group and len(read(text)[group]) == 1:
        return _without(text, blanked(text).index("{"), servers)
    return _without(text, servers.value, mine)


def _members(text: str, start: int) -> list[Member]:
    """The members of the object that begins at `start`, if one does."""
    clean, decode, found = blanked(text), json.JSONDecoder().raw_decode, list[Member]()
    if clean[start : start + 1] != "{":
        return []
    at = _skip(clean, start + 1)
    while clean[at] != "}":
        key, end = decode(clean, at)
        value = _skip(clean, _skip(clean, end) + 1)
        found.append(Member(key, at, value, decode(clean, value)[1]))
        at = _skip(clean, found[-1].end)
        at = _skip(clean, at + 1) if clean[at] == "," else at
    return found


def _skip(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def _find(text: str, *path: str) -> Member | None:
    """Raises OperationError for a key that is there twice: hosts differ in which one counts."""
    read(text)
    at, found = blanked(text).find("{"), None
    for key in path:
        same = [each for each in _members(text, at) if each.key == key]
        if len(same) > 1:
            first, second = (text.count("\n", 0, each.start) + 1 for each in same[:2])
            sentence = f'"{key}" stands twice, on lines {first} and {second}: keep one'
            raise OperationError(sentence, cure="")
        if not same:
            return None
        found, at = same[0], same[0].value
    return found


def _with_first(text: str, start: int, key: str, value: Any, depth: int) -> str:
    at, comma = _skip(text, start + 1), "," if _members(text, start) else ""
    space = "" if text[start : start + 2] == "{}" else _space_before(text, at)
    new = f"{json.dumps(key)}: {_written(text, at, value, depth)}{comma}{space}"
    return text[:at] + new + text[at:]


def _without(text: str, start: int, mine: Member) -> str:
    """Also without its comma, and the space that `_with_first` put in."""
    members = _members(text, start)
    space, (_, first, _, end) = _space_before(text, mine.start), mine
    clean = uncommented(text)
    if clean[after := _skip(clean, end)] == ",":
        text = text[:after] + text[after + 1 :]
    elif mine != members[0]:
        comma = clean.index(",", members[members.index(mine) - 1].end)
        text, first, end = text[:comma] + text[comma + 1 :], first - 1, end - 1
    if text.startswith(space, end):
        return text[:first] + text[end + len(space) :]
    return text[:first].removesuffix(space) + text[end:]


def _space_before(text: str, at: int) -> str:
    """The space before a member: the line break with the indent, or else a blank."""
    line = re.search(r"\r?\n[ \t]*\Z", text[:at])
    return line[0] if line else " "


def _written(text: str, at: int, value: Any, depth: int) -> str:
    """Over several lines, indented like the text, if the member begins a line."""
    line = _space_before(text, at)
    if line == " ":
        return json.dumps(value, ensure_ascii=False)
    indent = line.strip("\r\n")
    step = indent[: len(indent) // depth] or "  "
    return json.dumps(value, indent=step, ensure_ascii=False).replace("\n", line)
