"""The command line: `orchestr8-index COMMAND`, or `python -m orchestr8_index COMMAND`."""

from __future__ import annotations

import sys
import traceback

import click

from .. import __version__
from ..config import colour_wanted
from ..errors import OperationError, Orchestr8Error
from .ask import doctor, query, roles
from .server import down, reindex, serve, status, up

CRASHED = 70
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
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


for command in (serve, up, down, status, query, roles, doctor, reindex):
    cli.add_command(command)


def main() -> None:
    """Ends the process: 0 done, 1 failed, 2 wrong usage, 3 not running (status only)."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as wanted:
        sys.exit(wanted.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Orchestr8Error as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_status if isinstance(error, OperationError) else 1)
    except Exception:  # a defect: told apart from a failure, so that the watcher restarts
        traceback.print_exc()
        sys.exit(CRASHED)
