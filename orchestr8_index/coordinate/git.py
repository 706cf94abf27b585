"""A gate for git: commands of an agent that would take or undo the work of others beside it.

Only the forms known here are judged: scripts, aliases and variables pass unseen.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from msgspec import Struct

from .resources import is_below

_BEFORE = ("sudo", "time", "command", "nohup", "env")
_WITH_VALUE = ("-C", "-c", "--git-dir", "--work-tree", "--namespace")
_HARMLESS = {"--abort", "--continue", "--skip", "--quit", "--dry-run"}
_TAKES_STASH = ("pop", "apply", "drop", "clear")
_RESETS = {"--hard", "--merge", "--keep"}
_ALL = {"-A", "--all", "-u", "--update", ":/"}
MOST_NAMED = 8


class Step(Struct, frozen=True):
    """A git command that may harm: `paths` are absolute, None for the whole working tree."""

    verb: str
    args: tuple[str, ...]
    folder: str
    paths: tuple[str, ...] | None = None


class Others(Struct, frozen=True):
    """What agents have in a working tree: `theirs` is who by path; `mine` are the caller's paths.

    `foreign_stash` says that the repository has a stash entry which is not the caller's.
    """

    tree: str
    theirs: dict[str, str]
    mine: tuple[str, ...] = ()
    foreign_stash: bool = False


def refuse(command: str, folder: str, others: Others) -> str:
    """Why the command would harm others, with one that harms nobody; "" where it would not."""
    for step in read_steps(command, folder):
        if is_below(step.folder, others.tree) and (why := _judge(step, others)):
            return why
    return ""


def read_steps(command: str, folder: str) -> Iterator[Step]:
    """The commands of a line of shell that are known to be dangerous, `cd` followed."""
    for words in _simple_commands(command):
        while words and (words[0] in _BEFORE or "=" in words[0].partition("/")[0]):
            words = words[1:]
        if words[:1] == ["cd"] and len(words) == 2:
            folder = os.path.normpath(os.path.join(folder, words[1]))
        elif words and os.path.basename(words[0]) == "git" and (step := _read(words[1:], folder)):
            yield step


def _simple_commands(command: str) -> Iterator[list[str]]:
    """What stands between the operators of the shell; nothing after a quote that never ends."""
    text = command.partition("<<")[0].replace("\n", " ; ")
    reader = shlex.shlex(text, posix=True, punctuation_chars=True)
    reader.whitespace_split, reader.commenters = True, ""
    words: list[str] = []
    try:
        for word in reader:
            if set(word) <= set(";&|()<>"):
                yield words
                words = []
            else:
                words.append(word)
    except ValueError:
        return
    yield words


def _read(words: list[str], folder: str) -> Step | None:
    while words and words[0].startswith("-"):
        if words[0] == "-C" and len(words) > 1:
            folder = os.path.normpath(os.path.join(folder, words[1]))
        words = words[2:] if words[0] in _WITH_VALUE else words[1:]
    if not words or _HARMLESS & set(words):
        return None
    verb, args = words[0], words[1:]
    plain = [each for each in args if not each.startswith("-")]
    named = args[args.index("--") + 1 :] if "--" in args else plain
    return _dangerous(verb, args, plain, named, folder)


def _dangerous(
    verb: str, args: list[str], plain: list[str], named: list[str], folder: str
) -> Step | None:
    whole = Step(verb, tuple(args), folder)
    paths = tuple(os.path.normpath(os.path.join(folder, each)) for each in named)
    parts = Step(verb, tuple(args), folder, paths)
    if verb == "stash":
        known = (plain or ["push"])[0] in ("push", "save", *_TAKES_STASH)
        return parts if "--" in args else whole if known else None
    if verb in ("switch", "rebase", "pull") or (verb == "reset" and _RESETS & set(args)):
        return whole
    if verb == "commit":
        return whole if any(each == "--all" or _bundles(each, "a") for each in args) else None
    if verb == "add":
        return whole if _ALL & set(args) and not plain else parts
    if verb == "clean":
        return None if any(_bundles(each, "n") for each in args) else parts if paths else whole
    if verb == "checkout":
        return parts if "--" in args or (paths and os.path.exists(paths[-1])) else whole
    return parts if verb == "restore" else None


def _bundles(arg: str, letter: str) -> bool:
    """Whether `-am` and the like have the letter before the option that takes a message."""
    return arg[:1] == "-" and arg[:2] != "--" and letter in arg.partition("m")[0]


def _judge(step: Step, others: Others) -> str:
    if step.verb == "stash" and set(step.args) & set(_TAKES_STASH):
        cure = "Leave the stash alone; `git stash list` shows whose entries stand there."
        foreign = "The stash is one for all worktrees, and has an entry that is not yours. "
        return foreign + cure if others.foreign_stash else ""
    hit = sorted(
        path
        for path in others.theirs
        if step.paths is None or any(is_below(path, each.rstrip("/")) for each in step.paths)
    )
    if not hit:
        return ""
    names = ", ".join(sorted({others.theirs[path] for path in hit})[:MOST_NAMED])
    files = ", ".join(os.path.relpath(path, others.tree) for path in hit[:MOST_NAMED])
    return f"git {step.verb} would reach the work of {names} ({files}). {_instead(step, others)}"


def _instead(step: Step, others: Others) -> str:
    """The command for the caller's own files, or one that leaves the working tree alone."""
    mine = " ".join(shlex.quote(os.path.relpath(each, step.folder)) for each in others.mine)
    if step.verb in ("switch", "checkout", "rebase", "pull") and step.paths is None:
        return "Work on another branch in a tree of your own: `git worktree add ../NAME BRANCH`."
    if not mine:
        return "You have changed nothing here that is known: name your own files."
    message = shlex.quote([*(e for e in step.args if not e.startswith("-")), "MESSAGE"][0])
    own = {
        "add": f"git add {mine}",
        "commit": f"git commit -m {message} -- {mine}",
        "stash": f"git stash push -- {mine}",
        "clean": f"git clean -f -- {mine}",
    }
    return f"Instead: `{own.get(step.verb, f'git checkout HEAD -- {mine}')}`."
