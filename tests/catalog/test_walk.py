"""Which files are there? One pass that opens nothing and follows nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestr8_index.catalog.walk import walk
from orchestr8_index.config import ReadLimits

from ..trees import MakeTree


def test_markdown_is_found_at_any_depth_and_sorted(make_tree: MakeTree) -> None:
    root = make_tree({"b.md": "x", "a/deep/C.MD": "xy", "a/notes.txt": "no"})
    tree = walk(str(root))
    assert [(file.path, file.size) for file in tree.files] == [("a/deep/C.MD", 2), ("b.md", 1)]


def test_machinery_folders_are_not_entered(make_tree: MakeTree) -> None:
    root = make_tree({".git/agents/a.md": "", "node_modules/p/agents/a.md": "", "agents/a.md": ""})
    assert [file.path for file in walk(str(root)).files] == ["agents/a.md"]


def test_manifests_and_registries_are_told_apart_by_their_place(make_tree: MakeTree) -> None:
    names = ["p/.claude-plugin/plugin.json", ".claude-plugin/marketplace.json", "plugin.json"]
    names += [".claude/agent-registry.yml", "agent-registry.yml", "p/agent-registry.yml"]
    tree = walk(str(make_tree(dict.fromkeys(names, ""))))
    assert [file.path for file in tree.manifests] == [names[1], names[0]]
    assert [file.path for file in tree.registries] == names[3:5]


def test_kind_folders_are_noticed(make_tree: MakeTree) -> None:
    assert walk(str(make_tree({"x/commands/a.md": ""}, "with"))).kind_folders
    assert not walk(str(make_tree({"x/a.md": ""}, "without"))).kind_folders


def test_links_are_noted_not_followed(make_tree: MakeTree) -> None:
    root = make_tree({"real/a.md": "", "plain.txt": ""})
    for name, target in {"folder": "real", "one.md": "real/a.md", "text": "plain.txt"}.items():
        (root / name).symlink_to(target)
    tree = walk(str(root))
    assert tree.links == ["folder", "one.md"]
    assert [file.path for file in tree.files] == ["real/a.md"]


def test_a_link_that_leads_to_itself_ends_nothing(make_tree: MakeTree) -> None:
    root = make_tree({"a.md": ""})
    (root / "loop").symlink_to("loop")
    assert [file.path for file in walk(str(root)).files] == ["a.md"]


def test_a_folder_named_like_a_file_is_noted_and_entered(make_tree: MakeTree) -> None:
    tree = walk(str(make_tree({"odd.md/a.md": ""})))
    assert tree.named_like_files == ["odd.md"]
    assert [file.path for file in tree.files] == ["odd.md/a.md"]


@pytest.mark.parametrize("path", ["agents/pipe.md", ".claude-plugin/plugin.json"])
def test_a_pipe_is_refused_unopened(make_tree: MakeTree, path: str) -> None:
    root = make_tree({"agents/a.md": "", ".claude-plugin/x": ""})
    os.mkfifo(root / path)
    assert walk(str(root)).unread == [(path, "not a regular file")]


def test_a_root_that_cannot_be_listed_says_so(tmp_path: Path) -> None:
    ((path, reason),) = walk(str(tmp_path / "missing")).unread
    assert path == ""
    assert reason.startswith("the folder cannot be read: ")


def test_a_tree_that_is_too_large_is_left_with_a_reason(make_tree: MakeTree) -> None:
    root = make_tree({f"{number}.md": "" for number in range(6)})
    tree = walk(str(root), ReadLimits(max_files=4))
    assert len(tree.files) == 4
    assert tree.unread == [("", "the tree has more than 4 files")]


def test_a_tree_that_is_too_deep_is_left_with_a_reason(make_tree: MakeTree) -> None:
    tree = walk(str(make_tree({"1/2/3/deep.md": "", "1/a.md": ""})), ReadLimits(max_folder_depth=2))
    assert [file.path for file in tree.files] == ["1/a.md"]
    assert tree.unread == [("1/2/3", "folders nest deeper than 2")]
