"""Puts one table into a TOML text, or removes it, without changing any other byte.

A new table is appended; one that is there is changed by tomlkit, which keeps comments. The result
is parsed again: if it differs from the old content by more than that table, an error is raised.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from os.path import commonprefix
from typing import Any

from ..errors import OperationError
from ..records import JsonObject

_COMMENTS = re.compile(r"(?:^[ \t]*#.*\n(?:\s*\n)?)+\Z", re.MULTILINE)  # at a table's end
BOM = "\ufeff"


def read(text: str) -> JsonObject:
    """The content, with numbers like 1.5 as text. Raises OperationError with the line."""
    try:
        return tomllib.loads(text.removeprefix(BOM), parse_float=str)  # so that a NaN equals itself
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"at line (\d+)", str(error))
        where = f"line {line[1]}" if line else "the end"
        raise OperationError(f"{where} is not TOML: {error}", cure="") from None


def held(text: str, group: str, name: str) -> Any:
    """The table `[group.name]`, or None."""
    inside = read(text).get(group)
    return inside.get(name) if isinstance(inside, dict) else None


def put(text: str, group: str, name: str, entry: JsonObject) -> str:
    """The text with the table `[group.name]` set to `entry`. Raises OperationError."""
    import tomlkit

    if not isinstance(read(text).get(group, {}), dict):
        raise OperationError(f'"{group}" is not a table', cure="")
    text = take(text, group, name, keep_group=True)
    wanted, end = read(text), _line_end(text)
    wanted.setdefault(group, {})[name] = entry
    gap = end * (1 if text.endswith("\n") else 2) if text.strip(BOM + " \t\r\n") else ""
    table = tomlkit.dumps({name: entry}).replace(f"[{name}]", f"[{group}.{name}]", 1)
    appended = text + gap + table.replace("\n", end)
    if _holds(appended, wanted, group):
        return appended
    return _changed(text, wanted, group, name, lambda servers: servers.update({name: entry}))


def take(text: str, group: str, name: str, *, keep_group: bool) -> str:
    """The text without the table `[group.name]` and those below it. Comments behind it stay; the
    blank line before it goes too, if it was the last one. Raises OperationError."""
    wanted, end, removed = read(text), _line_end(text), list[Any]()
    if name not in (wanted.get(group) or {}):
        return text
    del wanted[group][name]
    made = _changed(text, wanted, group, name, lambda servers: removed.append(servers.pop(name)))
    at = made.rfind("\n", 0, len(commonprefix([made, text]))) + 1
    comments = _COMMENTS.search(getattr(removed[0], "as_string", str)())
    made = made[:at] + (comments[0] if comments else "") + made[at:]
    is_last = made.endswith(end * 2) and not text.endswith(end * 2)
    return made.removesuffix(end) if is_last else made


def _changed(
    text: str, wanted: JsonObject, group: str, name: str, change: Callable[[Any], object]
) -> str:
    import tomlkit

    document = tomlkit.parse(text.removeprefix(BOM))
    change(document[group])
    made = BOM * text.startswith(BOM) + tomlkit.dumps(document)
    if _line_end(text) == "\r\n":
        made = re.sub(r"(?<!\r)\n", "\r\n", made)
    if not _holds(made, wanted, group):
        found = re.search(rf"""^[ \t]*\[?\s*["']?{re.escape(group)}["']?\s*[=.]""", text, re.M)
        line = f"line {text.count(chr(10), 0, found.start()) + 1}: " if found else ""
        form = f"{line}{group} is written in a form where {name} cannot be changed"
        raise OperationError(f"{form}: write each server as a table [{group}.NAME]", cure="")
    return made


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _holds(text: str, wanted: JsonObject, group: str) -> bool:
    """Whether the text has the wanted content; an empty group is the same as none."""
    try:
        return {group: {}, **read(text)} == {group: {}, **wanted}
    except OperationError:
        return False
