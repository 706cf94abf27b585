"""How is one member put into JSON, or taken out, so that every other byte stays?

Comments and trailing commas are read too: some hosts allow them. They are blanked out to the same
length for reading, so that a place in what was read is the place in the text.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from ..errors import OperationError

_STRING = r'"(?:\\.|[^"\\\n])*"'
_COMMENT = re.compile(rf"{_STRING}|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING = re.compile(rf"{_STRING}|,(?=\s*[}}\]])", re.DOTALL)
_SPACE = re.compile(r"\s*")
_DECODER = json.JSONDecoder()
Document = dict[str, Any]


class Member(NamedTuple):
    key: str
    start: int
    value: int
    end: int


def read(text: str) -> Document:
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
    """What stands as `group.name`, None for nothing. Raises OperationError for one of two."""
    found = read(text)
    if group not in found:
        return None
    inside = _member(text, _start(text), group)
    if not isinstance(found[group], dict) or name not in found[group]:
        return None
    _member(text, inside.value, name)
    return found[group][name]


def put(text: str, group: str, name: str, entry: Document) -> str:
    """The text with `group.name` set to `entry`."""
    found = read(text)
    if group in found and not isinstance(found[group], dict):
        raise OperationError(f'"{group}" is not an object', cure="")
    if not blanked(text):
        text += "{}\n"
    if group not in found:
        return _with_member(text, _start(text), group, {name: entry}, 1)
    inside = _member(text, _start(text), group)
    if name not in found[group]:
        return _with_member(text, inside.value, name, entry, 2)
    old = _member(text, inside.value, name)
    return text[: old.value] + _written(text, entry, 2) + text[old.end :]


def take(text: str, group: str, name: str, *, keep_group: bool) -> str:
    """The text without `group.name`; without the group too when it is empty then."""
    found = read(text)
    if held(text, group, name) is None:
        return text
    inside = _member(text, _start(text), group)
    text = _without(text, inside.value, name)
    if keep_group or len(found[group]) > 1:
        return text
    return _without(text, _start(text), group)


def blanked(text: str) -> str:
    """Strict JSON of the same length; "" when nothing is there."""
    for pattern in (_COMMENT, _TRAILING):
        text = pattern.sub(_blank, text)
    text = text.replace("\ufeff", " ", 1) if text.startswith("\ufeff") else text
    return text if text.strip() else ""


def _blank(match: re.Match[str]) -> str:
    found = match[0]
    return found if found.startswith('"') else re.sub(r"[^\r\n]", " ", found)


def _start(text: str) -> int:
    return blanked(text).index("{")


def _members(text: str, start: int) -> list[Member]:
    """Of the object that begins at `start`."""
    clean, found, at = blanked(text), [], start + 1
    while clean[at := _skip(clean, at)] != "}":
        if clean[at] == ",":
            at = _skip(clean, at + 1)
        key, end = _DECODER.raw_decode(clean, at)
        value = _skip(clean, _skip(clean, end) + 1)
        _, end = _DECODER.raw_decode(clean, value)
        found.append(Member(key, at, value, end))
        at = end
    return found


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _member(text: str, start: int, key: str) -> Member:
    """Raises OperationError where it stands twice: hosts disagree about which one counts."""
    found = [each for each in _members(text, start) if each.key == key]
    if len(found) > 1:
        first, second = (text.count("\n", 0, each.start) + 1 for each in found[:2])
        where = f"line {first}" if first == second else f"lines {first} and {second}"
        raise OperationError(f'"{key}" stands twice, on {where}: keep one', cure="")
    return found[0]


def _with_member(text: str, start: int, key: str, value: Document, depth: int) -> str:
    """After the last member and the comments behind it; followed by a comma if that one is."""
    members = _members(text, start)
    close = _DECODER.raw_decode(blanked(text), start)[1] - 1
    last = members[-1].end if members else start + 1
    trails = "," if members and "," in _outside_comments(text[last:close]) else ""
    comma = "," if members and not trails else ""
    new = f"{json.dumps(key)}: {_written(text, value, depth)}{trails}"
    edge = _edge(text, last, close)
    if "\n" not in text[edge:close] and (members or "\n" in text[start:close]):
        return text[:last] + comma + text[last:edge] + " " + new + text[edge:]
    line, step = _style(text)
    new = line + step * depth + new
    if "\n" not in text[start:close]:
        return text[:close] + new + line + step * (depth - 1) + text[close:]
    edge = _line_end(text, edge)
    return text[:last] + comma + text[last:edge] + new + text[edge:]


def _edge(text: str, last: int, close: int) -> int:
    """Behind the comma and the comments that follow the last member."""
    found = [match.end() for match in _COMMENT.finditer(text, last, close)]
    comma = _outside_comments(text[last:close]).find(",")
    return max([last, last + comma + 1, *found])


def _line_end(text: str, at: int) -> int:
    """Behind the blanks too, where nothing else stands on the line."""
    end = len(text) - len(text[at:].lstrip(" \t"))
    return end if text[end : end + 2].startswith(("\n", "\r\n")) else at


def _outside_comments(text: str) -> str:
    return _COMMENT.sub(_blank, text)


def _without(text: str, start: int, key: str) -> str:
    members, mine = _members(text, start), _member(text, start, key)
    at = members.index(mine)
    first, end = mine.start, mine.end
    after = _skip(_outside_comments(text), end)
    if text[after] == ",":
        text = text[:after] + text[after + 1 :]
    elif at:
        before = members[at - 1].end + _outside_comments(text[members[at - 1].end :]).index(",")
        text = text[:before] + text[before + 1 :]
        first, end = first - 1, end - 1
    text = _without_line(text, first, end)
    return text if len(members) > 1 else _closed_up(text, start)


def _without_line(text: str, first: int, end: int) -> str:
    """The span goes, and its line when nothing else stands there."""
    left = len(text[:first].rstrip(" \t"))
    if text[:left].endswith("\n") and text[end : end + 2].startswith(("\n", "\r\n")):
        left -= 2 if text[:left].endswith("\r\n") else 1
    return text[:left] + text[end:]


def _closed_up(text: str, start: int) -> str:
    """`{}` was opened over lines for the entry alone, and is `{}` again."""
    close = _DECODER.raw_decode(blanked(text), start)[1] - 1
    inside = text[start + 1 : close]
    if inside.count("\n") != 1 or inside.rstrip(" \t")[-1:] != "\n" or "//" in inside:
        return text
    kept = inside[: inside.index("\n")].removesuffix("\r")
    return text[: start + 1] + kept + text[close:]


def _style(text: str) -> tuple[str, str]:
    """The text's own line end and step of indentation."""
    line = "\r\n" if "\r\n" in text else "\n"
    step = re.search(r"^([ \t]+)\S", text[_start(text) :], re.MULTILINE)
    return line, step[1] if step else "  "


def _written(text: str, value: Document, depth: int) -> str:
    line, step = _style(text)
    written = json.dumps(value, indent=step, ensure_ascii=False)
    return written.replace("\n", line + step * depth)
