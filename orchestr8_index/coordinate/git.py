"""A gate for git: finds commands of an agent that would commit or undo the work of other agents.

Only the forms known here are judged: scripts, aliases and variables are not looked into.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from .repository import is_meant, is_pattern, place_of, tree_of
from .resources import is_below
from .shell import GitOptions, git_calls

_HARMLESS = {"--abort", "--continue", "--skip", "--quit", "--dry-run", "--help", "-h"}
_ALL = {"-A", "--all", "-u", "--update"}
_WHOLE = {"reset": {"--hard", "--merge", "--keep"}, "commit": {"-a", "--all"}}
_TAKES_STASH = ("pop", "apply", "drop", "clear", "branch")
_BY_PATH = ("add", "restore", "rm", "mv", "clean")
MOST_NAMED, MOST_PATHS = 8, 2000


class Step(Struct, frozen=True):
    """A git command that may harm, in `folder`, asked for in `cwd`. `paths` are absolute, None for
    the whole working tree; `index`: what is staged; `entry`: what is taken from the stash."""

    verb: str
    folder: str
    cwd: str
    paths: tuple[str, ...] | None = None
    index: bool = False
    entry: tuple[str, ...] = ()
    message: str = ""


class Others(Struct, frozen=True):
    """Who changed what in a working tree: `theirs` is the agent by path; `mine` the caller's paths.

    `status` is what git says of each file that is not as committed, None where it does not in time;
    `foreign_stash`: the entry of the stash is not the caller's; `own_entry`: the one that is.
    """

    tree: str
    theirs: Mapping[str, str]
    mine: tuple[str, ...] = ()
    status: Mapping[str, str] | None = None
    foreign_stash: bool = False
    own_entry: str = ""


def read_steps(command: str, cwd: str) -> Iterator[Step]:
    """The commands of a line of shell that are known to be dangerous, `cd` followed."""
    calls = git_calls(command, cwd)
    return filter(None, (_dangerous(Step(verb, at, cwd), given) for verb, at, given in calls))


def _dangerous(step: Step, options: GitOptions) -> Step | None:
    verb, plain = step.verb, options.plain
    paths = (*plain, *(options.named or ()))
    if options.have({"--pathspec-from-file"}) or len(paths) > MOST_PATHS:
        paths = (":/",)
    if options.have(_HARMLESS) or (verb in _BY_PATH and options.have({"-n"})):
        return None
    step = replace(step, message=options.value("-m", "--message"))
    if verb == "stash":
        return _stash(step, plain, options.named)
    if verb == "worktree" and options.have({"-f", "--force"}) and paths[:1] == ("remove",):
        return replace(step, folder=os.path.realpath(os.path.join(step.folder, paths[-1])))
    if verb in ("switch", "rebase", "pull") or options.have(_WHOLE.get(verb, ())):
        return step
    if verb == "commit":
        return replace(step, paths=paths or None, index=not paths)
    if verb == "checkout":
        by_path = options.named or (options.named is None and _is_path(step, paths))
        return replace(step, paths=tuple(options.named or plain)) if by_path else step
    takes = verb in _BY_PATH and (verb != "add" or paths or options.have(_ALL))
    return replace(step, paths=paths or None) if takes else None


def _stash(step: Step, plain: Sequence[str], named: Sequence[str] | None) -> Step | None:
    known = (*plain, "push")[0]
    if known in _TAKES_STASH:
        return replace(step, entry=tuple(plain))
    if known not in ("push", "save"):
        return None
    paths = (*plain["push" in plain[:1] :], *(named or ())) if known == "push" else ()
    return replace(step, paths=tuple(paths) or None)


def _is_path(step: Step, paths: Sequence[str]) -> bool:
    """Whether `git checkout WORD` means files rather than a branch, as git decides it."""
    last = os.path.join(step.folder, paths[-1]) if paths else ""
    return os.path.lexists(last) or any(sign in last for sign in "*?:")


def judge(step: Step, others: Others) -> str:
    """Why the command would harm others, with one that harms nobody; "" where it would not."""
    if step.entry and others.foreign_stash:
        foreign = "The stash is one for all worktrees, and that takes an entry that is not yours. "
        own = step.entry[0] in ("pop", "apply", "drop") and others.own_entry
        cure = "Leave it alone; `git stash list` shows whose entries stand there."
        return foreign + (f"Instead: `git stash {step.entry[0]} {own}`." if own else cure)
    hit = sorted(filter(_reach(step, others), others.theirs))
    if not hit:
        return ""
    names = ", ".join(sorted({others.theirs[path] for path in hit})[:MOST_NAMED])
    files = ", ".join(os.path.relpath(path, others.tree) for path in hit[:MOST_NAMED])
    return f"git {step.verb} would reach the work of {names} ({files}). {_instead(step, others)}"


def places(step: Step, tree: str) -> tuple[str, ...]:
    """The files and folders of the tree that the step names; the tree itself for patterns."""
    named = [place_of(each, step.folder, tree) for each in step.paths or () if not _is_kept(each)]
    if any(is_pattern(each) or not is_below(each, tree) for each in named):
        return (tree,)
    return tuple(named) or (tree,)


def _is_kept(spec: str) -> bool:
    return spec[:2] in (":!", ":^")


def _reach(step: Step, others: Others) -> Callable[[str], bool]:
    if step.index:
        status = others.status or {}
        return lambda path: status.get(path, " ")[0] not in " ?"
    if step.paths is None:
        return lambda path: True
    kinds: dict[bool, list[str]] = {True: [], False: []}
    for each in step.paths:
        kinds[_is_kept(each)].append(place_of(each, step.folder, others.tree))
    wanted, kept = kinds[False] or [others.tree], kinds[True]
    return lambda path: (
        any(is_meant(path, each) for each in wanted)
        and not any(is_meant(path, each) for each in kept)
    )


def _instead(step: Step, others: Others) -> str:
    """The command for the caller's own files, or one that leaves the working tree alone."""
    if step.verb in ("switch", "checkout", "rebase", "pull") and step.paths is None:
        return "Work on another branch in a tree of your own: `git worktree add ../NAME BRANCH`."
    meant = [*others.mine] if step.index else [*filter(_reach(step, others), others.mine)]
    new = [each for each in meant if (others.status or {}).get(each) == "??"]
    old = [each for each in meant if each not in new]
    mine = {"add": meant, "commit": meant, "stash": meant, "clean": new}.get(step.verb, old)
    if not mine or step.verb in ("mv", "worktree"):
        return "None of your own files that are known is meant: name those, and leave the others."
    here = tree_of(step.cwd) == others.tree
    start = os.path.realpath(step.cwd) if here else others.tree
    files = " ".join(_shown(os.path.relpath(each, start)) for each in mine)
    git = "git" if here else f"git -C {shlex.quote(others.tree)}"
    message = shlex.quote("MESSAGE" if "$" in step.message else step.message or "MESSAGE")
    named = f"-m {message} " if step.message else ""
    own = {
        "add": f"{git} add {files}",
        "commit": f"{git} add {files} && " * bool(new) + f"{git} commit -m {message} -- {files}",
        "stash": f"{git} stash push {'-u ' * bool(new)}{named}-- {files}",
        "clean": f"{git} clean -f -- {files}",
        "reset": f"{git} checkout HEAD -- {files}",
    }
    return f"Instead: `{own.get(step.verb, f'{git} {step.verb} -- {files}')}`."


def _shown(path: str) -> str:
    return shlex.quote(f"./{path}" if path[0] in "-:" else path)
