"""Decides what an entry is, and whose, from paths and manifests alone, before a file is read.

The rules are those of the hosts: agents anywhere under `agents`, commands under `commands`, skills
in `SKILL.md` or `skills/NAME.md`; a plugin's manifest may name the plugin and move its folders, and
the folders that only one host reads are in places.py.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from .. import places
from ..config import USUAL, ReadLimits
from ..records import Kind
from ..text import display
from .manifests import MANIFEST_KINDS, Manifests, is_below, read_manifests
from .walk import KIND_FOLDERS, Tree

FOLDER_KINDS: dict[str, Kind] = {"agents": "agent", "commands": "workflow"}
_README = re.compile(r"readme([._-][a-z]{2}([_-][a-z]{2,4})?)?", re.IGNORECASE)
_DOCUMENTS = re.compile(
    r"_?(TEMPLATE|CHANGELOG|LICEN[CS]E|CONTRIBUTING|CODE_OF_CONDUCT|INDEX"
    r"|SECURITY|NOTICE|TODO|ROADMAP|INSTALL|SUMMARY)"
)
_RULES = re.compile(r"_?(CLAUDE(\.local)?|AGENTS|GEMINI|QWEN|WARP|copilot-instructions)")
RULES = "not an entry: not callable, but rules that the host reads by itself"


@dataclass(frozen=True, slots=True)
class PathUse:
    """What a path is: with `kind` None it is no entry, for the `reason`.

    `owner` is the host in whose folder it lies, `folders` those between that one and the file;
    `plain`: the host needs no header. `unlisted`: it would be an entry, were it in the manifest.
    """

    kind: Kind | None
    stem: str
    reason: str = ""
    tentative: bool = False
    owner: str = ""
    folders: str = ""
    plain: bool = False
    unlisted: bool = False


class Lead(NamedTuple):
    """A folder that decides a path's kind: its depth in the path, and its host's place, if any."""

    kind: Kind | None
    depth: int = 0
    place: places.Place | None = None


@dataclass(slots=True)
class Layout:
    """The paths of one root, read as plugins. Built once a scan by `read_layout`."""

    root: str
    root_name: str
    root_is_kind: bool
    kind_folders: bool
    skill_folders: frozenset[str]
    manifests: Manifests
    is_config: bool = False

    @property
    def troubles(self) -> list[tuple[str, str]]:
        return self.manifests.troubles

    def place(self, path: str) -> PathUse:
        folders, _, file = path.rpartition("/")
        parts = folders.split("/") if folders else []
        stem, ending = stem_of(file)
        if not self.manifests.is_installed(path):
            return PathUse(None, stem, "not an entry: Claude Code has not installed it, or not so")
        if above := self._skill_above(parts, stem):
            return PathUse(None, stem, f"not an entry: it belongs to the skill in {above}/")
        if ending == ".md" and _is_skill_file(stem, parts):
            owner = self._lead(path, parts).place
            return self._listed(
                path, PathUse("skill", parts[-1] if parts else self.root_name, owner=_host(owner))
            )
        lead = self._lead(path, parts)
        if why := _reject(file, stem, ending, parts, lead.place):
            return PathUse(None, stem, why)
        return self._by_folder(path, parts, stem, ending, lead)

    def _by_folder(
        self, path: str, parts: list[str], stem: str, ending: str, lead: Lead
    ) -> PathUse:
        kind, host = lead.kind, lead.place
        if ending in places.SUFFIXES and not (host and ending in host.endings):
            owner = places.place_of("copilot", places.SUFFIXES[ending])
            return PathUse(places.SUFFIXES[ending], stem, owner="copilot", plain=_plain(owner))
        if kind and ending not in (endings := host.endings if host else self._endings(path, kind)):
            wanted = ", ".join(endings)
            return PathUse(None, stem, f"not an entry: the host reads {wanted} there")
        if kind:
            inner = "/".join(parts[lead.depth :]) if kind != "skill" else ""
            place = PathUse(kind, stem, "", False, _host(host), inner, _plain(host))
            return self._listed(path, place)
        if ending == ".md" and not self.kind_folders and not self.root_is_kind:
            return PathUse("agent", stem, tentative=True)
        return PathUse(None, stem, "not an entry: outside every agents, skills and commands folder")

    def _listed(self, path: str, place: PathUse) -> PathUse:
        assert place.kind
        home = self._home(path)
        if home is None or not self.manifests.unlisted(path, home, place.kind):
            return place
        what = "unlisted: the plugin's manifest names what it has, and not this"
        return PathUse(None, place.stem, what, unlisted=True)

    def _endings(self, path: str, kind: Kind) -> tuple[str, ...]:
        """The endings that are read in a plugin's folder: Gemini's extensions have TOML, too."""
        home = self._home(path)
        hosts = self.manifests.hosts.get(home, []) if home is not None else []
        if kind == "skill" and hosts and not set(hosts) & set(places.FLAT):
            return (places.SKILL_FILE,)
        return (".md", ".toml") if "gemini" in hosts else (".md",)

    def _lead(self, path: str, parts: list[str]) -> Lead:
        """The innermost folder that decides the path's kind."""
        if path in self.manifests.moved:
            return Lead(self.manifests.moved[path], len(parts))
        known = places.find_place("/".join((self.root, *parts)))
        base = self.root.count("/") + 1
        lead = self._kind_of(parts)
        depth = max(known[1] - base, 0) if known else -1
        if known is None or depth < lead.depth:
            return lead
        place = known[0]
        if place.kind == "skill" and depth != len(parts):
            return Lead(None, depth, place)
        return Lead(place.kind, depth, place)

    def _kind_of(self, parts: list[str]) -> Lead:
        moved = self.manifests.moved
        named = [self.root_name if self.root_is_kind else "", *parts]
        for depth in range(len(parts), -1, -1):
            folder = "/".join(parts[:depth])
            if depth and folder in moved:
                kind = moved[folder]
                return Lead(kind if kind != "skill" or depth == len(parts) else None, depth)
            if named[depth] in FOLDER_KINDS:
                return Lead(FOLDER_KINDS[named[depth]], depth)
            if named[depth] == "skills":
                return Lead("skill" if depth == len(parts) else None, depth)
        return Lead(None)

    def _skill_above(self, parts: list[str], stem: str) -> str:
        """The skill folder that holds this file, its own SKILL.md excepted."""
        own = stem.upper() == "SKILL"
        for depth in range(1, len(parts) + 1 - own):
            folder = "/".join(parts[:depth])
            if folder in self.skill_folders:
                return folder
        return ""

    def plugin(self, path: str) -> str:
        """The plugin's name, by the deepest of: a manifest's folder, the folder under `plugins/`,
        a host's own folder, the root itself."""
        return self._whose(path)[0]

    def is_packed(self, path: str) -> bool:
        """Whether it is in a plugin, so that hosts put the plugin's name before its own."""
        return self._whose(path)[1]

    def owners(self, path: str) -> tuple[str, ...]:
        """The hosts that a plugin is made for, or whose own folder the root is."""
        home = self._home(path)
        if home is not None:
            return tuple(dict.fromkeys(self.manifests.hosts.get(home, ())))
        return ("claude",) if self.is_config else ()

    def _whose(self, path: str) -> tuple[str, bool]:
        parts = path.split("/")[:-1]
        names, owners = self.manifests.plugins, self.manifests.owners
        for depth in range(len(parts), -1, -1):
            folder = "/".join(parts[:depth])
            if name := owners.get(folder) or names.get(folder):
                return name, True
            above = parts[depth - 2] if depth > 1 else self.root_name
            if depth and above == "plugins":
                return display(parts[depth - 1]), True
            if depth and parts[depth - 1] in places.HOST_FOLDERS:
                return parts[depth - 1], False
        return self._root_plugin(), False

    def _root_plugin(self) -> str:
        """The root's name; its host's folder, where all such roots have the same name."""
        place = places.find_place(self.root)
        if place is None or place[0].host == "claude":
            return self.root_name
        return place[0].project[0].split("/")[0]

    def _home(self, path: str) -> str | None:
        """The folder of the plugin that a path belongs to."""
        parts = path.split("/")[:-1]
        folders = ("/".join(parts[:depth]) for depth in range(len(parts), -1, -1))
        known = self.manifests.plugins.keys() | self.manifests.hosts.keys()
        return next((folder for folder in folders if folder in known), None)


