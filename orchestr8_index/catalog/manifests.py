"""Reads the manifests of a tree: names of plugins, folders that they move, what they list.

A host loads the plugins that it has installed, and of a plugin only what its manifest lists.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..opening import open_within
from ..places import MANIFESTS
from ..records import Kind
from ..roots import SETTINGS, installed_plugins, switched_off
from ..text import clean
from .walk import INSTALLED, Tree

MANIFEST_KINDS: dict[str, Kind] = {"agents": "agent", "skills": "skill", "commands": "workflow"}
_STORE = re.compile(r"((?:.*/)?\.claude[^/]*/plugins)/(?:cache|marketplaces)/")
Listing = dict[tuple[str, Kind], list[str]]


@dataclass(slots=True)
class Manifests:
    """`plugins` are names by folder, `owners` those of single paths, `moved` kinds by path.

    `listed`: all that a plugin has of a kind, where it lists that; `hosts`: who reads a plugin.
    `installed`: for a folder of Claude Code's own, the paths of what it has installed.
    """

    plugins: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    moved: dict[str, Kind] = field(default_factory=dict)
    listed: Listing = field(default_factory=dict)
    hosts: dict[str, list[str]] = field(default_factory=dict)
    installed: dict[str, frozenset[str]] = field(default_factory=dict)
    skills: frozenset[str] = frozenset()
    troubles: list[tuple[str, str]] = field(default_factory=list)

    def unlisted(self, path: str, home: str, kind: Kind) -> bool:
        """Whether the plugin has a list of that kind, and the path is not in it."""
        listed = self.listed.get((home, kind))
        return listed is not None and not any(is_below(path, place) for place in listed)

    def is_installed(self, path: str) -> bool:
        """False for a path among Claude Code's plugins that is in no installed one."""
        return not any(
            is_below(path, folder) and not any(is_below(path, place) for place in places)
            for folder, places in self.installed.items()
        )


def read_manifests(tree: Tree, most: int) -> Manifests:
    """All manifests in the tree, each read up to `most` bytes."""
    skills = (file.path.rpartition("/") for file in tree.files)
    found = Manifests(skills=frozenset(f for f, _, name in skills if name.upper() == "SKILL.MD"))
    if name := _plugin_of_cache(tree.root):
        found.plugins[""] = name
    for folder in _stores(tree):
        _read_store(found, tree.root, folder)
    installed = [folder for folder in found.plugins if folder]
    for file in sorted(tree.manifests, key=lambda file: _rank(file.path)):
        if not file.path.endswith((INSTALLED, *SETTINGS)):
            _read_manifest(found, tree, file.path, most)
    found.hosts.update(dict.fromkeys(installed, ["claude"]))
    if name:
        store = os.path.normpath(f"{tree.root}/../../../..")
        found.hosts[""] = ["claude" if os.path.isfile(f"{store}/{INSTALLED}") else "codex"]
    return found


def is_below(path: str, folder: str) -> bool:
    """Whether it is that folder or something in it; "" is the folder of all."""
    return not folder or path == folder or path.startswith(f"{folder}/")


def _rank(path: str) -> int:
    """A sort key: of several manifests the first in MANIFESTS names the plugin."""
    return next((n for n, each in enumerate(MANIFESTS) if path.endswith(each)), -1)


def _plugin_of_cache(root: str) -> str:
    """The plugin of a root `…/plugins/cache/MARKET/PLUGIN/VERSION`, as it is installed; else ""."""
    parts = root.split("/")
    return parts[-2] if parts[-5:-3] == ["plugins", "cache"] else ""


def _stores(tree: Tree) -> set[str]:
    """The folders `plugins` of Claude Code in the tree, and the one that it is or lies in."""
    found = {posixpath.dirname(f.path) for f in tree.manifests if f.path.endswith(INSTALLED)}
    for file in tree.files:
        if match := _STORE.match(f"{posixpath.basename(tree.root)}/{file.path}"):
            found.add(match[1].partition("/")[2])
    above = tree.root.split("/")
    for depth in range(1, 4):
        if above[-depth:][:1] == ["cache"] and above[-depth - 1] == "plugins":
            found.add("/".join([".."] * depth))
    return found


def _read_store(found: Manifests, root: str, folder: str) -> None:
    store = Path(os.path.normpath(f"{root}/{folder}"))
    off = dict.fromkeys(switched_off(store.parent), False)
    paths = set()
    for name, place in installed_plugins(store / INSTALLED, None, off, everywhere=True).items():
        path = os.path.relpath(os.path.realpath(place), root).replace(os.sep, "/")
        paths.add(path)
        if not path.startswith(".."):
            found.plugins[path] = clean(name.partition("@")[0])
    for part in ("cache", "marketplaces"):
        within = os.path.relpath(store / part, root)
        found.installed["" if within.startswith(("..", ".")) else within] = frozenset(paths)


