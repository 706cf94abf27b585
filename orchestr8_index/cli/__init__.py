"""The command line: `orchestr8-index COMMAND`, or `python -m orchestr8_index COMMAND`."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

import click

from .. import __version__
from ..config import colour_wanted
from ..errors import OperationError, Orchestr8Error
from .ask import doctor, evaluate, explain_place, query, roles
from .connect import connect, disconnect
from .keys import audit, key
from .learnt import (
    backup,
    export_decisions,
    forget,
    import_decisions,
    learned,
    patterns,
    replay,
    restore,
    verify,
)
from .logs import logs
from .read import read_context, read_entry
from .server import down, mcp, reindex, serve, status, up
from .service import service
from .top import top
from .tuning import tune

CRASHED = 70
INTERRUPTED = 130


class Commands(click.Group):
    """The commands, for which a reader that has seen enough (`… | head`) is no failure."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for stream in (sys.stdout, sys.stderr):  # what is still in their buffers goes there
                os.dup2(nowhere, stream.fileno())
            return None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="orchestr8-index")
@click.pass_context
def cli(context: click.Context) -> None:
    """Which agent, skill or command does this task? A local index that answers.

    \b
    orchestr8-index up --root ~/my-plugins       start in the background
    orchestr8-index query "review my SQL"        ask
    orchestr8-index doctor                       what was left out, and why
    """
    if not colour_wanted():
        context.color = False


ASKING = (query, read_context, read_entry, roles, doctor, reindex, evaluate, explain_place, tune)
RUNNING = (serve, up, down, status, logs, top, service, mcp)
LEARNT = (learned, patterns, replay, verify, export_decisions, import_decisions, forget)
CARE = (backup, restore, key, audit)
HOSTS = (connect, disconnect)
for command in (*RUNNING, *ASKING, *LEARNT, *CARE, *HOSTS):
    cli.add_command(command)


def main() -> None:
    """Ends the process: 0 done, 1 failed, 2 wrong usage, 3 not running (status only)."""
    os.umask(0o077)  # what is written is its owner's alone
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except Orchestr8Error as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_status if isinstance(error, OperationError) else 1)
    except Exception:  # a defect: told apart from a failure, so that the watcher restarts
        traceback.print_exc()
        sys.exit(CRASHED)
