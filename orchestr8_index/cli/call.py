"""call: any method of the table from the command line, with its result as JSON."""

from __future__ import annotations

import contextlib
from typing import Any

import click
import msgspec

from ..config import Settings
from ..errors import InvalidParams
from ..methods import METHODS, SHORT
from ..table import Method
from ..text import as_utf8
from ..validate import read_params
from .asking import server_of, source_of
from .options import common
from .paint import echo_json
from .shared import json_or_text

_NAMES = "\n".join(f"{method.short:16}{method.sentence}" for method in SHORT.values())


@click.command("call", epilog=f"\b\nMETHOD is one of these, or its name in JSON-RPC:\n{_NAMES}")
@click.argument("method")
@click.argument("params", nargs=-1, metavar="[NAME=VALUE]...")
@common
def call_method(settings: Settings, method: str, params: tuple[str, ...]) -> None:
    """Call METHOD and print its result as JSON. A list is given by naming it several times.

    \b
    orchestr8-index call get_entry kind=agent plugin=studio name=docs-writer
    orchestr8-index call query_skills context="write release notes" tags=writing tags=editing
    """
    called = SHORT.get(method) or METHODS.get(method)
    if called is None:
        raise click.UsageError(f"There is no method {method}. The methods are {', '.join(SHORT)}.")
    given = _params(called, params)
    if called.away == "keep" and server_of(settings) is None:
        result = _spooled(settings, called, given)
    else:
        result = source_of(settings).ask(called.name, given)
    echo_json(msgspec.json.encode(result).decode())


def _spooled(settings: Settings, called: Method, given: Any) -> Any:
    """Call a method by the Python client, which spools it on disk for the server."""
    from ..client.orchestrator import Orchestrator

    roots = settings.roots if settings.explicit_roots else ()
    port = settings.port if settings.explicit_port else None
    with Orchestrator(roots=roots, port=port, data_dir=settings.data_dir) as client:
        return getattr(client, called.short)(**msgspec.structs.asdict(given))


def _params(method: Method, arguments: tuple[str, ...]) -> Any:
    """The params of NAME=VALUE arguments. Raises UsageError."""
    texts: dict[str, list[str]] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            raise click.UsageError(f"{argument} is not of the form NAME=VALUE.")
        texts.setdefault(name, []).append(as_utf8(value))
    types = {field.name: field.type for field in msgspec.structs.fields(method.params)}
    values = {name: _value(types.get(name, str), given) for name, given in texts.items()}
    try:
        return read_params(method.params, msgspec.json.encode(values))
    except InvalidParams as error:
        raise click.UsageError(str(error)) from None


def _value(kind: Any, texts: list[str]) -> Any:
    """The value of a type in its texts: the one text, its JSON, or a list of the texts."""
    one = [texts[0], json_or_text(texts[0])] if len(texts) == 1 else []
    for candidate in (*one, texts):
        with contextlib.suppress(msgspec.ValidationError):
            return msgspec.to_builtins(msgspec.convert(candidate, kind, strict=False))
    return json_or_text(texts[0])
