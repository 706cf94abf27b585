"""connect, disconnect: add the server to the hosts' configuration files, or remove it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from ..bridge.hook import DIALECTS
from ..config import Settings
from ..daemon.locate import Address
from ..daemon.pidfile import using
from ..daemon.supervise import pidfile, running_address
from ..environment import TO_CONNECT, current_folder, environment, home_folder
from ..errors import OperationError
from ..hosts import files
from ..hosts.files import FileChange
from ..hosts.hooks import HOOKS, HookFile
from ..hosts.known import HOSTS, NAME, Host
from ..private import make_folder
from .asking import located
from .options import common
from .paint import echo, echo_json, style

SECONDS = 30
PlannedChange = tuple[Host, Path, Callable[[], FileChange], HookFile | None]
COLOURS = {"+": "green", "-": "red", "@": "cyan"}
SAID = {
    "added": "Added to",
    "updated": "Updated in",
    "unchanged": "Is already in",
    "removed": "Removed from",
    "restored": "Restored to your own entry in",
    "absent": "Is not in",
    "own": "Left an entry that is not ours in",
    "shared": "Hooks stay for another connected host in",
}

OF_ANOTHER = (
    "This server was started in another project: a host that names no folder (by MCP's roots or "
    "the header X-Project) gets the agents of that one. For such a host put /p/NAME before /mcp in "
    "its entry (`orchestr8-index projects` lists the names), or connect it with --stdio."
)


class Planner(NamedTuple):
    """The changes of a host's files: of the file with its servers, and of that with its hooks."""

    servers: Callable[[Host, Path], FileChange]
    hooks: Callable[[HookFile, Path], FileChange] | None
    takes_out: bool = False

    def of(self, host: Host, scope: str, cwd: Path, home: Path) -> list[PlannedChange]:
        """The steps for a host, in reverse for removal, as both may change one file."""
        path = host.file(scope, cwd, home, environment())
        steps: list[PlannedChange] = [(host, path, partial(self.servers, host, path), None)]
        own = HOOKS.get(host.name)
        if own is not None and self.hooks is not None:
            place = own.file(scope, cwd, home)
            steps.append((host, place, partial(self.hooks, own, place), own))
        return steps[::-1] if self.takes_out else steps


