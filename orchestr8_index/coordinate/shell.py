"""Parses a line of shell, without running it: which git commands does it run, and where?

Variables, functions and scripts are not expanded: git commands in them are not found.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from .resources import is_below

_SHELLS = ("sh", "bash", "zsh", "dash", "ksh", "fish")
_BEFORE = set(
    "sudo doas env command builtin exec time timeout nohup setsid nice ionice stdbuf chronic"
    " caffeinate busybox xargs coproc function if then elif else while until do ! {".split()
)
_HEREDOC = re.compile(r"(?<!<)<<-?[ \t]*['\"\\]?(\w{1,100})['\"]?")
_TOKEN = re.compile(
    r"""(?:[ \t\r]|\\\n)+ | \#[^\n]* | \d*[<>]&[\d-]+
    | (?P<redirect>(?:\d*|&)(?:>>|>\||<<<|<>|[<>]&?)) | (?P<operator>[\n;&|()`])
    | (?P<word>(?:[^\s'"\\;&|()<>`]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+)""",
    re.X | re.S,
)
_PIECE = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^'"\\]+)""", re.S)
_GLOBAL = ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--attr-source")
_SAME = {"stage": "add"}
_VALUED = {"commit": "mFCct", "stash": "m", "checkout": "bB", "restore": "s", "clean": "e"}
_LONG_VALUED = {"--message", "--file", "--author", "--date", "--source", "--exclude", "--orphan"}
_TREES = {"GIT_DIR": "--git-dir=", "GIT_WORK_TREE": "--work-tree="}
_TREE = re.compile(r"^(GIT_DIR|GIT_WORK_TREE)=(.*)", re.S)
DEEPEST, MOST_PARTS, LONGEST, MOST_READ = 4, 32, 10_000, 100_000
MOST_CALLS, LONGEST_FOLDER = 100, 1000  # the folders of each are looked up part by part
SimpleCommand = tuple[list[str], str]


class GitOptions(NamedTuple):
    """The arguments of a git command; `named` are the paths after `--`, None without one."""

    flags: dict[str, str]
    plain: list[str]
    named: list[str] | None

    def have(self, names: Collection[str]) -> bool:
        """Whether one of the flags is set; git also takes the beginning of a long one."""
        cut = tuple(flag for flag in self.flags if len(flag) > 3 and flag.startswith("--"))
        return any(name in self.flags or name.startswith(cut) for name in names)

    def value(self, *names: str) -> str:
        return next((self.flags[name] for name in names if name in self.flags), "")


def git_calls(text: str, cwd: str) -> Iterator[tuple[str, str, GitOptions]]:
    """The git commands in a line of shell: the verb, the folder without links, the options."""
    found = commands(text.replace("\0", ""), cwd)  # which no shell allows in a word
    calls = (each for each in found if os.path.basename(each[0][0]) == "git")
    for words, folder in islice(calls, MOST_CALLS):
        if len(folder) > LONGEST_FOLDER:
            continue
        words, named = words[1:], dict[str, str]()
        while words and words[0].startswith("-"):
            name, equals, value = words[0].partition("=")
            apart = name in _GLOBAL and not equals and len(words) > 1
            named[name] = words[1] if apart else value
            if name == "-C":
                folder = os.path.join(folder, named[name])
            words = words[2 if apart else 1 :]
        if words and "--help" not in named:
            verb, options = _SAME.get(words[0], words[0]), read_options(words[0], words[1:])
            for place in _reached(os.path.realpath(folder), named):
                yield verb, place, options


def _reached(folder: str, named: dict[str, str]) -> list[str]:
    """The folders in which git may work, given --work-tree or --git-dir."""
    own = named.get("--git-dir", "").rstrip("/")
    beside = os.path.dirname(own) if os.path.basename(own) == ".git" else ""
    given = (named.get("--work-tree", ""), beside)
    trees = {os.path.realpath(os.path.join(folder, each)) for each in given}
    return sorted({folder if is_below(folder, tree) else tree for tree in trees})


def read_options(verb: str, args: Sequence[str]) -> GitOptions:
    """Parse the arguments of a git command; `-am` is `-a` and `-m`."""
    options, rest, valued = GitOptions({}, [], None), iter(args), _VALUED.get(verb, "")
    for arg in rest:
        name, equals, value = arg.partition("=")
        if arg == "--":
            return options._replace(named=[one for each in rest for one in each_path(each)])
        if name.startswith("--"):
            options.flags[name] = next(rest, "") if name in _LONG_VALUED and not equals else value
        elif len(arg) > 1 and arg[0] == "-":
            for at, letter in enumerate(arg[1:], 2):
                options.flags[f"-{letter}"] = ""
                if letter in valued:
                    options.flags[f"-{letter}"] = arg[at:] or next(rest, "")
                    break
        else:
            options.plain.extend(each_path(arg))
    return options