def stem_of(file: str) -> tuple[str, str]:
    """(a file's name without its ending, the ending); `.agent.md` is one ending."""
    for ending in (*places.SUFFIXES, *places.RULES):
        if file.lower().endswith(ending) and len(file) > len(ending):
            return file[: -len(ending)], ending
    stem, dot, ending = file.rpartition(".")
    return (stem, f".{ending.lower()}") if dot else (file, "")


def _reject(file: str, stem: str, ending: str, parts: list[str], place: places.Place | None) -> str:
    if _README.fullmatch(stem):
        return "not an entry: a README"
    if _DOCUMENTS.fullmatch(stem):
        return f"not an entry: {file} is a paper about the folder"
    rule_folder = any(
        folder in places.RULE_FOLDERS and above in places.HOST_FOLDERS
        for above, folder in zip(parts, parts[1:], strict=False)
    )
    is_rule = ending in places.RULES and not (place and ending in place.endings)
    if is_rule or _RULES.fullmatch(stem) or rule_folder:
        return RULES
    return ""


def _is_config(folder: str) -> bool:
    """Whether Claude Code keeps its own things there: CLAUDE_CONFIG_DIR may be anywhere."""
    signs = (".claude.json", "settings.json", "plugins/installed_plugins.json", ".credentials.json")
    return any(os.path.isfile(f"{folder}/{sign}") for sign in signs)


