"""How is one table put into TOML, or taken out, so that every other byte stays?

The table is appended as text, and what came out is read again: it must be the old content with, or
without, that one table, or nothing is changed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from ..errors import OperationError

Document = dict[str, Any]


def read(text: str) -> Document:
    """Raises OperationError with the line."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"at line (\d+)", str(error))
        where = f"line {line[1]}" if line else "the end"
        raise OperationError(f"{where} is not TOML: {error}", cure="") from None


def held(text: str, group: str, name: str) -> Any:
    """What stands as the table `[group.name]`; None for nothing."""
    found = read(text).get(group)
    return found.get(name) if isinstance(found, dict) else None


def put(text: str, group: str, name: str, entry: Document) -> str:
    """The text with the table `[group.name]` set to `entry`."""
    wanted = read(text)
    if not isinstance(wanted.setdefault(group, {}), dict):
        raise OperationError(f'"{group}" is not a table', cure="")
    bare = take(text, group, name, keep_group=True)
    wanted[group][name] = entry
    line = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not bare.strip() else line if bare.endswith("\n") else line * 2
    rows = [f"[{group}.{name}]", *(f"{key} = {_written(v)}" for key, v in entry.items())]
    try:
        return _proven(bare + gap + line.join([*rows, ""]), wanted, group)
    except OperationError:
        raise _foreign(text, group, name, "cannot be put in") from None


def take(text: str, group: str, name: str, *, keep_group: bool) -> str:
    """The text without the table `[group.name]` and those below it."""
    wanted = read(text)
    if name not in (wanted.get(group) or {}):
        return text
    del wanted[group][name]
    for candidate in _cuts(text, group, name):
        try:
            return _proven(candidate, wanted, group)
        except OperationError:
            continue
    raise _foreign(text, group, name, "cannot be taken out")


def _cuts(text: str, group: str, name: str) -> Iterator[str]:
    """Ways to cut it out: its lines, or all up to the next table. A string may look like it."""
    part = rf"""["']?{re.escape(name)}["']?"""
    head = re.compile(rf"^[ \t]*\[\s*{group}\s*\.\s*{part}\s*(\.[^\]]*)?\]")
    lines = text.splitlines(keepends=True)
    heads = {number for number, line in enumerate(lines) if head.match(line)}
    for chosen in (heads, *({number} for number in sorted(heads, reverse=True))):
        yield _cut(lines, chosen, wide=False)
        yield _cut(lines, chosen, wide=True)


def _cut(lines: list[str], heads: set[int], *, wide: bool) -> str:
    """The blank line that parted the last table from what stood before goes with it."""
    kept, inside = list[str](), False
    for number, line in enumerate(lines):
        if line.lstrip().startswith("["):
            inside = number in heads
        elif not wide and (not line.strip() or line.lstrip().startswith("#")):
            inside = False
        if not inside:
            kept.append(line)
    if inside and kept and not kept[-1].strip():
        kept.pop()
    return "".join(kept)


def _proven(text: str, wanted: Document, group: str) -> str:
    """Raises OperationError for what does not say what is wanted, or is no TOML any more."""
    if _seen(read(text), group) != _seen(wanted, group):
        raise OperationError(f'"{group}" does not hold what it should', cure="")
    return text


def _foreign(text: str, group: str, name: str, why: str) -> OperationError:
    """The error for servers that are no tables, with the line in the user's own file."""
    part = rf"""["']?{re.escape(group)}["']?"""
    own = rf"""^[ \t]*\[?\s*{part}\s*\.\s*["']?{re.escape(name)}["']?"""
    places = (re.search(own, text, re.M), re.search(rf"^[ \t]*{part}\s*[=.]", text, re.M))
    found = next((match for match in places if match), None)
    line = f"line {text.count(chr(10), 0, found.start()) + 1}: " if found else ""
    form = f"{line}{group} is written in a form where {name} {why}"
    return OperationError(f"{form}: write each server as a table [{group}.NAME]", "")


def _seen(document: Document, group: str) -> str:
    """For comparing: an empty group is as none, and a NaN is like another."""
    rest = {key: value for key, value in document.items() if key != group or value}
    return repr(sorted((key, _ordered(value)) for key, value in rest.items()))


def _ordered(value: Any) -> str:
    if isinstance(value, dict):
        return repr(sorted((key, _ordered(each)) for key, each in value.items()))
    return repr(value)


def _written(value: Any) -> str:
    """Strings and lists of them: TOML writes these as JSON does, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
