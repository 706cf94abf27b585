"""claims: the policy for edits of a file that another agent holds, and a pre-commit hook of git."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import click

from ..changeable import POLICIES, ClaimsPolicy
from ..config import Settings
from ..coordinate.resources import overlaps
from ..daemon.pidfile import using
from ..daemon.supervise import running_address
from ..environment import own_command
from ..errors import OperationError, Orchestr8Error
from ..hosts.files import replace_file
from .asking import sharing_server
from .options import of_server
from .paint import echo
from .show import local_time

MARK = "# Made by `orchestr8-index claims install`; `claims uninstall` takes it away."
END = "# The end of it."
ASIDE = "pre-commit.before-claims"
SHELL = re.compile(r"#!.*\b(?:ba|da|k|z)?sh\b.*\n")
MEANS = {
    "deny": "an edit of a file that another agent has is refused",
    "warn": "an edit of a file that another agent has goes on, and both are told",
    "off": "no file is claimed, and no git command is checked",
}


@click.group(invoke_without_command=True)
@of_server
def claims(settings: Settings) -> None:
    """Show or choose what happens to edits of a file that another agent has.

    \b
    orchestr8-index claims            the policy that holds
    orchestr8-index claims deny       for those who run many agents
    orchestr8-index claims install    a hook of git, for hosts without hooks of their own
    """
    if click.get_current_context().invoked_subcommand is None:
        word = ClaimsPolicy(settings.data_dir).read() or settings.claims
        echo(f"{word}: {MEANS[word]}.")


def _choice(word: str) -> click.Command:
    @of_server
    def choose(settings: Settings) -> None:
        with using(settings.data_dir):
            ClaimsPolicy(settings.data_dir).write(word)
        running = running_address(settings) is not None
        when = (
            "It holds at once; no restart is needed."
            if running
            else "It holds from the next start."
        )
        echo(f"{word}: {MEANS[word]}. {when}")

    return click.command(word, help=f"From now on {MEANS[word]}.")(choose)


for _word in POLICIES:
    claims.add_command(_choice(_word))


@claims.command()
@click.option("--repository", default=".", help="A working tree of it [the present folder].")
@of_server
def install(settings: Settings, repository: str) -> None:
    """Put a pre-commit hook of git beside what is there: a commit of paths that another live agent
    holds is refused. It serves all working trees of the repository.

    Agents name themselves by MCP_AGENT, so that what they hold is not refused to them. A server
    that is away refuses nothing.

    \b
    orchestr8-index claims install
    MCP_AGENT=coder git commit -m "my part"
    """
    hook = _hook_of(repository)
    text = _text_of(hook)
    if MARK in text:
        echo(f"{hook} is there already.")
        return
    head = SHELL.match(text)
    if head and os.access(hook, os.X_OK) and not hook.is_symlink():
        _write(hook, f"{head[0]}{_check(settings)}{text[head.end() :]}")
        echo(f"Installed in {hook}, before what is there.")
        return
    aside = hook.with_name(ASIDE)
    if os.path.lexists(hook):
        if os.path.lexists(aside):
            raise OperationError(f"{aside} is in the way.", "Move it, and install again.")
        os.rename(hook, aside)
    hook.parent.mkdir(parents=True, exist_ok=True)
    _write(hook, f"#!/bin/sh\n{_check(settings)}{RUN_ASIDE}")
    beside = f"; what was there is {ASIDE} now, and runs after it" if os.path.lexists(aside) else ""
    echo(f"Installed {hook}{beside}.")


@claims.command()
@click.option("--repository", default=".", help="A working tree of it [the present folder].")
@of_server
def uninstall(settings: Settings, repository: str) -> None:
    """Take that hook away, and put back what was there before.

    \b
    orchestr8-index claims uninstall
    """
    hook = _hook_of(repository)
    aside, text = hook.with_name(ASIDE), _text_of(hook)
    if MARK not in text:
        what = f"{hook} is not ours" if hook.exists() else f"There is no hook at {hook}"
        echo(f"{what}; nothing was changed.")
        return
    before, _, after = text.partition(MARK)
    after = after.partition(f"{END}\n")[2]
    if after not in ("", RUN_ASIDE):
        _write(hook, before + after)
        echo(f"Removed from {hook}; what was there stays.")
        return
    hook.unlink()
    if os.path.lexists(aside):
        os.rename(aside, hook)
    echo(f"Removed {hook}.")


@claims.command(hidden=True)
@click.option("--agent", default="")
@of_server
def check(settings: Settings, agent: str) -> None:
    """For the hook: print why the commit is refused; print nothing if it may go on."""
    try:
        rows = sharing_server(settings).ask("lockResources", {"action": "list"})["locks"]
        tree = os.path.realpath(_git("rev-parse", "--show-toplevel").strip())
        staged = _git("diff", "--cached", "--name-only", "--no-renames", "-z").split("\0")
    except (Orchestr8Error, OSError):
        return
    foreign = [row for row in rows if row["holder"] != agent]
    for name in filter(None, staged):
        path = os.path.join(tree, name)
        for row in foreign:
            if overlaps(path, row["resource"]):
                what = f', for "{row["purpose"]}"' if row["purpose"] else ""
                until = local_time(row["until"])
                echo(f"{name} is held by {row['holder']}{what}, until {until}.")
                echo("Commit your own files by name, or wait; --no-verify commits it anyway.")
                return


def _check(settings: Settings) -> str:
    command = shlex.join(own_command("claims", "check", "--data-dir", str(settings.data_dir)))
    return f"""{MARK}
# Claude Code's own hook has judged its commits already.
if [ -z "${{CLAUDECODE:-}}" ]; then
    told=$({command} --agent "${{MCP_AGENT:-}}" 2>/dev/null) || true
    if [ -n "$told" ]; then
        printf '%s\\n' "$told" >&2
        exit 1
    fi
fi
{END}
"""


RUN_ASIDE = f"""before=$(dirname "$0")/{ASIDE}
if [ -x "$before" ]; then exec "$before" "$@"; fi
"""


def _text_of(hook: Path) -> str:
    return hook.read_bytes().decode("utf-8", "surrogateescape") if hook.is_file() else ""


def _write(hook: Path, text: str) -> None:
    """Write atomically, as a half-written hook would refuse every commit."""
    mode = hook.stat().st_mode & 0o777 if hook.exists() else 0o755
    replace_file(hook, text.encode("utf-8", "surrogateescape"), mode)


def _hook_of(repository: str) -> Path:
    """The pre-commit hook in core.hooksPath, else in the folder that all working trees share."""
    folder = _git("-C", repository, "rev-parse", "--git-path", "hooks").rstrip("\n")
    return Path(os.path.abspath(os.path.join(repository, folder)), "pre-commit")


def _git(*args: str) -> str:
    """The output of a git command. Raises OperationError when it fails."""
    try:
        done = subprocess.run(["git", *args], capture_output=True, check=True)
    except FileNotFoundError:
        raise OperationError("There is no git on this machine.") from None
    except subprocess.CalledProcessError as error:
        message = error.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
        cure = "Name a working tree with --repository."
        raise OperationError(f"git says: {message}.", cure) from None
    return done.stdout.decode("utf-8", "surrogateescape")
