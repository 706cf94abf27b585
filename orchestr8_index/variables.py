"""Settings as fields of a struct: each is declared once, and read, checked, offered and documented
from that declaration.

`name: Annotated[type, Meta(description=…)] = default` is the variable MCP_NAME. `ge` and `le` bound
a number; `extra` may hold `one_of`, the words that are allowed, or `form`: "FILE", "FOLDER",
"NAME", "ADDRESS", "URL" (of one of `schemes`), "ORIGIN" or "KEY"; `prefix` is what stands in the
place of MCP_. In `Door` it is an option of the listening commands,
too: --name.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, get_args, get_origin

import msgspec

from .environment import number
from .errors import BadSetting

_SYNONYMS = {"warn": "warning"}
_SWITCH = ("true", "false")
_ORIGIN = re.compile(r"https?://[^/\s@?#]+")


class Variable(NamedTuple):
    """`kind` is int, bool, str, or tuple for a list; `low` and `high` are a number's bounds."""

    field: str
    kind: type
    default: Any
    description: str
    low: int = 0
    high: int = 0
    one_of: tuple[str, ...] = ()
    form: str = ""
    prefix: str = "MCP_"
    schemes: tuple[str, ...] = ("http", "https")

    @property
    def name(self) -> str:
        return f"{self.prefix}{self.field.upper()}"

    @property
    def option(self) -> str:
        """One of a list is named at a time: --allow-host for `allow_hosts`."""
        singular = self.field.removesuffix("s") if self.kind is tuple else self.field
        return f"--{singular.replace('_', '-')}"


@functools.cache
def variables(group: type[msgspec.Struct]) -> tuple[Variable, ...]:
    """The fields of a struct that have a description; the environment sets no others."""
    found = []
    for field in msgspec.structs.fields(group):
        kind, *metas = get_args(field.type) or (field.type,)
        meta = next((each for each in metas if isinstance(each, msgspec.Meta)), None)
        if meta is not None and meta.description:
            low, high, extra = int(meta.ge or 0), int(meta.le or 0), meta.extra or {}
            plain = int if meta.ge is not None else get_origin(kind) or kind
            said = meta.description
            found.append(Variable(field.name, plain, field.default, said, low, high, **extra))
    return tuple(found)


def read(
    group: type[msgspec.Struct],
    env: Mapping[str, str],
    given: Mapping[str, Any] | None = None,
    absolute: Callable[[str], str] = str,
) -> dict[str, Any]:
    """The values of the group's fields, where an argument in `given` or the environment has one.

    `absolute` makes a named path absolute. Raises BadSetting for a value that cannot be used.
    """
    found = {}
    for each in variables(group):
        from_environment = _value(each, env)
        value = (given or {}).get(each.field) or from_environment
        if each.kind is tuple:
            value = tuple(text for part in value or () if (text := part.strip().lower()))
        if each.form == "ORIGIN":
            value = tuple(_origin(each.name, text) for text in value)
        if each.form in ("FILE", "FOLDER") and value:
            value = absolute(value)
        if value not in (None, "", ()):
            found[each.field] = value
    return found


def _origin(name: str, text: str) -> str:
    """An origin as browsers write it, without the default port. Raises BadSetting."""
    if not _ORIGIN.fullmatch(text):
        sentence = f"{name}: {text} is no origin."
        raise BadSetting(sentence, "Give scheme, host and port, as http://localhost:5173.")
    return text.removesuffix(":80" if text.startswith("http:") else ":443")


def _value(variable: Variable, env: Mapping[str, str]) -> Any:
    name = variable.name
    if variable.kind is int:
        return number(env, name, variable.low, variable.high)
    text = env.get(name, "").strip()
    if not text.isprintable():
        raise BadSetting(f"{name}={text[:40]!a} has characters that cannot be used.", "Mend it.")
    if variable.kind is tuple:
        return text.split(",")
    schemes = variable.schemes
    if variable.form == "URL" and text and text.partition("://")[0] not in schemes:
        cure = f"Mend it, as {schemes[0]}://HOST:PORT."
        raise BadSetting(f"{name} is no address of {' or '.join(schemes)}.", cure)
    allowed = _SWITCH if variable.kind is bool else variable.one_of
    if not text or not allowed:
        return text or None
    text = _SYNONYMS.get(text.lower(), text.lower())
    if text not in allowed:
        raise BadSetting(f"{name}={text} is not one of {', '.join(allowed)}.", "Mend it.")
    return text == "true" if variable.kind is bool else text