def _read_manifest(found: Manifests, tree: Tree, path: str, most: int) -> None:
    home = _home(path)
    try:
        with open(open_within((tree.root,), tree.root, path), "rb") as file:
            data = json.loads(file.read(most + 1))
    except (OSError, ValueError, RecursionError) as error:
        found.troubles.append((path, f"the manifest cannot be read: {type(error).__name__}"))
        return
    if not isinstance(data, dict):
        found.troubles.append((path, "the manifest is not a JSON object"))
    elif path.endswith("marketplace.json"):
        _read_marketplace(found, tree, home, path, data)
    else:
        _read_plugin(found, home, path, data)


def _home(path: str) -> str:
    """The folder that a manifest is about."""
    manifest = next(each for each in MANIFESTS if path.endswith(each))
    return path.removesuffix(manifest).rstrip("/")


def _read_plugin(found: Manifests, home: str, path: str, data: dict[str, Any]) -> None:
    name = data.get("name")
    found.hosts.setdefault(home, []).append(MANIFESTS[path[len(home) :].lstrip("/")])
    if isinstance(name, str) and clean(name):
        if len(found.hosts[home]) == 1:
            found.plugins[home] = clean(name)
    else:
        found.troubles.append((path, "the manifest has no name"))
    for kind, places in _moves(found, home, path, data):
        _list(found, home, kind, places)


def _read_marketplace(
    found: Manifests, tree: Tree, home: str, path: str, data: dict[str, Any]
) -> None:
    """Plugins that live in this tree: their folder's name, and what the listing says of them.

    In a copy that was installed for one plugin, only that plugin counts.
    """
    named = data.get("plugins")
    plugins = [each for each in named if isinstance(each, dict)] if isinstance(named, list) else []
    only = _plugin_of_cache(tree.root) if not home else ""
    by_folder: dict[str, list[dict[Kind, list[str]]]] = {}
    for plugin in plugins:
        name, source = plugin.get("name"), plugin.get("source")
        if not isinstance(source, str) or not isinstance(name, str):
            continue
        if only and any(each.get("name") == only for each in plugins) and name != only:
            continue
        folder = _resolved(home, source)
        if folder.startswith(".."):
            found.troubles.append((path, f"source {source} leads out of the tree"))
            continue
        if folder != home:
            found.plugins.setdefault(folder, clean(name))
        found.hosts.setdefault(folder, []).append(MANIFESTS[path[len(home) :].lstrip("/")])
        moves = dict(_moves(found, folder, path, plugin))
        by_folder.setdefault(folder, []).append(moves)
        if folder == home:
            places = (place for listed in moves.values() for place in listed)
            found.owners.update({place: clean(name) for place in places})
    for folder, listings in by_folder.items():
        for kind in MANIFEST_KINDS.values():
            if all(kind in listing for listing in listings):
                _list(found, folder, kind, [p for each in listings for p in each[kind]])


def _moves(
    found: Manifests, home: str, path: str, data: dict[str, Any]
) -> Iterator[tuple[Kind, list[str]]]:
    """(kind, the valid paths that a manifest names for it), for each kind with any path."""
    for key, kind in MANIFEST_KINDS.items():
        places = [_move(found, home, path, place, kind) for place in _paths(data.get(key))]
        if places:
            yield kind, [place for place in places if place is not None]


def _move(found: Manifests, home: str, path: str, folder: str, kind: Kind) -> str | None:
    place = posixpath.normpath(posixpath.join(home, folder))
    place = "" if place == "." else place
    if place.startswith(("..", "/")) or not is_below(place, home):
        found.troubles.append((path, f"{folder} leads out of the plugin and is not followed"))
        return None
    if place != home:
        found.moved[place] = kind
    return place


def _list(found: Manifests, home: str, kind: Kind, places: list[str]) -> None:
    """Note the list of a kind; of skills only if it names one by its own folder."""
    one_by_one = any(place in found.skills for place in places)
    if places and (kind != "skill" or one_by_one):
        found.listed.setdefault((home, kind), []).extend(places)


def _resolved(home: str, source: str) -> str:
    folder = posixpath.normpath(posixpath.join(home, source)).removeprefix("./")
    return "" if folder == "." else folder


def _paths(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str) and item]
