"""The gate for git: what is refused beside others, and what harms nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.coordinate.git import Others, read_steps, refuse

TREE = "/r"
BESIDE = Others(TREE, {"/r/src/b.py": "bob", "/r/docs/x y.md": "cyd"}, ("/r/src/a.py",))


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
        "cat <<EOF\ngit stash\nEOF",
        "git stash push -- src/a.py",
        "",
        "git",
    ],
)
def test_what_harms_nobody_passes(command: str) -> None:
    assert refuse(command, TREE, BESIDE) == ""


def test_nothing_is_refused_where_nobody_is_beside() -> None:
    alone = Others(TREE, {}, ("/r/src/a.py",))
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
        ("cd src && git add .", "`git add a.py`"),
    ],
)
def test_a_stash_beside_others_is_refused_with_the_right_command(
    command: str, instead: str
) -> None:
    assert instead in refuse(command, TREE, BESIDE)


def test_the_command_that_it_names_passes() -> None:
    for command in ("git add -A", "git commit -am x", "git stash", "git reset --hard"):
        instead = refuse(command, TREE, BESIDE).split("`")[1]
        assert refuse(instead, TREE, BESIDE) == ""


def test_a_file_is_told_from_a_branch(tmp_path: Path) -> None:
    (tmp_path / "b.py").touch()
    tree = str(tmp_path)
    beside = Others(tree, {f"{tree}/c.py": "cyd"})
    assert refuse("git checkout b.py", tree, beside) == ""
    assert "cyd" in refuse("git checkout b", tree, beside)


@pytest.mark.parametrize("action", ["pop", "drop", "clear", "apply"])
def test_a_foreign_entry_of_the_stash_is_left_alone(action: str) -> None:
    foreign = Others(TREE, {}, foreign_stash=True)
    assert "not yours" in refuse(f"git stash {action}", TREE, foreign)
    assert refuse(f"git stash {action}", TREE, Others(TREE, {})) == ""


@given(
    st.text(max_size=60), st.lists(st.sampled_from(["git", "stash", "-", "--", "'", "&&", "\n"]))
)
def test_any_command_can_be_read(text: str, words: list[str]) -> None:
    list(read_steps(text, TREE))
    list(read_steps(" ".join(words), TREE))
