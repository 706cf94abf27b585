"""Where does each host keep what can be called, and by which name does it call it?

One table (host_table.py) for all that must agree: discovery, the reading of trees, `call` in rows,
docs/hosts.md.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from .host_table import PLACES, READ_BY, Place
from .records import Entry, Kind

SUFFIXES: dict[str, Kind] = {
    ".agent.md": "agent",
    ".chatmode.md": "agent",
    ".prompt.md": "workflow",
}
"""Endings that say what a file is, wherever it lies."""
RULES = (".mdc", ".instructions.md")
RULE_FOLDERS = frozenset({"rules", "instructions", "steering"})
ENDINGS = (".md", ".mdc", ".mdx", ".markdown", ".toml", ".yaml", ".yml")
"""Texts that someone may have meant to be an entry."""
HOST_FOLDERS = tuple(dict.fromkeys(path.split("/")[0] for p in PLACES for path in p.project))
MANIFESTS = {
    ".claude-plugin/plugin.json": "claude",
    ".claude-plugin/marketplace.json": "claude",
    ".codex-plugin/plugin.json": "codex",
    ".agents/plugins/marketplace.json": "codex",
    ".github/plugin/plugin.json": "copilot",
    ".github/plugin/marketplace.json": "copilot",
    ".cursor-plugin/plugin.json": "cursor",
    "gemini-extension.json": "gemini",
}
"""Files that make a folder a plugin or a list of plugins, and the host that reads them."""

DEFAULT_HOST = "claude"
"""Who is taken to ask where nothing says so."""
QUALIFY = ("claude", "codex")
"""Hosts that put a plugin's name before the names of what it has."""

_FOUND = {
    tuple(path.split("/")): place for place in PLACES for path in (*place.user, *place.project)
}
_DEPTHS = sorted({len(parts) for parts in _FOUND}, reverse=True)
_BY_HOST = {(place.host, place.kind): place for place in PLACES}


@lru_cache(4096)
def find_place(folder: str) -> tuple[Place, int] | None:
    """The innermost place that an absolute folder lies in, and where in its parts that ends."""
    parts = tuple(folder.split("/"))
    for end in range(len(parts), 0, -1):
        for depth in _DEPTHS:
            place = _FOUND.get(parts[max(0, end - depth) : end])
            if place is not None:
                return place, end
    return None


def is_place(folder: str) -> bool:
    """Whether a host keeps entries right in that absolute folder."""
    parts = tuple(folder.rsplit("/", _DEPTHS[0])[1:])
    return any(parts[-depth:] in _FOUND for depth in _DEPTHS)


def place_of(host: str, kind: Kind) -> Place | None:
    """How the host keeps that kind; None where it has no such thing."""
    return _BY_HOST.get((host, kind))


def readers(owner: str, kind: Kind) -> tuple[str, ...]:
    """The hosts that load what lies in the folders of `owner`."""
    return READ_BY.get((owner, kind), (owner,))


class Owned(Protocol):
    """What lies in the places of hosts: an entry, or the file of one."""

    @property
    def kind(self) -> Kind: ...
    @property
    def owners(self) -> tuple[str, ...]: ...
    @property
    def packed(self) -> bool: ...


def looking_hosts(owned: Owned) -> tuple[str, ...]:
    """The hosts that look where it lies."""
    if owned.packed:  # where one host has a plugin, no other one looks
        return owned.owners
    return tuple(dict.fromkeys(h for owner in owned.owners for h in readers(owner, owned.kind)))


def hosts_of(entry: Entry) -> tuple[str, ...]:
    """The hosts that would load the entry; none named for what lies in no host's place."""
    return tuple(host for host in looking_hosts(entry) if host not in entry.off)


def is_known_to(entry: Entry, host: str) -> bool:
    """Whether the host could start it; what lies in nobody's place could be anybody's."""
    return not (known := looking_hosts(entry)) or host in known and host not in entry.off


def is_foreign_to(entry: Entry, host: str) -> bool:
    """Whether it lies in another host's folder, and is of a kind that only its host can start.

    A skill can be read by anybody, and a plugin could be installed, unless the user switched it off
    in that host.
    """
    if entry.kind == "skill" or entry.packed:
        return host in entry.off
    return not is_known_to(entry, host)


def call_of(entry: Entry, host: str = DEFAULT_HOST) -> str:
    """The name by which the host starts the entry; "" where it does not know it."""
    if not is_known_to(entry, host):
        return ""
    place = place_of(host, entry.kind)
    if place is None:
        return entry.name
    folders = entry.folders.split("/") if entry.folders else []
    name = entry.stem if entry.kind == "workflow" else entry.name
    name = name.removeprefix(":".join((*folders, "")))
    if entry.packed and host in QUALIFY:
        name = path = ":".join((entry.plugin, *folders, name))
    else:
        path = place.joint.join((*folders, name))
    return place.call.format(name=name, path=path)
