"""What does a skill's header say, as the protocol wants it? Every field, none mended.

Loads PyYAML, which the server needs for nothing else: import it when a skill is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import yaml

from ...catalog.frontmatter import Hostile, TextLoader, load_strict
from ...config import USUAL, ReadLimits
from .skill_files import Unfit

_TAG = "tag:yaml.org,2002:"
_HEADER = re.compile(r"---\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


class CoreLoader(TextLoader):
    """YAML 1.2's core schema, which is what JSON can say: `yes` and dates stay text."""


CoreLoader.yaml_implicit_resolvers = {}
for _kind, _pattern, _firsts in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    CoreLoader.add_implicit_resolver(_TAG + _kind, re.compile(f"^(?:{_pattern})$"), _firsts)


def _scalar(made: Callable[[str], Any]) -> Callable[[TextLoader, Any], Any]:
    return lambda loader, node: made(str(loader.construct_scalar(node)))


CoreLoader.add_constructor(f"{_TAG}int", _scalar(int))
CoreLoader.add_constructor(f"{_TAG}float", _scalar(float))
CoreLoader.add_constructor(f"{_TAG}bool", _scalar(lambda said: said.lower() == "true"))


def read_fields(data: bytes, limits: ReadLimits = USUAL) -> dict[str, Any]:
    """The header's fields, none mended: a host compares them with the file. Raises Unfit."""
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
        header = _HEADER.match(text)
        fields = load_strict(header[1], limits, CoreLoader) if header else None
        plain = msgspec.json.decode(msgspec.json.encode(fields))
    except (UnicodeDecodeError, yaml.YAMLError, Hostile, TypeError, ValueError, RecursionError):
        raise Unfit("The header is not strict YAML that JSON can say.") from None
    if not isinstance(plain, dict):
        raise Unfit("There is no header of fields.")
    for name in ("name", "description"):
        if not isinstance(plain.get(name), str) or not plain[name]:
            raise Unfit(f"The header has no {name}.")
    return plain
