"""The gate for git: what is refused beside others, and what harms nobody."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestr8_index.coordinate.git import TreeEdits, harmful_calls, judge, places
from orchestr8_index.coordinate.repository import changed_files, staged_files
from orchestr8_index.coordinate.resources import is_below
from orchestr8_index.coordinate.shell import MOST_CALLS
from orchestr8_index.team.project import first_commit

TREE = "/r"
BESIDE = TreeEdits(TREE, {"/r/src/b.py": "bob", "/r/docs/x y.md": "cyd"}, ("/r/src/a.py",))


def refuse(line: str, cwd: str, others: TreeEdits) -> str:
    """Why the first call that harms in the tree of `others` is refused."""
    calls = (call for call in harmful_calls(line, cwd) if is_below(call.folder, others.tree))
    return next(filter(None, (judge(call, others) for call in calls)), "")


@pytest.mark.parametrize(
    "command",
    [
        "git stash",
        "git stash push -m wip",
        "git stash -u",
        "git stash save x",
        "git reset --hard HEAD~1",
        "git clean -fd",
        "git switch main",
        "git checkout main",
        "git checkout -b new",
        "git rebase main",
        "git pull --rebase",
        "git checkout -- src/b.py",
        "git checkout HEAD -- .",
        "git restore src/",
        "git restore 'docs/x y.md'",
        "git add -A",
        "git add --all",
        "git add .",
        "git add src",
        "git commit -a -m x",
        "git commit -am 'all of it'",
        "cd src && git add .",
        "git -C /r add .",
        "make test; git stash",
        "GIT_PAGER=cat git -c a.b=c stash",
        "echo ok\ngit add -A",
        "(git stash)",
        "/usr/bin/git stash",
        "git stash push -- src/b.py",
        "git stash push src/b.py",
        "git stash -m pop",
        "git add -vA",
        "git add :/",
        "git add -u :/",
        "git add 'src/*.py'",
        "git add . ':!src/a.py'",
        "git --git-dir=/r/.git --work-tree=/r add -A",
        "cd /elsewhere && git -C /r stash",
        "GIT_WORK_TREE=/r git -C / add -A",
        "cd /elsewhere && env GIT_DIR=/r/.git GIT_WORK_TREE=/r git stash",
        "cd /elsewhere && git --git-dir /r/.git commit -am x",
        "export GIT_DIR=/r/.git; git -C / reset --hard",
        "git --git-dir=/elsewhere/.git checkout -f main",
        "git --work-tree=.. -C /r/src add -A",
        "cd /tmp && cd - && git stash",
        "(cd /elsewhere && ls); git stash",
        "git commit -m x src/b.py",
        "git commit -m x -- src",
        "git checkout main --",
        "git rm -r src",
        "git mv src/b.py src/c.py",
        "env -u X git stash",
        "timeout -s KILL 5 git stash",
        "git diff --name-only | xargs git add",
        "bash -lc 'git stash'",
        'eval "git stash"',
        'echo "$(git stash)"',
        "if true; then git stash; fi",
        "git stash 2>/dev/null >&2 # all",
        ">out git add -A",
        "git \\\n stash",
        "setsid git stash",
        "stdbuf -oL git add -A",
        "doas -u me git stash",
        "git stage -A",
        "git --attr-source HEAD stash",
        "cat <<'EOF' > x && git stash\nit's\nEOF",
        "git add src/{a,b}.py",
        "git add {src/{a,b},docs/c}.py",
        "git add $(git ls-files -m)",
        "git add `git ls-files -m`",
        "git commit -m x -- $(git ls-files -m)",
        "git add --pathspec-from-file=list",
        "git commit -m x --pathspec-from-file list",
        "git reset --har",
        "cd /elsewhere && git worktree remove --force ../r",
        "git worktree remove -f /r",
        "git add --al",
        "busybox sh -c 'git stash'",
        "fish -c 'git add .'",
        "git commit -m \"$(cat <<'EOF'\nit's done\nEOF\n)\" -a",
    ],
)
def test_what_reaches_the_work_of_others_is_refused(command: str) -> None:
    assert "bob" in refuse(command, TREE, BESIDE) or "cyd" in refuse(command, TREE, BESIDE)


@pytest.mark.parametrize(
    "command",
    [
        "git status",
        "git add src/a.py",
        "git add -A src/a.py",
        "git commit -m 'add -A to the docs'",
        "git commit -m x -- src/a.py",
        "git commit --amend -m x",
        "git stash list",
        "git stash show",
        "git stash --help",
        "git --help stash",
        "git pull -h",
        "git reset HEAD src/a.py",
        "git clean -n",
        "git clean -fdn",
        "git rebase --abort",
        "git checkout -- src/a.py",
        "git restore src/a.py",
        "git push",
        "git fetch",
        "git log --all",
        "echo git stash",
        "cd /elsewhere && git stash",
        "git -C /elsewhere reset --hard",
        "git stash 'unclosed",
        "git worktree remove /r",
        "git worktree remove --force ../elsewhere",
        "git worktree add -f ../x",
        "cat <<EOF\ngit stash\nEOF",
        "git stash push -- src/a.py",
        "git commit -m --all -- src/a.py",
        "git commit --dry-run -a",
        "git status # git stash",
        "echo 'a; git stash' \"b && git add -A\"",
        "(cd /elsewhere && git stash)",
        "git add . ':!src/b.py' ':!docs'",
        "git add src/{a,c}.py",
        "echo `git add src/a.py`",
        "git commit -m `date` -- src/a.py",
        "cat > x <<EOF\nit's\nEOF\ngit add src/a.py",
        "git commit -m \"$(cat <<'EOF'\nno git stash; git add -A\nEOF\n)\" -- src/a.py",
        "",
        "git",
    ],
)
def test_what_harms_nobody_passes(command: str) -> None:
    assert refuse(command, TREE, BESIDE) == ""


def test_nothing_is_refused_where_nobody_is_beside() -> None:
    alone = TreeEdits(TREE, {}, ("/r/src/a.py",))
    assert refuse("git stash; git add -A; git reset --hard", TREE, alone) == ""


@pytest.mark.parametrize(
    ("command", "instead"),
    [
        ("git add -A", "`git add src/a.py`"),
        ("git commit -am 'my work'", "`git commit -m 'my work' -- src/a.py`"),
        ("git commit -a -m done", "`git commit -m done -- src/a.py`"),
        ("git stash", "`git stash push -- src/a.py`"),
        ("git reset --hard", "`git checkout HEAD -- src/a.py`"),
        ("git switch main", "`git worktree add ../NAME BRANCH`"),
        ("cd src && git add .", "`git add src/a.py`"),
    ],
)
def test_a_stash_beside_others_is_refused_with_the_right_command(
    command: str, instead: str
) -> None:
    assert instead in refuse(command, TREE, BESIDE)


def test_what_others_have_staged_is_not_committed() -> None:
    staged = replace(BESIDE, status={"/r/src/b.py": "M ", "/r/src/a.py": "??"})
    refused = refuse("git commit -m 'my part'", TREE, staged)
    assert "of bob (src/b.py)" in refused
    assert "`git add src/a.py && git commit -m 'my part' -- src/a.py`" in refused
    assert refuse("git commit -m x -- src/a.py", TREE, staged) == ""
    assert refuse("git commit -m x", TREE, replace(staged, status={"/r/src/b.py": " M"})) == ""


def test_a_command_is_named_that_runs_where_the_agent_stands() -> None:
    assert "`git -C /r add src/a.py`" in refuse("git -C /r add -A", "/elsewhere", BESIDE)
    odd = replace(BESIDE, mine=("/r/-x.py", "/r/it's.py"))
    assert """`git add ./-x.py 'it'"'"'s.py'`""" in refuse("git add -A", TREE, odd)


def test_the_command_that_it_names_passes() -> None:
    for command in ("git add -A", "git commit -am x", "git stash", "git reset --hard"):
        instead = refuse(command, TREE, BESIDE).split("`")[1]
        assert refuse(instead, TREE, BESIDE) == ""


def test_a_file_is_told_from_a_branch(tmp_path: Path) -> None:
    (tmp_path / "b.py").touch()
    tree = str(tmp_path)
    beside = TreeEdits(tree, {f"{tree}/c.py": "cyd"})
    assert refuse("git checkout b.py", tree, beside) == ""
    assert "cyd" in refuse("git checkout b", tree, beside)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("git add a.py src/", ("/r/a.py", "/r/src")),
        ("cd src && git add ../b.py ':!x' ", ("/r/b.py",)),
        ("git commit -m x -- :/a.py", ("/r/a.py",)),
        ("git add 'src/*.py'", ("/r",)),
        ("git add . ", ("/r",)),
        ("git add ..", ("/r",)),
        ("git stash", ("/r",)),
    ],
)
def test_a_step_reaches_no_more_than_it_names(command: str, named: tuple[str, ...]) -> None:
    assert [places(call, TREE) for call in harmful_calls(command, TREE)] == [named]


@pytest.mark.parametrize("action", ["pop", "drop", "clear", "apply"])
def test_a_foreign_entry_of_the_stash_is_left_alone(action: str) -> None:
    foreign = TreeEdits(TREE, {}, foreign_stash=True)
    assert "not yours" in refuse(f"git stash {action}", TREE, foreign)
    assert refuse(f"git stash {action}", TREE, TreeEdits(TREE, {})) == ""


@given(
    st.text(max_size=60), st.lists(st.sampled_from(["git", "stash", "-", "--", "'", "&&", "\n"]))
)
def test_any_command_can_be_read(text: str, words: list[str]) -> None:
    list(harmful_calls(text, TREE))
    list(harmful_calls(" ".join(words), TREE))


def test_one_line_of_shell_is_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these took seconds, in which nobody was answered."""
    compiled, usual = list[int](), re.compile

    def compiling(pattern: str, *more: Any) -> Any:
        compiled.append(len(pattern))
        return usual(pattern, *more)

    monkeypatch.setattr(re, "compile", compiling)
    assert len(list(harmful_calls("cd a;git add .;" * 660, TREE))) <= MOST_CALLS
    assert all(len(s.folder) < 1100 for s in harmful_calls("cd a/a/a/a/a;git add .;" * 400, TREE))
    list(harmful_calls("git <<" + "A" * 400_000 + "\nx\n", TREE))
    assert max(compiled, default=0) < 200


