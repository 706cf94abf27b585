"""What is an entry, and whose is it? Decided from paths and manifests alone, before a file is read.

The rules are those of the hosts: agents anywhere under `agents`, commands under `commands`, skills
in `SKILL.md` or `skills/NAME.md`; a plugin's manifest may name the plugin and add folders.
"""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass, field

from ..config import USUAL, ReadLimits
from ..records import Kind
from ..text import clean, display
from .opening import read_within
from .walk import KIND_FOLDERS, Tree

FOLDER_KINDS: dict[str, Kind] = {"agents": "agent", "commands": "workflow"}
MANIFEST_KINDS: dict[str, Kind] = {"agents": "agent", "skills": "skill", "commands": "workflow"}
_README = re.compile(r"readme([._-][a-z]{2}([_-][a-z]{2,4})?)?", re.IGNORECASE)
_PAPERS = re.compile(
    r"_?(TEMPLATE|CHANGELOG|LICEN[CS]E|CONTRIBUTING|CODE_OF_CONDUCT|CLAUDE|AGENTS|GEMINI|INDEX"
    r"|SECURITY|NOTICE|TODO|ROADMAP|INSTALL|SUMMARY)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """What a path is: `kind` None says that it is no entry, and `reason` why."""

    kind: Kind | None
    stem: str
    reason: str = ""
    tentative: bool = False


@dataclass(slots=True)
class Layout:
    """The paths of one root, read as plugins. Built once a scan by `read_layout`."""

    root_name: str
    root_is_kind: bool
    kind_folders: bool
    skill_folders: frozenset[str]
    plugin_names: dict[str, str] = field(default_factory=dict)
    moved: dict[str, Kind] = field(default_factory=dict)
    troubles: list[tuple[str, str]] = field(default_factory=list)

    def place(self, path: str) -> Place:
        folders, _, file = path.rpartition("/")
        stem = file[:-3]
        parts = folders.split("/") if folders else []
        if above := self._skill_above(parts, stem):
            return Place(None, stem, f"not an entry: it belongs to the skill in {above}/")
        if _is_skill_file(stem, parts):
            return Place("skill", parts[-1] if parts else self.root_name)
        if _README.fullmatch(stem):
            return Place(None, stem, "not an entry: a README")
        if _PAPERS.fullmatch(stem):
            return Place(None, stem, f"not an entry: {file} is a paper about the folder")
        return self._by_folder(path, parts, stem)

    def _by_folder(self, path: str, parts: list[str], stem: str) -> Place:
        kind = self.moved.get(path) or self._kind_of(parts)
        if kind == "workflow" or kind == "agent":
            return Place(kind, stem)
        if kind == "skill":
            return Place("skill", stem)
        if not self.kind_folders and not self.root_is_kind:
            return Place("agent", stem, tentative=True)
        return Place(None, stem, "not an entry: outside every agents, skills and commands folder")

    def _kind_of(self, parts: list[str]) -> Kind | None:
        named = [self.root_name, *parts] if self.root_is_kind else ["", *parts]
        for depth in range(len(named), 0, -1):
            folder = "/".join(parts[: depth - 1])
            if depth > 1 and folder in self.moved:
                kind = self.moved[folder]
                return kind if kind != "skill" or depth == len(named) else None
            if named[depth - 1] in FOLDER_KINDS:
                return FOLDER_KINDS[named[depth - 1]]
            if named[depth - 1] == "skills":
                return "skill" if depth == len(named) else None
        return None

    def _skill_above(self, parts: list[str], stem: str) -> str:
        """The skill folder that holds this file, its own SKILL.md excepted."""
        own = stem.upper() == "SKILL"
        for depth in range(1, len(parts) + 1 - own):
            folder = "/".join(parts[:depth])
            if folder in self.skill_folders:
                return folder
        return ""

    def plugin(self, path: str) -> str:
        """The deepest of: a manifest's folder, the folder under `plugins/`, the root itself."""
        parts = path.split("/")[:-1]
        for depth in range(len(parts), -1, -1):
            if name := self.plugin_names.get("/".join(parts[:depth])):
                return name
            above = parts[depth - 2] if depth > 1 else self.root_name
            if depth and above == "plugins":
                return display(parts[depth - 1])
        return self.root_name


def read_layout(tree: Tree, links: list[str], limits: ReadLimits = USUAL) -> Layout:
    root_name = display(posixpath.basename(tree.root) or "root")
    layout = Layout(
        root_name=root_name,
        root_is_kind=root_name in MANIFEST_KINDS and not tree.kind_folders,
        kind_folders=tree.kind_folders,
        skill_folders=frozenset(),
    )
    for manifest in tree.manifests:
        _read_manifest(layout, tree.root, manifest.path, limits.max_file_bytes)
    paths = [file.path for file in tree.files] + links
    layout.skill_folders = frozenset(_skill_folders(layout, paths))
    return layout


def _skill_folders(layout: Layout, paths: list[str]) -> set[str]:
    """Folders with a SKILL.md, but for those that hold a whole plugin or all skills."""
    files = (path.rpartition("/") for path in paths)
    folders = {f for f, _, file in files if _is_skill_file(file[:-3], f.split("/"))}
    plain = {f for f in folders if f and posixpath.basename(f) not in KIND_FOLDERS}
    return {f for f in plain if f not in layout.plugin_names and not _is_plugin_folder(layout, f)}


def _is_skill_file(stem: str, parts: list[str]) -> bool:
    """SKILL.md anywhere, skill.md below a folder `skills`; elsewhere that is a name like others."""
    return stem.upper() == "SKILL" and (stem.isupper() or "skills" in parts)


def _is_plugin_folder(layout: Layout, folder: str) -> bool:
    parent, _, _ = folder.rpartition("/")
    return (posixpath.basename(parent) if parent else layout.root_name) == "plugins"


def _read_manifest(layout: Layout, root: str, path: str, most: int) -> None:
    home = posixpath.dirname(posixpath.dirname(path))
    try:
        manifest = json.loads(read_within((root,), root, path, most))
    except (OSError, ValueError, RecursionError) as error:
        layout.troubles.append((path, f"the manifest cannot be read: {type(error).__name__}"))
        return
    if not isinstance(manifest, dict):
        layout.troubles.append((path, "the manifest is not a JSON object"))
    elif path.endswith("plugin.json"):
        _read_plugin(layout, home, path, manifest)
    else:
        _read_marketplace(layout, home, path, manifest)


def _read_plugin(layout: Layout, home: str, path: str, manifest: dict[str, object]) -> None:
    name = manifest.get("name")
    if isinstance(name, str) and clean(name):
        layout.plugin_names[home] = clean(name)
    else:
        layout.troubles.append((path, "the manifest has no name"))
    for key, kind in MANIFEST_KINDS.items():
        for folder in _paths(manifest.get(key)):
            _move(layout, home, path, folder, kind)


def _read_marketplace(layout: Layout, home: str, path: str, manifest: dict[str, object]) -> None:
    """Plugins that live in this tree: their folder's name, and folders that the listing adds."""
    plugins = manifest.get("plugins")
    for plugin in plugins if isinstance(plugins, list) else []:
        source = plugin.get("source") if isinstance(plugin, dict) else None
        if not isinstance(source, str) or not isinstance(plugin.get("name"), str):
            continue
        folder = posixpath.normpath(posixpath.join(home, source)).removeprefix("./")
        folder = "" if folder == "." else folder
        if folder.startswith(".."):
            layout.troubles.append((path, f"source {source} leads out of the tree"))
            continue
        if folder != home:
            layout.plugin_names.setdefault(folder, clean(plugin["name"]))
        for key, kind in MANIFEST_KINDS.items():
            for place in _paths(plugin.get(key)):
                moved = _move(layout, folder, path, place, kind)
                if moved and folder == home:
                    layout.plugin_names.setdefault(moved, clean(plugin["name"]))


def _move(layout: Layout, home: str, path: str, folder: str, kind: Kind) -> str:
    place = posixpath.normpath(posixpath.join(home, folder))
    if place.startswith(("..", "/")) or (home and not f"{place}/".startswith(f"{home}/")):
        layout.troubles.append((path, f"{folder} leads out of the plugin and is not followed"))
        return ""
    if place not in (".", home):
        layout.moved[place] = kind
        return place
    return ""


def _paths(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str) and item]
