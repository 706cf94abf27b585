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


def listening(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `common`, with the options of a server that others may reach."""

    @click.option("--host", help="Listen on this address [127.0.0.1]; elsewhere keys are needed.")
    @click.option(
        "--allow-host",
        "allow_hosts",
        multiple=True,
        metavar="NAME",
        help="Another name that callers use for this machine; repeatable.",
    )
    @click.option("--require-keys", is_flag=True, help="Ask for a key on loopback, too.")
    @click.option("--tls-cert", metavar="FILE", help="Speak TLS with this certificate (PEM).")
    @click.option("--tls-key", metavar="FILE", help="The certificate's key (PEM).")
    @click.option(
        "--root", "roots", multiple=True, metavar="DIR", help="A tree to index; repeatable."
    )
    @click.option("--port", type=click.IntRange(0, 65535), help="The server's port [3700].")
    @click.option("--data-dir", metavar="DIR", help="Where snapshots and logs lie.")
    @functools.wraps(function)
    def command(
        *, roots: tuple[str, ...], port: int | None, data_dir: str | None, **door: Any
    ) -> Any:
        return function(settings=read_settings(roots, port, data_dir, door=door))

    return command


def with_roots_of_server(settings: Settings) -> Settings:
    """Where no roots were named and a server runs on the data directory: the server's roots."""
    from ..daemon.supervise import pidfile

    owner = None if settings.explicit_roots else pidfile(settings).owner()
    roots = owner.get("roots") if owner else None
    if not isinstance(roots, list) or not roots:
        return settings
    return msgspec.structs.replace(
        settings, roots=tuple(roots), roots_from="the roots of the running server"
    )


def readable(text: str) -> str:
    """A terminal may hand over bytes that are no UTF-8; they would find nothing anyway."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
