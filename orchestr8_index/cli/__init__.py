"""The command line: `orchestr8-index COMMAND`, or `python -m orchestr8_index COMMAND`."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import click

from .. import __version__
from ..config import colour_wanted
from ..errors import InvalidParams, OperationError, Orchestr8Error
from .paint import complain, echo, writing

CRASHED = 70
INTERRUPTED = 130
COMMANDS = {
    **dict.fromkeys(("up", "down", "status", "reindex", "mcp"), "server"),
    "page": "server",
    **dict.fromkeys(("projects", "project"), "projects"),
    **dict.fromkeys(("query", "context", "entry", "roles", "doctor", "eval", "explain"), "ask"),
    **dict.fromkeys(("learned", "patterns", "replay", "verify", "export", "import"), "learnt"),
    **dict.fromkeys(("forget", "backup", "restore"), "learnt"),
    "learn": "history",
    **dict.fromkeys(("key", "audit", "usage"), "keys"),
    **dict.fromkeys(("connect", "disconnect", "hook"), "connect"),
    **dict.fromkeys(("who", "locks", "inbox", "break", "events"), "agents"),
    **dict.fromkeys(("config", "database", "servers"), "team"),
    **{
        "serve": "serve",
        "session": "shared",
        "shared": "shared",
        "claims": "claims",
        "call": "call",
        "logs": "logs",
    },
}
"""The module of each command. Only that of the command which runs is imported."""


class Commands(click.Group):
    """The commands, each imported when it runs. A closed pipe (`… | head`) is no failure."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in COMMANDS and name not in self.commands:
            module = importlib.import_module(f".{COMMANDS[name]}", __name__)
            commands = (each for each in vars(module).values() if isinstance(each, click.Command))
            for command in commands:
                if COMMANDS.get(command.name or "") == COMMANDS[name]:
                    self.add_command(command)
        return self.commands.get(name)

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"{error.message}{meant}", context) from None

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        with _closed_pipe():  # --help writes here
            return super().parse_args(context, args)

    def invoke(self, context: click.Context) -> Any:
        with _closed_pipe():
            return super().invoke(context)


@contextlib.contextmanager
def _closed_pipe() -> Iterator[None]:
    """Exit with status 0 on a BrokenPipeError, as if the reader had read all."""
    try:
        yield
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):  # so that flushing their buffers does not fail
            os.dup2(nowhere, stream.fileno())
        sys.exit(0)


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


def main() -> None:
    """Run a command and exit: 0 done, 1 failed, 2 wrong usage, 3 not running (`status` only), 70 an
    unexpected exception, 130 interrupted."""
    os.umask(0o077)  # only the owner may read what is written
    try:
        with writing():
            status = cli.main(standalone_mode=False)
        sys.exit(status)
    except click.ClickException as error:
        complain(error.show)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except Orchestr8Error as error:
        sentence = str(error).removeprefix("Invalid params: ")  # a user gave options, not params
        text = f"Error: {sentence.removesuffix(InvalidParams.cure).rstrip()}"
        complain(lambda: echo(text, err=True))
        sys.exit(error.exit_status if isinstance(error, OperationError) else 1)
    except PermissionError as error:  # a file or folder of another user, or not writable
        cure = "Fix that, or choose another with --data-dir or MCP_DATA_DIR."
        text = f"Error: {error.filename} cannot be used: {error.strerror}. {cure}"
        complain(lambda: echo(text, err=True))
        sys.exit(1)
    except Exception:  # a status of its own, at which the watcher restarts the server
        traceback.print_exc()
        sys.exit(CRASHED)
