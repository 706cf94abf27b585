"""A gate for git: finds commands that would commit, stash or undo the edits of other agents.

Only the forms that are listed here are recognised; scripts, aliases and variables are not followed.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from .repository import is_pattern, matches, resolve_pathspec, tree_of
from .resources import is_below
from .shell import GitOptions, git_calls

_HARMLESS = {"--abort", "--continue", "--skip", "--quit", "--dry-run", "--help", "-h"}
_ALL = {"-A", "--all", "-u", "--update"}
_WHOLE = {"reset": {"--hard", "--merge", "--keep"}, "commit": {"-a", "--all"}}
_TAKES_STASH = ("pop", "apply", "drop", "clear", "branch")
_BY_PATH = ("add", "restore", "rm", "mv", "clean")
MOST_NAMED, MOST_PATHS = 8, 2000


class GitCall(Struct, frozen=True):
    """A git command that may do harm: git works in `folder`, the shell in `cwd`. `paths` are as it
    names them, None for the whole tree; `index`: it takes what is staged; `entry`: what it does
    with an entry of the stash, and which."""

    verb: str
    folder: str
    cwd: str
    paths: tuple[str, ...] | None = None
    index: bool = False
    entry: tuple[str, ...] = ()
    message: str = ""


class TreeEdits(Struct, frozen=True):
    """The uncommitted edits in a working tree: `theirs` are agents by path, `mine` are paths.

    `status` has git's two letters for each changed file, None where git did not answer in time.
    `foreign_stash`: the entry of the stash that is meant is not the caller's; `own_entry` is the
    newest of the caller's.
    """

    tree: str
    theirs: Mapping[str, str]
    mine: tuple[str, ...] = ()
    status: Mapping[str, str] | None = None
    foreign_stash: bool = False
    own_entry: str = ""


def harmful_calls(line: str, cwd: str) -> Iterator[GitCall]:
    """The commands in a line of shell that may do harm; `cd` is followed."""
    calls = git_calls(line, cwd)
    return filter(None, (_harmful(GitCall(verb, at, cwd), given) for verb, at, given in calls))


def _harmful(call: GitCall, options: GitOptions) -> GitCall | None:
    verb, plain = call.verb, options.plain
    paths = (*plain, *(options.named or ()))
    if options.have({"--pathspec-from-file"}) or len(paths) > MOST_PATHS:
        paths = (":/",)
    if options.have(_HARMLESS) or (verb in _BY_PATH and options.have({"-n"})):
        return None
    call = replace(call, message=options.value("-m", "--message"))
    if verb == "stash":
        return _stash(call, plain, options.named)
    if verb == "worktree" and options.have({"-f", "--force"}) and paths[:1] == ("remove",):
        return replace(call, folder=os.path.realpath(os.path.join(call.folder, paths[-1])))
    if verb in ("switch", "rebase", "pull") or options.have(_WHOLE.get(verb, ())):
        return call
    if verb == "commit":
        return replace(call, paths=paths or None, index=not paths)
    if verb == "checkout":
        by_path = options.named or (options.named is None and _is_path(call, paths))
        return replace(call, paths=tuple(options.named or plain)) if by_path else call
    takes = verb in _BY_PATH and (verb != "add" or paths or options.have(_ALL))
    return replace(call, paths=paths or None) if takes else None


def _stash(call: GitCall, plain: Sequence[str], named: Sequence[str] | None) -> GitCall | None:
    action = (*plain, "push")[0]
    if action in _TAKES_STASH:
        return replace(call, entry=tuple(plain))
    if action not in ("push", "save"):
        return None
    paths = (*plain["push" in plain[:1] :], *(named or ())) if action == "push" else ()
    return replace(call, paths=tuple(paths) or None)


def _is_path(call: GitCall, paths: Sequence[str]) -> bool:
    """Whether `git checkout WORD` means files rather than a branch, as git decides it."""
    last = os.path.join(call.folder, paths[-1]) if paths else ""
    return os.path.lexists(last) or any(sign in last for sign in "*?:")


def judge(call: GitCall, others: TreeEdits) -> str:
    """Why the command would harm others, and what to run instead; "" for a harmless one."""
    if call.entry and others.foreign_stash:
        foreign = "The stash is one for all worktrees, and that takes an entry that is not yours. "
        own = call.entry[0] in ("pop", "apply", "drop") and others.own_entry
        cure = "Leave it alone; `git stash list` shows whose entries stand there."
        return foreign + (f"Instead: `git stash {call.entry[0]} {own}`." if own else cure)
    hit = sorted(filter(_reach(call, others), others.theirs))
    if not hit:
        return ""
    names = ", ".join(sorted({others.theirs[path] for path in hit})[:MOST_NAMED])
    files = ", ".join(os.path.relpath(path, others.tree) for path in hit[:MOST_NAMED])
    return f"git {call.verb} would reach the work of {names} ({files}). {_instead(call, others)}"


def places(call: GitCall, tree: str) -> tuple[str, ...]:
    """The files and folders that the command names; the whole tree for patterns."""
    specs = [each for each in call.paths or () if not _is_excluded(each)]
    named = [resolve_pathspec(each, call.folder, tree) for each in specs]
    if any(is_pattern(each) or not is_below(each, tree) for each in named):
        return (tree,)
    return tuple(named) or (tree,)


def _is_excluded(spec: str) -> bool:
    return spec[:2] in (":!", ":^")


def _reach(call: GitCall, others: TreeEdits) -> Callable[[str], bool]:
    if call.index:
        status = others.status or {}
        return lambda path: status.get(path, " ")[0] not in " ?"
    if call.paths is None:
        return lambda path: True
    kinds: dict[bool, list[str]] = {True: [], False: []}
    for each in call.paths:
        kinds[_is_excluded(each)].append(resolve_pathspec(each, call.folder, others.tree))
    wanted, kept = kinds[False] or [others.tree], kinds[True]
    return lambda path: (
        any(matches(path, each) for each in wanted)
        and not any(matches(path, each) for each in kept)
    )


def _instead(call: GitCall, others: TreeEdits) -> str:
    """The command for the caller's own files alone, or one that leaves the tree as it is."""
    if call.verb in ("switch", "checkout", "rebase", "pull") and call.paths is None:
        return "Work on another branch in a tree of your own: `git worktree add ../NAME BRANCH`."
    meant = [*others.mine] if call.index else [*filter(_reach(call, others), others.mine)]
    new = [each for each in meant if (others.status or {}).get(each) == "??"]
    old = [each for each in meant if each not in new]
    mine = {"add": meant, "commit": meant, "stash": meant, "clean": new}.get(call.verb, old)
    if not mine or call.verb in ("mv", "worktree"):
        return "None of your own files that are known is meant: name those, and leave the others."
    here = tree_of(call.cwd) == others.tree
    start = os.path.realpath(call.cwd) if here else others.tree
    files = " ".join(_quoted(os.path.relpath(each, start)) for each in mine)
    git = "git" if here else f"git -C {shlex.quote(others.tree)}"
    message = shlex.quote("MESSAGE" if "$" in call.message else call.message or "MESSAGE")
    named = f"-m {message} " if call.message else ""
    own = {
        "add": f"{git} add {files}",
        "commit": f"{git} add {files} && " * bool(new) + f"{git} commit -m {message} -- {files}",
        "stash": f"{git} stash push {'-u ' * bool(new)}{named}-- {files}",
        "clean": f"{git} clean -f -- {files}",
        "reset": f"{git} checkout HEAD -- {files}",
    }
    return f"Instead: `{own.get(call.verb, f'{git} {call.verb} -- {files}')}`."


def _quoted(path: str) -> str:
    return shlex.quote(f"./{path}" if path[0] in "-:" else path)
