"""Which project does a folder belong to?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestr8_index.errors import BadSetting
from orchestr8_index.project import (
    NAMES,
    NamedProject,
    digest_of_roots,
    find_project,
    heir_of,
    named_by_roots,
    project_of,
    read_names,
)

from .trees import write_tree


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's folder with a repository, a part of it, a worktree and a submodule."""
    files = {
        ".claude/agents/mine.md": "",
        ".git/HEAD": "",
        "notes/todo.md": "",
        "repo/.git/HEAD": "ref: refs/heads/main",
        "repo/.git/worktrees/fix/commondir": "../..\n",
        "repo/.git/modules/part/HEAD": "",
        "repo/src/deep/x.py": "",
        "repo/web/.claude/agents/a.md": "",
        "repo/part/.git": "gitdir: ../.git/modules/part\n",
        "trees/fix/.git": "gitdir: {repo}/.git/worktrees/fix\n",
        "trees/fix/web/.claude/agents/a.md": "",
    }
    written = {path: text.replace("{repo}", str(tmp_path / "repo")) for path, text in files.items()}
    return write_tree(tmp_path, written).resolve()


@pytest.mark.parametrize(
    ("place", "folder", "tree", "repository"),
    [
        ("repo", "repo", "repo", "repo"),
        ("repo/src/deep", "repo", "repo", "repo"),
        ("repo/web", "repo/web", "repo/web", "repo"),
        ("repo/src/gone/away", "repo", "repo", "repo"),
        ("repo/part", "repo/part", "repo/part", "repo/part"),
        ("trees/fix", "repo", "trees/fix", "repo"),
        ("trees/fix/web", "repo/web", "trees/fix/web", "repo"),
    ],
)
def test_the_nearest_marked_folder_is_the_project(
    home: Path, place: str, folder: str, tree: str, repository: str
) -> None:
    found = find_project(str(home / place), str(home))
    assert found and found[:3] == tuple(str(home / part) for part in (folder, tree, repository))


@pytest.mark.parametrize("place", ["", "notes", "not/there"])
def test_the_home_folder_is_no_project(home: Path, place: str) -> None:
    assert find_project(str(home / place), str(home)) is None
    assert project_of(str(home / place), str(home), ()).folder == str(home)


def test_a_plain_folder_with_roots_of_its_own_is_one(home: Path) -> None:
    notes = str(home / "notes")
    assert project_of(notes, str(home), [f"{notes}/plugins"]).tree == notes


def test_a_file_that_names_nothing_ends_nothing(home: Path) -> None:
    (home / "trees/fix/.git").write_bytes(b"\xff\0" * 9000)
    assert find_project(str(home / "trees/fix"), str(home))


@pytest.mark.parametrize(
    ("roots", "heir"),
    [
        (["repo/.claude", ".claude/agents"], "repo"),
        ([".claude/agents"], ""),
        (["notes/plugins"], None),
    ],
)
def test_the_last_servers_project_inherits(home: Path, roots: list[str], heir: str | None) -> None:
    named = [str(home / root) for root in roots]
    wanted = digest_of_roots(named if heir is None else [str(home / heir)])
    assert heir_of({"roots": named}, None, str(home)) == wanted
    assert heir_of({"roots": named, "project": "k"}, None, str(home)) == "k"


def test_a_folder_of_any_depth_is_looked_up_in_a_moment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in a header may be of two thousand parts, in each of which every mark was looked for."""
    looked = list[str]()
    monkeypatch.setattr(os.path, "lexists", looked.append)  # nothing is there
    assert find_project("/" + "a/" * 2000, str(home)) is None
    assert len(looked) < 10_000


# --- names that somebody gave ------------------------------------------------------------------


def test_folders_of_one_name_are_the_project_of_the_first_and_keep_their_parts(home: Path) -> None:
    (home / "clone/.git").mkdir(parents=True)
    (home / "clone/web/.claude").mkdir(parents=True)
    (home / "clone/vendored/.git").mkdir(parents=True)
    repo, clone = str(home / "repo"), str(home / "clone")
    names = [NamedProject("shop", ((repo, repo), (clone, clone)))]

    def known(place: str) -> tuple[str, ...]:
        return project_of(str(home / place), str(home), (), names)

    assert known("clone") == (repo, clone, repo, "shop")
    assert known("clone/web") == (f"{repo}/web", f"{clone}/web", repo, "shop")
    assert known("trees/fix") == (repo, str(home / "trees/fix"), repo, "shop")
    assert known("clone/vendored") == (*[f"{clone}/vendored"] * 3, "")
    assert known("notes")[3] == ""


def test_a_part_that_has_a_name_is_a_project_of_its_own(home: Path) -> None:
    repo, web = str(home / "repo"), str(home / "repo/web")
    names = [NamedProject("web", ((web, repo),))]
    assert project_of(web, str(home), (), names) == (web, web, web, "web")
    assert project_of(repo, str(home), (), names) == (repo, repo, repo, "")


def test_roots_that_were_named_are_a_named_project_where_all_lie_in_it(home: Path) -> None:
    repo = str(home / "repo")
    names = [NamedProject("shop", ((repo, repo), (f"{home}/notes", f"{home}/notes")))]
    found = named_by_roots([f"{repo}/web/.claude", f"{home}/notes"], names)
    assert found == (repo, repo, repo, "shop")
    assert named_by_roots([repo, f"{home}/.claude"], names) is None
    assert named_by_roots([f"{repo}-2"], names) is None
    assert named_by_roots([], names) is None


@pytest.mark.parametrize("data", [b"[", b'{"a":1}', b'[{"name":"a"}]'])
def test_names_that_cannot_be_read_are_a_sentence(tmp_path: Path, data: bytes) -> None:
    assert read_names(tmp_path) == ()
    (tmp_path / NAMES).write_bytes(data)
    with pytest.raises(BadSetting, match=r"names of the projects .* Mend or remove"):
        read_names(tmp_path)
