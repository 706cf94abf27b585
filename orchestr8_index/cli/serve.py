"""serve: run the server; imports nothing of the commands that call one."""

from __future__ import annotations

import functools

import click

from ..config import Door, Settings
from .options import listening
from .paint import echo, style


@click.command()
@listening
def serve(settings: Settings) -> None:
    """Run the server in the foreground until Ctrl-C or SIGTERM.

    \b
    orchestr8-index serve --root ~/my-plugins --port 3701
    orchestr8-index serve --host 0.0.0.0 --allow-host tools.example --tls-cert C.pem --tls-key K.pem
    """
    from ..serve.memory import defer_unused

    defer_unused()
    from ..app import run_server

    strangers(settings)
    run_server(settings, functools.partial(_serving, settings.door))


def strangers(settings: Settings) -> None:
    """Warn of unknown environment variables that begin like ours."""
    for sentence in settings.strangers:
        echo(style(f"Warning: {sentence}", fg="yellow"), err=True)


def _serving(door: Door, port: int) -> None:
    scheme = "https" if door.tls_cert else "http"
    echo(f"Serving on {scheme}://{door.host}:{port}; Ctrl-C ends it.", err=True)
