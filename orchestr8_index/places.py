"""Where does each host keep what can be called, and by which name does it call it?

One table for all that must agree: discovery, the reading of trees, `call` in rows, docs/hosts.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from .records import KINDS, PLURAL, Entry, Kind


class Place(NamedTuple):
    """Folders of one host for one kind. `project` are below a project, `user` below the home.

    `call` is how the host names an entry: {name} the entry's own, {path} with the folders between
    the place and the file, joined by `joint`; `by` says who may call. `plain`: the host takes name
    and description from elsewhere than a header, so that a file without one is as it should be.
    """

    host: str
    kind: Kind
    project: tuple[str, ...]
    user: tuple[str, ...] = ()
    call: str = "{name}"
    by: str = "model"
    endings: tuple[str, ...] = (".md",)
    plain: bool = False
    joint: str = ":"


TITLES = {
    "claude": "Claude Code",
    "codex": "Codex",
    "copilot": "GitHub Copilot, VS Code",
    "gemini": "Gemini CLI",
    "opencode": "opencode",
    "cursor": "Cursor",
    "windsurf": "Windsurf",
    "antigravity": "Antigravity",
    "qwen": "Qwen Code",
    "kilocode": "Kilo Code",
    "roo": "Roo Code",
    "agents": "`.agents`, which many read (`npx skills`)",
}
_ANY = ("claude", "codex", "copilot", "gemini", "opencode", "cursor", "windsurf", "antigravity")
READ_BY = {
    ("agents", "skill"): (*_ANY[1:], "qwen", "kilocode", "roo"),
    ("claude", "skill"): ("claude", "copilot", "opencode", "cursor"),
    ("claude", "agent"): ("claude", "copilot", "cursor"),
    ("codex", "agent"): ("codex", "cursor"),
    ("codex", "skill"): ("codex", "cursor"),
}
"""Who else reads a host's folders; a host reads its own in any case."""

_OPENCODE = (".config/opencode",)
_WINDSURF, _ANTIGRAVITY = ".codeium/windsurf", ".gemini/antigravity"


def _both(folders: Sequence[str], *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for folder in folders for name in names)


PLACES = (
    Place("claude", "agent", (".claude/agents",), (".claude/agents",)),
    Place("claude", "skill", (".claude/skills",), (".claude/skills",)),
    Place("claude", "workflow", (".claude/commands",), (".claude/commands",), "/{path}"),
    Place("codex", "agent", (".codex/agents",), (".codex/agents",), endings=(".toml",)),
    Place("codex", "skill", (".codex/skills",), (".codex/skills",), "${name}"),
    Place(
        *("codex", "workflow", (".codex/prompts",), (".codex/prompts",), "/prompts:{name}"),
        by="person",
        plain=True,
    ),
    Place(
        *("copilot", "agent", (".github/agents", ".github/chatmodes"), (".copilot/agents",)),
        endings=(".agent.md", ".chatmode.md", ".md"),
        plain=True,
    ),
    Place("copilot", "skill", (".github/skills",), (".copilot/skills",)),
    Place(
        *("copilot", "workflow", (".github/prompts",), (".config/Code/User/prompts",), "/{name}"),
        by="person",
        endings=(".prompt.md",),
        plain=True,
    ),
    Place("gemini", "agent", (".gemini/agents",), (".gemini/agents",)),
    Place("gemini", "skill", (".gemini/skills",), (".gemini/skills",)),
    Place(
        *("gemini", "workflow", (".gemini/commands",), (".gemini/commands",), "/{path}"),
        by="person",
        endings=(".toml",),
    ),
    Place(
        *("opencode", "agent", _both((".opencode",), "agent", "agents", "mode", "modes")),
        _both(_OPENCODE, "agent", "agents", "mode", "modes"),
        call="{path}",
        plain=True,
        joint="/",
    ),
    Place(
        *("opencode", "skill", _both((".opencode",), "skill", "skills")),
        _both(_OPENCODE, "skill", "skills"),
    ),
    Place(
        *("opencode", "workflow", _both((".opencode",), "command", "commands")),
        _both(_OPENCODE, "command", "commands"),
        call="/{path}",
        by="person",
        plain=True,
        joint="/",
    ),
    Place("cursor", "agent", (".cursor/agents",), (".cursor/agents",), plain=True),
    Place("cursor", "skill", (".cursor/skills",), (".cursor/skills",)),
    Place(
        *("cursor", "workflow", (".cursor/commands",), (".cursor/commands",), "/{name}"),
        by="person",
        plain=True,
    ),
    Place("windsurf", "skill", (".windsurf/skills",), (f"{_WINDSURF}/skills",)),
    Place(
        *("windsurf", "workflow", (".windsurf/workflows",)),
        (f"{_WINDSURF}/workflows", f"{_WINDSURF}/global_workflows"),
        call="/{name}",
        by="person",
        plain=True,
    ),
    Place("antigravity", "skill", (".agent/skills",), (f"{_ANTIGRAVITY}/skills",)),
    Place(
        *("antigravity", "workflow", (".agent/workflows", ".agents/workflows")),
        (f"{_ANTIGRAVITY}/workflows", f"{_ANTIGRAVITY}/global_workflows"),
        call="/{name}",
        by="person",
        plain=True,
    ),
    Place("qwen", "agent", (".qwen/agents",), (".qwen/agents",)),
    Place("qwen", "skill", (".qwen/skills",), (".qwen/skills",)),
    Place(
        *("qwen", "workflow", (".qwen/commands",), (".qwen/commands",), "/{path}"),
        by="person",
        endings=(".md", ".toml"),
        plain=True,
    ),
    Place("kilocode", "skill", (".kilocode/skills",), (".kilocode/skills",)),
    Place(
        *("kilocode", "workflow", (".kilocode/workflows",), (".kilocode/workflows",), "/{name}"),
        by="person",
        plain=True,
    ),
    Place("roo", "skill", (".roo/skills",), (".roo/skills",)),
    Place(
        *("roo", "workflow", (".roo/commands",), (".roo/commands",), "/{name}"),
        by="person",
        plain=True,
    ),
    Place("agents", "skill", (".agents/skills",), (".agents/skills",)),
)
"""In the order of precedence of the hosts; a host's own order is in docs/hosts.md."""

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


def hosts_of(entry: Entry) -> tuple[str, ...]:
    """The hosts that would load the entry; none named for what lies in no host's place."""
    return tuple(dict.fromkeys(h for owner in entry.owners for h in readers(owner, entry.kind)))


def is_known_to(entry: Entry, host: str) -> bool:
    """Whether the host could start it; what lies in nobody's place could be anybody's."""
    known = hosts_of(entry)
    return not known or host in known


def is_foreign_to(entry: Entry, host: str) -> bool:
    """Whether it lies in another host's folder, and is of a kind that only its host can start.

    A skill can be read by anybody, and a plugin could be installed.
    """
    return entry.kind != "skill" and not entry.packed and not is_known_to(entry, host)


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


def rows_of_document() -> Iterator[str]:
    """The table of docs/hosts.md, line by line."""
    yield "| host | kind | in a project | of the user | endings | called as | by |"
    yield "|---|---|---|---|---|---|---|"
    for host, title in TITLES.items():
        for kind in KINDS:
            place = place_of(host, kind)
            if place is not None:
                user = ", ".join(f"`~/{path}`" for path in place.user)
                here = ", ".join(f"`{path}`" for path in place.project)
                ends = ", ".join(f"`{ending}`" for ending in place.endings)
                said = f"{title} | {PLURAL[kind]} | {here} | {user} | {ends}"
                yield f"| {said} | `{place.call}` | {place.by} |"