def places(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments that choose hosts and their files."""
    for add in (
        click.argument("hosts", nargs=-1, type=click.Choice(list(HOSTS)), metavar="[HOST]…"),
        click.option("--project", "scope", flag_value="project", help="In this folder [default]."),
        click.option("--user", "scope", flag_value="user", help="For all your projects."),
        click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing."),
        click.option("--json", "as_json", is_flag=True, help="What was done, as JSON."),
    ):
        function = add(function)
    return function


@click.command()
@places
@click.option("--stdio", is_flag=True, help="As a command (`mcp`), which starts the server.")
@click.option("--face", type=click.Choice(TO_CONNECT), help="Other tools than /mcp's.")
@click.option("--no-hooks", is_flag=True, help="Leave the host's hooks as they are.")
@common
def connect(
    settings: Settings,
    hosts: tuple[str, ...],
    scope: str | None,
    dry_run: bool,
    as_json: bool,
    stdio: bool,
    face: str | None,
    no_hooks: bool,
) -> None:
    """Enter the server in a host: claude, codex, cursor, vscode, gemini, opencode, copilot,
    windsurf; or in all that are here.

    Cursor, Gemini CLI, Copilot CLI and VS Code get hooks, too, which report outcomes and suggest.
    What is there stays; the file as it was is kept in the data directory until it is given back.

    \b
    orchestr8-index connect --dry-run            which hosts are here, and what would change
    orchestr8-index connect claude               in this project's .mcp.json
    orchestr8-index connect codex --user         in ~/.codex/config.toml
    orchestr8-index connect cursor --stdio       as a command that starts the server itself
    orchestr8-index connect claude --face all    the tools to share with other agents, too
    """
    command = [*program(), "mcp", *_options(settings), *(["--face", face] if face else [])]
    address = "" if stdio else _address(settings, face)

    def plan(host: Host, path: Path) -> FileChange:
        entry = host.over_stdio(command) if stdio else host.over_http(address)
        return files.connected(host, path, entry)

    def plan_hooks(hooks: HookFile, path: Path) -> FileChange:
        return files.hooked(hooks, path, program(), _backups(settings), _place(settings))

    steps = Planner(plan, None if no_hooks or face else plan_hooks)
    _do(settings, hosts, scope or "project", dry_run, as_json, steps)


@click.command()
@places
@common
def disconnect(
    settings: Settings, hosts: tuple[str, ...], scope: str | None, dry_run: bool, as_json: bool
) -> None:
    """Take the server out of a host again, and nothing else.

    \b
    orchestr8-index disconnect                   out of all hosts of this project
    orchestr8-index disconnect codex --user
    """

    def plan(host: Host, path: Path) -> FileChange:
        port = (located(settings) or settings).port
        return files.disconnected(host, path, _backups(settings), port)

    def plan_hooks(hooks: HookFile, path: Path) -> FileChange:
        change = files.unhooked(hooks, path, program(), _backups(settings))
        places = (scope or "project", current_folder(), home_folder(), environment())
        readers = [host for name, host in HOSTS.items() if HOOKS.get(name) is hooks]
        stay = [host for host in readers if hosts and host.name not in hosts]
        actions = [plan(host, host.file(*places)).what for host in stay]
        is_shared = change.what == "removed" and {"removed", "restored"}.intersection(actions)
        return change._replace(after=change.before, what="shared") if is_shared else change

    steps = Planner(plan, plan_hooks, takes_out=True)
    _do(settings, hosts, scope or "project", dry_run, as_json, steps)


def _backups(settings: Settings) -> Path:
    return settings.data_dir / "hosts"


@click.command()
@click.argument("host", type=click.Choice(list(DIALECTS)))
@click.argument("event", required=False)
@click.option("--port", type=click.IntRange(0, 65535), help="The server's port [3700].")
@click.option("--data-dir", metavar="DIR", help="Where snapshots and logs lie.")
def hook(host: str, event: str | None, port: int | None, data_dir: str | None) -> None:
    """Pass one event of HOST's hooks (JSON on standard input) to the server, and its answer back.

    Outcomes of delegated tasks are reported, a prompt gets suggestions, edits are claimed. EVENT is
    for hosts that do not name it in the event (Copilot CLI). A server that is away disturbs nobody.

    \b
    orchestr8-index hook cursor
    orchestr8-index hook copilot postToolUse
    """
    raise click.UsageError("Give the host and, at most, its event.")  # others __main__ handles


def program() -> list[str]:
    """The command of this program, by absolute path, as a host's PATH may differ."""
    own = Path(sys.argv[0])
    if own.name == "orchestr8-index" and (found := shutil.which(str(own))):
        return [os.path.abspath(found)]
    beside = Path(sys.executable).with_name("orchestr8-index")
    return [str(beside)] if beside.exists() else [sys.executable, "-P", "-m", "orchestr8_index"]


def _options(settings: Settings) -> list[str]:
    """The explicit options, for the server that the host will start."""
    roots = settings.roots if settings.explicit_roots else ()
    return [*(part for root in roots for part in ("--root", root)), *_place(settings)]


def _place(settings: Settings) -> list[str]:
    """The explicit port and data directory, as options."""
    port = ["--port", str(settings.port)] if settings.explicit_port and settings.port else []
    data = ["--data-dir", os.path.abspath(settings.data_dir)] if settings.explicit_data_dir else []
    return [*port, *data]


def _address(settings: Settings, face: str | None) -> str:
    where, running = located(settings) or Address(settings.port), running_address(settings)
    if not where.port:
        sentence = "No server runs, so its port is not known."
        raise OperationError(sentence, "Start it with `orchestr8-index up`, or name a --port.")
    if running is None:
        echo("No server runs on this data directory: `orchestr8-index up`.", err=True)
    elif running.key:
        echo(
            "This server asks for a key: give the host the header `Authorization: Bearer KEY`, or "
            "connect it by command, which needs none.",
            err=True,
        )
    served, ours = pidfile(settings).owner() or {}, settings.project_key
    if not served.get("explicit") and served.get("project", ours) != ours:
        echo(OF_ANOTHER, err=True)
    return f"{where.url}/mcp/{face}" if face else f"{where.url}/mcp"


def _do(
    settings: Settings,
    names: tuple[str, ...],
    scope: str,
    dry_run: bool,
    as_json: bool,
    steps: Planner,
) -> None:
    """Change one file after the other; a failure for one does not stop the others."""
    cwd, home, rows, failed = current_folder(), home_folder(), list[dict[str, Any]](), False
    chosen = _chosen(names, cwd, home, steps.takes_out)
    every = (step for host in chosen for step in steps.of(host, scope, cwd, home))
    for host, path, plan, hooks in every:
        try:
            if scope == "project":
                files.check_within(path, cwd)
            change = plan()
            if hooks is not None and change.what == "absent":
                continue  # the row of the server's entry says so
            if not dry_run and change.before != change.after:
                _apply(host, change, scope, _backups(settings), hooks)
        except OperationError as error:
            failed = True
            rows.append({"host": host.name, "file": str(path), "error": str(error)})
            echo(f"Error: {host.title}: {error}", err=True)
            continue
        row = {"host": host.name, "file": str(path), "action": change.what, "dry_run": dry_run}
        rows.append({**row, "diff": change.diff(), "next": _next(host, change)})
        if not as_json:
            _show(host, change, dry_run)
    if as_json:
        echo_json(msgspec.json.encode(rows).decode())
    if failed:
        sys.exit(1)


def _chosen(names: tuple[str, ...], cwd: Path, home: Path, may_be_none: bool) -> list[Host]:
    chosen = [HOSTS[name] for name in dict.fromkeys(names)]
    chosen = chosen or [host for host in HOSTS.values() if host.is_here(cwd, home)]
    if not chosen and may_be_none:
        echo("No host was found here: there is nothing to take out.", err=True)
    elif not chosen:
        cure = f"Name one: {', '.join(HOSTS)}."
        raise OperationError("No host was found here, neither a program nor its files.", cure)
    return chosen


def _apply(
    host: Host, change: FileChange, scope: str, backups: Path, hooks: HookFile | None = None
) -> None:
    """Write the change; Claude Code's user file by its own command, as it often writes it."""
    with using(backups.parent):
        make_folder(backups.parent, backups.name)
    is_claudes = (host.name, scope) == ("claude", "user") and hooks is None
    tool = shutil.which(host.program) if is_claudes else None
    if tool is None:
        files.carry_out(change, private=scope == "user" or not host.project, backups=backups)
        return
    with files.keeping(host, change, backups):
        if change.what != "added":
            _run([tool, "mcp", "remove", "--scope", "user", NAME])
        if change.what != "removed" and change.after:
            from ..hosts import jsonc

            entry = msgspec.json.encode(jsonc.read(change.after)[host.group][NAME]).decode()
            _run([tool, "mcp", "add-json", "--scope", "user", NAME, entry])


def _run(command: list[str]) -> None:
    """Run a host's command, without its output. Raises OperationError."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise OperationError(f"`{' '.join(command[:3])}` failed: {error}.") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it gave no reason"]
        raise OperationError(f"`{' '.join(command[:3])}` failed: {lines[-1]}")


def _show(host: Host, change: FileChange, dry_run: bool) -> None:
    text = f"{SAID[change.what]} {change.path}."
    would = dry_run and change.before != change.after
    echo(f"{host.title}: {f'would be {text[0].lower()}{text[1:]}' if would else text}")
    for line in change.diff():
        echo(style(f"  {line}", fg=COLOURS.get(line[:1])))
    if change.what not in ("unchanged", "absent", "own", "shared") and not dry_run:
        echo(f"  {_next(host, change)}")


def _next(host: Host, change: FileChange) -> str:
    return f"It is gone when {host.title} starts again." if change.what == "removed" else host.then