@pytest.mark.parametrize("inner", ["$(git rm a", "`git rm a`", "\\`$(git rm a)", "$(b) `git rm a`"])
def test_what_double_quotes_hold_is_read(inner: str) -> None:
    assert [call.verb for call in harmful_calls(f'echo "{inner})"', TREE)] == ["rm"]


def test_what_lies_about_as_a_repository_is_asked_nothing(tmp_path: Path) -> None:
    """Its settings name a program that git would run; agents may write files beside."""
    for folder in ("objects", "refs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / "config").write_text(f"[core]\nbare = false\nworktree = {tmp_path}\n")
    assert asyncio.run(changed_files(str(tmp_path))) is None


# --- programs that a stranger's repository names ----------------------------------------------


def git(folder: Path, *command: str) -> str:
    known = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", "-C", folder, *known, *command], capture_output=True, check=True)
    return done.stdout.decode().strip()


def made(folder: Path) -> Path:
    """A repository with a file that was changed since, of which git must look at every byte."""
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("one\n")
    git(folder, "add", "a.txt")
    git(folder, "commit", "-qm", "x")
    (folder / "a.txt").write_text("two\n")
    os.utime(folder / "a.txt", (0, 0))
    return folder


def name_a_filter(own: Path, program: str, file: Path | None = None) -> None:
    text = f'[filter "x=y z"]\n\tclean = {program}\n\tprocess = {program}\n\trequired = true\n'
    with (file or own / "config").open("a") as settings:
        settings.write(text)
    (own / "info").mkdir(exist_ok=True)
    (own / "info/attributes").write_text('* filter="x=y z"\n* filter=x=y\n')


def filtering(tree: Path, program: str) -> None:
    own = tree / ".git"
    with (own / "config").open("a") as settings:
        settings.write(f'[FILTER "x=y"]\n\tclean = {program}\n')
    name_a_filter(own, program)


def including(tree: Path, program: str) -> None:
    with (tree / ".git/config").open("a") as settings:
        settings.write("[include]\n\tpath = more\n")
    (tree / ".git/more").write_text(f'[filter "x=y"]\n\tclean = {program}\n')
    name_a_filter(tree / ".git", program, tree / ".git/more")


def nesting(tree: Path, program: str) -> None:
    git(tree, "submodule", "add", "-q", str(made(tree.with_name("inner"))), "sub")
    git(tree, "commit", "-qm", "sub")
    filtering_of = tree / ".git/modules/sub"
    with (filtering_of / "config").open("a") as settings:
        settings.write(f'[filter "x=y"]\n\tclean = {program}\n')
    name_a_filter(filtering_of, program)
    (tree / "sub/a.txt").write_text("new\n")
    os.utime(tree / "sub/a.txt", (0, 0))


def promising(tree: Path, program: str) -> None:
    """What is missing is fetched, by a program that the tree names."""
    root = git(tree, "rev-parse", "HEAD^{tree}")
    (tree / ".git/objects" / root[:2] / root[2:]).unlink()
    facts = {"url": str(tree), "promisor": "true", "uploadpack": program}
    for name, value in facts.items():
        git(tree, "config", f"remote.origin.{name}", value)
    git(tree, "config", "core.repositoryformatversion", "1")
    git(tree, "config", "extensions.partialClone", "origin")


@pytest.mark.parametrize("prepare", [filtering, including, nesting, promising])
def test_git_runs_no_program_that_a_repository_names(
    tmp_path: Path, prepare: Callable[[Path, str], None]
) -> None:
    tree, ran = made(tmp_path / "tree"), tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho >{ran}\ncat\n")
    program.chmod(0o700)
    prepare(tree, str(program))
    found = asyncio.run(changed_files(str(tree)))
    asyncio.run(staged_files(str(tree)))
    first_commit(str(tree))
    assert not ran.exists()
    assert prepare is promising or found == {str(tree / "a.txt"): " M"}


def test_git_is_asked_of_a_plain_repository_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, asked = str(made(tmp_path / "tree")), list[str]()
    start = asyncio.create_subprocess_exec

    async def counting(*command: Any, **given: Any) -> Any:
        asked.append(command[0])
        return await start(*command, **given)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", counting)
    assert asyncio.run(changed_files(tree)) == {f"{tree}/a.txt": " M"} and asked == ["git"]