def _host(place: places.Place | None) -> str:
    return place.host if place else ""


def _plain(place: places.Place | None) -> bool:
    return place is not None and place.plain


def read_layout(
    tree: Tree, links: list[str], limits: ReadLimits = USUAL, moved: Iterable[tuple[str, str]] = ()
) -> Layout:
    """Which folders of a tree hold which kind, by its manifests and by folder names; `moved` are
    folders of hosts that lie elsewhere, with their usual names."""
    usual = (f"/{name}{tree.root[len(at) :]}" for at, name in moved if is_below(tree.root, at))
    root = next(usual, tree.root)
    root_name = display(posixpath.basename(tree.root) or "root")
    layout = Layout(
        root=root,
        root_name=root_name,
        root_is_kind=root_name in MANIFEST_KINDS and not tree.kind_folders,
        kind_folders=tree.kind_folders or places.find_place(root) is not None,
        skill_folders=frozenset(),
        manifests=read_manifests(tree, limits.max_file_bytes),
        is_config=root_name in MANIFEST_KINDS and _is_config(posixpath.dirname(tree.root)),
    )
    paths = [file.path for file in tree.files] + links
    layout.skill_folders = frozenset(_skill_folders(layout, paths))
    return layout


def _skill_folders(layout: Layout, paths: list[str]) -> set[str]:
    """Folders with a SKILL.md, but for those that hold a whole plugin or all skills."""
    files = (path.rpartition("/") for path in paths)
    folders = {f for f, _, file in files if is_skill_file(file, f.split("/"))}
    plain = {f for f in folders if f and posixpath.basename(f) not in KIND_FOLDERS}
    homes = layout.manifests.plugins
    return {f for f in plain if f not in homes and not _is_plugin_folder(layout, f)}


def is_skill_file(file: str, parts: list[str]) -> bool:
    stem, ending = stem_of(file)
    return ending == ".md" and _is_skill_file(stem, parts)


def _is_skill_file(stem: str, parts: list[str]) -> bool:
    """SKILL.md anywhere, skill.md below a folder `skills`; elsewhere that is an ordinary name."""
    return stem.upper() == "SKILL" and (stem.isupper() or "skills" in parts)


def _is_plugin_folder(layout: Layout, folder: str) -> bool:
    parent, _, _ = folder.rpartition("/")
    return (posixpath.basename(parent) if parent else layout.root_name) == "plugins"
