"""What is an entry, and whose is it? From paths and manifests alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

import pytest

from orchestr8_index.catalog.layout import Layout, read_layout
from orchestr8_index.catalog.walk import walk

from ..trees import Files, MakeTree

JSON = Mapping[str, object]


class LayoutOf(Protocol):
    """Lay out empty files, and JSON files by path."""

    def __call__(
        self, *paths: str, folder: str = "tree", manifests: JSON | None = None
    ) -> Layout: ...


@pytest.fixture
def layout_of(make_tree: MakeTree) -> LayoutOf:
    def read(*paths: str, folder: str = "tree", manifests: JSON | None = None) -> Layout:
        said = {path: json.dumps(each) for path, each in (manifests or {}).items()}
        tree = walk(str(make_tree({**dict.fromkeys(paths, ""), **said}, folder)))
        return read_layout(tree, [])

    return read


@pytest.mark.parametrize(
    ("path", "kind", "stem"),
    [
        ("agents/tuner.md", "agent", "tuner"),
        ("plugins/p/agents/data/deep/tuner.md", "agent", "tuner"),
        ("commands/ship.md", "workflow", "ship"),
        ("commands/git/ship.md", "workflow", "ship"),
        ("skills/charts/SKILL.md", "skill", "charts"),
        ("skills/group/charts/SKILL.md", "skill", "charts"),
        ("skills/charts/skill.md", "skill", "charts"),
        ("skills/charts.md", "skill", "charts"),
        ("plugins/p/SKILL.md", "skill", "p"),
        ("SKILL.md", "skill", "tree"),
        ("agents/skill.md", "agent", "skill"),
        ("agents/summary.md", "agent", "summary"),
    ],
)
def test_paths_that_are_entries(layout_of: LayoutOf, path: str, kind: str, stem: str) -> None:
    place = layout_of(path, "agents/other.md").place(path)
    assert (place.kind, place.stem) == (kind, stem)


@pytest.mark.parametrize(
    "path",
    [
        "docs/guide.md",
        "agents/README.md",
        "agents/readme.zh-CN.md",
        "agents/TEMPLATE.md",
        "commands/CLAUDE.md",
        "skills/charts/references/axes.md",
        "skills/charts/agents/helper.md",
        "skills/charts/nested/SKILL.md",
        "skills/group/loose.md",
    ],
)
def test_paths_that_are_not_entries_say_why(layout_of: LayoutOf, path: str) -> None:
    place = layout_of(path, "skills/charts/SKILL.md", "agents/a.md").place(path)
    assert place.kind is None
    assert place.reason.startswith("not an entry: ")


def test_an_agent_called_skill_does_not_swallow_its_neighbours(layout_of: LayoutOf) -> None:
    # `agents/skill.md` once made of `agents/` a skill's folder, without a single entry in it
    layout = layout_of("agents/skill.md", "agents/tuner.md", "docs/skill.md", "docs/x.md")
    assert layout.place("agents/tuner.md").kind == "agent"
    assert "skill" not in layout.place("docs/x.md").reason.replace("skills", "")


def test_a_skill_file_in_a_kind_folder_does_not_swallow_its_neighbours(
    layout_of: LayoutOf,
) -> None:
    layout = layout_of("commands/SKILL.md", "commands/ship.md")
    assert layout.place("commands/ship.md").kind == "workflow"


def test_a_plugin_with_a_skill_at_its_root_keeps_its_other_entries(layout_of: LayoutOf) -> None:
    layout = layout_of("plugins/p/SKILL.md", "plugins/p/agents/a.md")
    assert layout.place("plugins/p/agents/a.md").kind == "agent"


@pytest.mark.parametrize(
    ("folder", "kind"), [("agents", "agent"), ("commands", "workflow"), ("skills", "skill")]
)
def test_a_root_may_itself_be_a_kind_folder(layout_of: LayoutOf, folder: str, kind: str) -> None:
    assert layout_of("a.md", folder=folder).place("a.md").kind == kind


def test_a_root_without_kind_folders_holds_agents_tentatively(layout_of: LayoutOf) -> None:
    place = layout_of("design/a.md").place("design/a.md")
    assert (place.kind, place.tentative) == ("agent", True)


def test_the_deepest_kind_folder_decides(layout_of: LayoutOf) -> None:
    layout = layout_of("agents/commands/a.md", "commands/agents/b.md")
    assert layout.place("agents/commands/a.md").kind == "workflow"
    assert layout.place("commands/agents/b.md").kind == "agent"


def test_a_plugin_is_the_folder_below_plugins_or_the_root(layout_of: LayoutOf) -> None:
    layout = layout_of("plugins/p/agents/a.md", "agents/b.md")
    assert layout.plugin("plugins/p/agents/a.md") == "p"
    assert layout.plugin("agents/b.md") == "tree"


def test_a_root_called_plugins_holds_plugins(layout_of: LayoutOf) -> None:
    layout = layout_of("p/agents/a.md", folder="plugins")
    assert layout.plugin("p/agents/a.md") == "p"


def test_a_manifest_names_its_plugin(layout_of: LayoutOf) -> None:
    said = {"plugins/p/.claude-plugin/plugin.json": {"name": " Its\x07 name "}}
    layout = layout_of("plugins/p/agents/a.md", manifests=said)
    assert layout.plugin("plugins/p/agents/a.md") == "Its name"


def test_a_manifest_may_move_its_folders(layout_of: LayoutOf) -> None:
    said = {"agents": "./staff/", "commands": ["./do"], "skills": ["./know"], "name": "p"}
    layout = layout_of(
        "staff/a.md", "do/b.md", "know/c.md", manifests={".claude-plugin/plugin.json": said}
    )
    kinds = [layout.place(path).kind for path in ("staff/a.md", "do/b.md", "know/c.md")]
    assert kinds == ["agent", "workflow", "skill"]


def test_a_manifest_may_name_single_files(layout_of: LayoutOf) -> None:
    said = {"name": "p", "agents": ["./docs/one.md"]}
    layout = layout_of(
        "docs/one.md", "docs/two.md", "agents/x.md", manifests={".claude-plugin/plugin.json": said}
    )
    assert layout.place("docs/one.md").kind == "agent"
    assert layout.place("docs/two.md").kind is None


def test_a_loose_file_below_a_moved_skill_folder_is_no_skill(layout_of: LayoutOf) -> None:
    layout = layout_of(
        "know/sub/x.md",
        "agents/a.md",
        manifests={".claude-plugin/plugin.json": {"name": "p", "skills": "know"}},
    )
    assert layout.place("know/sub/x.md").kind is None


@pytest.mark.parametrize("folder", ["../other", "/etc", "a/../../b"])
def test_a_manifest_cannot_lead_out_of_its_plugin(layout_of: LayoutOf, folder: str) -> None:
    said = {"name": "p", "agents": folder}
    layout = layout_of("plugins/p/x.md", manifests={"plugins/p/.claude-plugin/plugin.json": said})
    ((path, reason),) = layout.troubles
    assert path == "plugins/p/.claude-plugin/plugin.json"
    assert "leads out of the plugin" in reason


@pytest.mark.parametrize("content", ["{", "", "\xff", "[" * 100_000, '{"name": 1'])
def test_an_unreadable_manifest_is_a_trouble(make_tree: MakeTree, content: str) -> None:
    files: Files = {".claude-plugin/plugin.json": content.encode("latin-1"), "agents/a.md": ""}
    layout = read_layout(walk(str(make_tree(files))), [])
    assert "the manifest cannot be read" in layout.troubles[0][1]
    assert layout.plugin("agents/a.md") == "tree"


def test_a_manifest_that_vanishes_is_a_trouble(make_tree: MakeTree) -> None:
    root = make_tree({".claude-plugin/plugin.json": "{}"})
    tree = walk(str(root))
    (root / ".claude-plugin/plugin.json").unlink()
    assert read_layout(tree, []).troubles[0][1].endswith("FileNotFoundError")


@pytest.mark.parametrize(
    ("said", "reason"), [([], "not a JSON object"), ({}, "no name"), ({"name": "\x00"}, "no name")]
)
def test_a_manifest_without_a_name_is_a_trouble(
    layout_of: LayoutOf, said: object, reason: str
) -> None:
    assert reason in layout_of(manifests={".claude-plugin/plugin.json": said}).troubles[0][1]


def test_a_marketplace_names_the_plugins_in_its_tree(layout_of: LayoutOf) -> None:
    said = {"plugins": [{"name": "shop", "source": "./tools/shop", "agents": ["./staff"]}]}
    layout = layout_of("tools/shop/staff/a.md", manifests={".claude-plugin/marketplace.json": said})
    assert layout.plugin("tools/shop/staff/a.md") == "shop"
    assert layout.place("tools/shop/staff/a.md").kind == "agent"


def test_a_marketplace_may_share_one_folder_among_plugins(layout_of: LayoutOf) -> None:
    plugins = [{"name": n, "source": "./", "skills": [f"./skills/{n}"]} for n in ("one", "two")]
    paths = ["skills/one/SKILL.md", "skills/two/SKILL.md"]
    layout = layout_of(*paths, manifests={".claude-plugin/marketplace.json": {"plugins": plugins}})
    assert [layout.plugin(path) for path in paths] == ["one", "two"]
    assert [layout.place(path).stem for path in paths] == ["one", "two"]


@pytest.mark.parametrize(
    "plugin", [3, {}, {"source": {"github": "x/y"}, "name": "n"}, {"source": "./x", "name": 1}]
)
def test_plugins_of_other_places_are_passed_over(layout_of: LayoutOf, plugin: object) -> None:
    layout = layout_of(manifests={".claude-plugin/marketplace.json": {"plugins": [plugin]}})
    assert (layout.manifests.plugins, layout.troubles) == ({}, [])


def test_a_marketplace_cannot_lead_out_of_the_tree(layout_of: LayoutOf) -> None:
    said = {"plugins": [{"name": "n", "source": "../../x"}]}
    layout = layout_of(manifests={".claude-plugin/marketplace.json": said})
    assert "leads out of the tree" in layout.troubles[0][1]


def test_a_marketplace_without_plugins_says_nothing(layout_of: LayoutOf) -> None:
    assert (
        layout_of(manifests={".claude-plugin/marketplace.json": {"plugins": None}}).troubles == []
    )
