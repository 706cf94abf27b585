"""up, down, status, reindex, page: the server from the command line."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from .. import __version__
from ..config import Settings
from ..daemon import supervise
from ..daemon.locate import Address
from ..daemon.watcher import CHANGED
from ..environment import TO_CONNECT
from ..errors import BuildFailed, OperationError
from ..project import ROOTS
from . import show
from .asking import RunningServer, build_here, health_of, located, woken
from .options import common, emit, listening, with_roots_of_server
from .paint import echo
from .projects import learn_from, learns_from
from .serve import strangers

NOT_RUNNING = 3
SERVED_SECONDS = 120.0
REINDEX_SECONDS = 3600.0
TUNED = "tuned"  # the folder in which the command `tune`, now removed, kept its results


@click.command()
@learns_from
@listening
def up(settings: Settings, lenders: tuple[str, ...]) -> None:
    """Start the server in the background, and wait until it serves.

    \b
    orchestr8-index up
    orchestr8-index up --root ~/.claude --root ./plugins
    """
    strangers(settings)
    settings = with_roots_of_server(settings) if supervise.running_address(settings) else settings
    if supervise.running_address(settings) is None or _is_replaced(settings):
        _start(settings)
    else:
        _attach(settings)
    if lenders:
        learn_from(settings, lenders)


def _start(settings: Settings) -> None:
    echo(f"Starting over {show.roots(settings)} ({settings.roots_from}).", err=True)
    bar = show.Progress()
    try:
        health = supervise.start(settings, bar)
    except KeyboardInterrupt:
        echo("\nInterrupted: nothing was left running.", err=True)
        raise
    finally:
        bar.end()
    where = supervise.running_address(settings) or settings.port
    echo(f"Serving {show.counts(health['indexes'])} on {show.url(where)}.")
    if skipped := health["files"]["skipped"]:
        echo(f"Files left out: {skipped}; `orchestr8-index doctor` says why.", err=True)
    if not any(health["indexes"].values()):
        echo(
            "Nothing was found there: name a tree with --root; `doctor --all` lists what was seen.",
            err=True,
        )


def _is_replaced(settings: Settings) -> bool:
    """Stop a running server of another version or of changed files; whether there was one."""
    health = supervise.answering(settings)
    version = health.get("version", __version__)
    if version == __version__ and CHANGED not in health.get("reasons", ()):
        return False
    supervise.stop(settings)
    now = f"this is {__version__}" if version != __version__ else "its program was changed"
    echo(f"The server of version {version} was ended: {now}.", err=True)
    return True


def _attach(settings: Settings) -> None:
    """Use the server that runs on this data directory. Raises StartFailed if it does not answer."""
    if supervise.answering(settings)["status"] == "starting":
        supervise.wait_until_served(settings, show.Progress())
    where = supervise.running_address(settings)
    echo(f"Already running on {show.url(where or settings.port)}.{_served(settings, where)}")
    if settings.explicit_port and settings.port not in (0, where.port if where else settings.port):
        echo(f"For another one on {settings.port}, name a --data-dir of its own.", err=True)


def _served(settings: Settings, where: Address | None) -> str:
    """Make the server serve the project of this folder or of the explicit roots, too; gives a
    sentence with its name and counts, or ""."""
    if where is None:
        return ""
    if settings.explicit_roots:
        where = where._replace(project=ROOTS + os.pathsep.join(settings.roots))
    health = woken(where, SERVED_SECONDS)
    if health is None or "project" not in health:
        return ""
    return f" Here it serves the project {health['project']}: {show.counts(health['indexes'])}."


@click.command()
@click.option("--face", type=click.Choice(TO_CONNECT), help="Other tools than /mcp's.")
@click.option("--agent", metavar="NAME", help="What other agents call this one.")
@common
def mcp(settings: Settings, face: str | None, agent: str | None) -> None:
    """Speak MCP over stdin and stdout, for hosts that start a command: a bridge to the one server.

    The server is started if none runs, and goes on when the host ends; several hosts share it.

    \b
    orchestr8-index mcp                           as the command of an MCP server in a host
    orchestr8-index mcp --root ~/my-plugins       what to index if it has to be started
    orchestr8-index mcp --face coordinate --agent ada     the tools to share with other agents
    orchestr8-index connect                       enters the server in the hosts that are there
    """
    taken = "--root, --port, --data-dir, --face and --agent (a name of letters, digits, . _ @ / -)"
    raise click.UsageError(f"`mcp` comes first, and takes {taken}.")


@click.command()
@common
def down(settings: Settings) -> None:
    """Stop the server: SIGTERM, ten seconds, then SIGKILL.

    \b
    orchestr8-index down
    """
    port = supervise.running_port(settings)
    if settings.explicit_port and settings.port and port not in (None, settings.port):
        echo(f"Nothing of this data directory runs on {settings.port} (but on {port}).")
        return
    facts = {
        "nothing": "Nothing is running.",
        "stopped": "Stopped.",
        "killed": "It did not stop within ten seconds and was killed.",
    }
    echo(facts[supervise.stop(settings)])


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The server's own /health as JSON.")
@common
def status(settings: Settings, as_json: bool) -> None:
    """Show the server's state; exit status 3 when it is not running.

    \b
    orchestr8-index status
    orchestr8-index status --json
    """
    from ..client.spool import Spool

    if (folder := settings.data_dir / TUNED).is_dir():
        echo(f"{folder} is no longer read: `tune` is gone. Remove the folder.", err=True)
    where = located(settings)
    health = health_of(where) if where else None
    if where is None or health is None:
        echo('{"status":"not running"}' if as_json else "Not running.")
        sys.exit(NOT_RUNNING)
    owner = (
        (supervise.pidfile(settings).owner() or {})
        if where.port == supervise.running_port(settings)
        else {}
    )
    same_roots = health["roots_digest"] == settings.roots_digest  # else the first project's
    roots = settings.roots if same_roots else owner.get("roots")
    process = {"port": where.port, "pid": owner.get("pid"), "roots": roots}
    refused = Spool(settings.data_dir).count_refused()
    facts = {**health, **process, "refused_outcomes": refused}
    emit(facts, as_json, lambda: show.status(facts, where))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@common
def reindex(settings: Settings, as_json: bool) -> None:
    """Build a new index now: in the server if it runs, else for the next start.

    \b
    orchestr8-index reindex
    """
    settings = with_roots_of_server(settings)
    where = supervise.running_address(settings)
    if where is None:
        _build_here(settings, as_json)
        return
    if sys.stderr.isatty():
        echo("The server reads its trees anew …", err=True)
    answer = RunningServer(where, REINDEX_SECONDS).request("POST", "/reindex")
    if not isinstance(answer, dict) or not answer.get("success"):
        raise _refusal(answer)
    emit(answer, as_json, lambda: _indexed(answer))


def _refusal(answer: Any) -> OperationError:
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        return OperationError(error["message"], error.get("data", {}).get("cure", ""))
    return BuildFailed(answer["message"] if isinstance(answer, dict) else "No answer.", cure="")


def _build_here(settings: Settings, as_json: bool) -> None:
    manifest = build_here(settings, always=True).manifest
    message = f"No server runs; the next start over {show.roots(settings)} serves it."
    answer: dict[str, Any] = {"success": True, "message": message}
    answer |= {"generation": manifest.generation, "duration_ms": manifest.build_ms}
    answer |= {f"{kind}s": n for kind, n in manifest.counts.items()}
    emit(answer, as_json, lambda: f"{_indexed(answer)} {message}")


def _indexed(answer: dict[str, Any]) -> str:
    spent = answer["duration_ms"] / 1000
    return f"Generation {answer['generation']}: {show.counts(answer)}, in {spent:.1f} s."


@click.command()
@click.option("--print", "only", is_flag=True, help="Print the address, and open nothing.")
@common
def page(settings: Settings, only: bool) -> None:
    """Open the server's page in the browser: ask, and see what it knows, learns and does.

    \b
    orchestr8-index page
    orchestr8-index page --print
    """
    import webbrowser

    where = located(settings)
    if where is None or health_of(where) is None:
        raise OperationError("No server is running.", "Start it with `orchestr8-index up`.")
    click.echo(f"{where.url}/")
    if only or not sys.stdout.isatty():
        return
    if not webbrowser.open(f"{where.url}/"):
        click.echo("No browser could be opened here: open that address yourself.", err=True)
