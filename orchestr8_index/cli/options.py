"""Which server, which trees? The three options that every command takes, and what they come to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click
import msgspec

from ..config import Settings, read_settings


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --root, --port and --data-dir; the function gets `settings` instead."""

    @click.option(
        "--root", "roots", multiple=True, metavar="DIR", help="A tree to index; repeatable."
    )
    @click.option("--port", type=click.IntRange(0, 65535), help="The server's port [3700].")
    @click.option("--data-dir", metavar="DIR", help="Where snapshots and logs lie.")
    @functools.wraps(function)
    def command(
        *, roots: tuple[str, ...], port: int | None, data_dir: str | None, **rest: Any
    ) -> Any:
        return function(settings=read_settings(roots, port, data_dir), **rest)

    return command


def with_roots_of_server(settings: Settings) -> Settings:
    """Where no roots were named: those of the data directory's server, running or the last one."""
    from ..daemon.last import last_roots
    from ..daemon.supervise import pidfile

    if settings.explicit_roots:
        return settings
    owner = pidfile(settings).owner()
    roots, whose = (owner or {}).get("roots"), "the roots of the running server"
    if owner is None:
        roots, whose = last_roots(settings), "the roots of the last server"
    if not isinstance(roots, list) or not roots:
        return settings
    return msgspec.structs.replace(settings, roots=tuple(roots), roots_from=whose)


def readable(text: str) -> str:
    """A terminal may hand over bytes that are no UTF-8; they would find nothing anyway."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
