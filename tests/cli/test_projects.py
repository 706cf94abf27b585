"""project add and remove, key add --project: which folders are one project, and who may ask it?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestr8_index.config import read_settings
from orchestr8_index.project import digest_of_roots
from orchestr8_index.serve.keys import KeyFile

from .conftest import Run


@pytest.fixture
def shops(tmp_path: Path) -> tuple[Path, Path]:
    """Two clones."""
    for name in ("shop", "clone"):
        (tmp_path / name / ".git").mkdir(parents=True)
    return tmp_path / "shop", tmp_path / "clone"


def key_in(folder: Path) -> tuple[str, str]:
    found = read_settings(cwd=folder)
    return found.project_key, found.repository_key


def test_a_name_makes_two_folders_one_project_until_it_is_taken_away(
    run: Run, shops: tuple[Path, Path]
) -> None:
    shop, clone = shops
    before = [key_in(each) for each in shops]
    said = run("project", "add", "shop", "--root", str(shop), "--root", str(clone / ".git"))
    assert (said.status, said.err) == (0, "") and said.out == f"shop is {shop}, {clone}.\n"
    assert key_in(clone) == key_in(shop) == before[0]
    assert run("project", "remove", "shop").status == 0
    assert [key_in(each) for each in shops] == before


def test_who_learns_from_whom_needs_a_server_that_answers(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_PORT", "1")
    said = run("projects", "--learns-alone")
    assert "No server answers" in said.err and "`orchestr8-index up`" in said.err


def test_without_a_folder_this_one_is_meant_and_more_may_follow(
    run: Run, shops: tuple[Path, Path], tmp_path: Path
) -> None:
    assert run("project", "add", "shop").out == f"shop is {tmp_path / 'work'}.\n"
    said = run("project", "add", "shop", "--root", str(shops[0]), "--root", str(shops[0]))
    assert said.out == f"shop is {tmp_path / 'work'}, {shops[0]}.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "a/b"), "'a/b' is no name for a project. Use up to 64"),
        (("add", "a:b"), "is no name for a project"),
        (("add", "--", "-x"), "is no name for a project"),
        (("add", "x", "--root", "gone"), "gone is no folder."),
        (("add", "other", "--root", "."), "is taken already. `orchestr8-index project remove take"),
        (("remove", "nothing"), "given the name nothing. Those that were given: taken."),
    ],
)
def test_what_cannot_be_is_one_sentence(
    run: Run, arguments: tuple[str, ...], sentence: str
) -> None:
    run("project", "add", "taken")
    said = run("project", *arguments)
    assert said.status == 1 and sentence in said.err and said.err.count("\n") == 1


def test_a_key_is_for_the_projects_that_it_names(run: Run, shops: tuple[Path, Path]) -> None:
    shop, clone = shops
    run("project", "add", "shop", "--root", str(shop))
    wrong = run("key", "add", "ann", "--project", "shop", "--project", "clone")
    assert wrong.status == 1 and "There is no project 'clone' here." in wrong.err
    assert run("key", "add", "ann", "--project", "shop", "--project", f"{shop}{os.sep}").status == 0
    (key,) = KeyFile(Path(os.environ["MCP_DATA_DIR"])).read()
    assert key.projects == {"shop": digest_of_roots([str(shop)])}
    assert run("key", "list").out.endswith(" for shop\n")
    assert run("key", "list", "--json").json[0]["projects"] == ["shop"]
