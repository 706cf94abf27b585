"""page: what is going on, in a browser."""

from __future__ import annotations

import sys
import webbrowser

import click

from ..config import Settings
from ..errors import OperationError
from .asking import health_of, located
from .options import common


@click.command()
@click.option("--print", "only", is_flag=True, help="Print the address, and open nothing.")
@common
def page(settings: Settings, only: bool) -> None:
    """Open the server's page in the browser: ask, and see what it knows, learns and does.

    \b
    orchestr8-index page
    orchestr8-index page --print
    """
    where = located(settings)
    if where is None or health_of(where) is None:
        raise OperationError("No server is running.", "Start it with `orchestr8-index up`.")
    click.echo(f"{where.url}/")
    if only or not sys.stdout.isatty():
        return
    if not webbrowser.open(f"{where.url}/"):
        click.echo("No browser could be opened here: open that address yourself.", err=True)