def each_path(spec: str) -> Iterator[str]:
    """Brace expansion: `{a,b}.py` is two paths; a word with `$(…)` may be any path, so `*`."""
    is_short = spec.count("{") <= DEEPEST and spec.count(",") <= MOST_PARTS
    braces = re.search(r"\{([^{},]*,[^{}]*)\}", spec) if is_short else None
    if braces is None:
        yield "*" if spec.endswith("$") else spec
        return
    for part in braces[1].split(","):
        yield from each_path(f"{spec[: braces.start()]}{part}{spec[braces.end() :]}")


def commands(text: str, folder: str, depth: int = 0) -> Iterator[SimpleCommand]:
    """The words of each simple command, from its name on, and the folder that it runs in."""
    around, before, exported = list[str](), folder, list[str]()
    for words, inner in _simple_commands(_without_heredocs(text[:MOST_READ])[:LONGEST]):
        words = _unwrapped([*exported, *words])
        for each in (*inner, *_script(words)):
            if depth < DEEPEST:
                yield from commands(each, folder, depth + 1)
        if words == ["("]:
            around.append(folder)
        elif words == [")"]:
            folder = around.pop() if around else folder
        elif words and words[0] in ("cd", "pushd"):
            folder, before = _entered(words[1:], folder, before), folder
        elif words[:1] == ["export"]:
            exported += filter(_TREE.match, words)
        elif words:
            yield words, folder


def _without_heredocs(text: str) -> str:
    """Remove the bodies of heredocs, which are no commands."""
    at = 0
    for _ in range(MOST_PARTS):
        head = _HEREDOC.search(text, at)
        line = text.find("\n", head.end()) if head else -1
        if head is None or line < 0:
            break
        last = re.compile(rf"^[ \t]*{head[1]}$", re.M).search(text, line + 1)
        at = head.start() if last else head.end()
        if last:
            text = text[:at] + text[head.end() : line] + text[last.end() :]
    return text


def _simple_commands(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """The words between operators, with the texts of command substitutions in double quotes; a
    parenthesis is a command of its own. Nothing after a quote that never ends."""
    words, inner, skip, quoted = list[str](), list[str](), False, False
    for token in _TOKEN.finditer(text):
        kind, part = token.lastgroup, token[0]
        if kind == "operator":
            quoted ^= part == "`"
            yield [*words, *["$"] * (quoted and part == "`")], inner
            words, inner = [], []
            if part in "()":
                yield [part], []
        elif kind == "word" and not skip:
            words.append("".join(map(_plain, _PIECE.finditer(part))))
            texts = (piece[2] or "" for piece in _PIECE.finditer(part))
            inner += [found for each in texts for found in _inside(each)]
        skip = kind == "redirect" or (skip and kind is None)
    yield words, inner


def _inside(text: str) -> Iterator[str]:
    """The texts in `$(…)` and between backticks, up to the first without an end."""
    for begin, end in (("$(", ")"), ("`", "`")):
        plain = text.replace("\\`", "  ")
        at = plain.find(begin)
        while at >= 0 and (over := plain.find(end, at + len(begin))) >= 0:
            yield text[at + len(begin) : over]
            at = plain.find(begin, over + 1)


def _plain(piece: re.Match[str]) -> str:
    if piece[2] is not None:
        return re.sub(r'\\(["\\$`\n])', r"\1", piece[2])
    return piece[1] or piece[3] or piece[4] or ""


def _unwrapped(words: list[str]) -> list[str]:
    """The command without assignments and wrappers such as `sudo`; GIT_DIR becomes an option."""
    at, known = 0, [n for n, word in enumerate(words) if _is_known(word)]
    while at < len(words) and (words[at] in _BEFORE or re.match(r"\w+=", words[at])):
        after = bisect_right(known, at)
        jumps = words[at] in _BEFORE and after < len(known)
        at = known[after] if jumps else at + 1
    before, words = words[:at], words[at:]
    if not words or os.path.basename(words[0]) != "git":
        return words
    named = [_TREES[key] + value for each in before for key, value in _TREE.findall(each)]
    more = ["."] * ("xargs" in before)  # which may add any files
    return [words[0], *named, *words[1:], *more]


def _is_known(word: str) -> bool:
    return os.path.basename(word) in ("git", "cd", "pushd", "eval", *_SHELLS) or word in _BEFORE


def _script(words: list[str]) -> list[str]:
    """The text that `bash -c` or `eval` is given to run."""
    if words[:1] == ["eval"]:
        return [" ".join(words[1:])]
    if not words or os.path.basename(words[0]) not in _SHELLS:
        return []
    flags = [n for n, word in enumerate(words[:-1]) if re.fullmatch(r"-\w*c", word)]
    return [words[flags[0] + 1]] if flags else []


def _entered(args: list[str], folder: str, before: str) -> str:
    named = [each for each in args if each == "-" or not each.startswith("-")] or ["~"]
    if named[0] == "-":
        return before
    return os.path.normpath(os.path.join(folder, os.path.expanduser(named[0])))
