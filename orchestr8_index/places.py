"""The folders in which each host keeps agents, skills and commands, and how it calls them.

One table for all that must agree: discovery, the reading of trees, `call` in rows, docs/hosts.md.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from .records import KINDS, Entry, Kind


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
    "amp": "Amp",
    "augment": "Auggie",
    "bob": "IBM Bob",
    "cline": "Cline",
    "codebuddy": "CodeBuddy",
    "commandcode": "Command Code",
    "devin": "Devin",
    "droid": "Factory Droid",
    "firebender": "Firebender",
    "forge": "Forge",
    "goose": "goose",
    "grok": "Grok",
    "hermes": "Hermes",
    "junie": "Junie",
    "kimi": "Kimi Code",
    "kiro": "Kiro",
    "lingma": "Lingma",
    "omp": "Oh My Pi",
    "pi": "Pi",
    "qoder": "Qoder",
    "rovodev": "Rovo Dev",
    "shai": "SHAI",
    "tabnine": "Tabnine",
    "trae": "Trae",
    "vibe": "Mistral Vibe",
    "zcode": "ZCode",
    "zed": "Zed",
    "alquimia": "Alquimia",
    "continue": "Continue",
    "crush": "Crush",
    "iflow": "iFlow",
    "openhands": "OpenHands",
    "zencoder": "Zencoder",
    "agents": "`.agents`, which many read (`npx skills`)",
}
_ANY = ("claude", "codex", "copilot", "gemini", "opencode", "cursor", "windsurf", "antigravity")
READ_BY = {
    ("agents", "skill"): (
        *(*_ANY[1:], "qwen", "kilocode", "roo", "amp", "cline", "droid", "goose", "kimi", "pi"),
        *("zed", "bob", "augment", "openhands"),
    ),
    ("claude", "skill"): ("claude", "copilot", "opencode", "cursor"),
    ("claude", "agent"): ("claude", "copilot", "cursor"),
    ("codex", "agent"): ("codex", "cursor"),
    ("codex", "skill"): ("codex", "cursor"),
}
"""Who else reads a host's folders; a host reads its own in any case."""


def _row(
    host: str, kind: Kind, project: str, user: str = "", call: str = "{name}", **more: Any
) -> Place:
    """`project` and `user` are folders with blanks between them; without `user` both are alike."""
    return Place(host, kind, tuple(project.split()), tuple((user or project).split()), call, **more)


def _command(host: str, project: str, user: str = "", call: str = "/{name}", **more: Any) -> Place:
    """A command is a person's, and needs no header."""
    return _row(host, "workflow", project, user, call, **{"by": "person", "plain": True, **more})


def _of(host: str, folder: str, user: str = "", **kinds: str) -> tuple[Place, ...]:
    """The skills of a host that keeps all in one folder, and what else `kinds` names there."""
    rows = []
    for kind in KINDS:
        if name := {"skill": "skills", **kinds}.get(kind):
            at = f"{folder}/{name}", f"{user or folder}/{name}"
            other = _row(host, kind, *at, plain=kind == "agent")
            rows.append(_command(host, *at) if kind == "workflow" else other)
    return tuple(rows)


_MODES = "{0}/agent {0}/agents {0}/mode {0}/modes"
_OPENCODE, _WINDSURF, _ANTIGRAVITY = ".config/opencode", ".codeium/windsurf", ".gemini/antigravity"
_OTHERS = (
    _command("amp", ".agents/commands", ".config/amp/commands"),
    *_of("augment", ".augment", agent="agents", workflow="commands"),
    *_of("bob", ".bob", workflow="commands"),
    *_of("cline", ".cline"),
    _command("cline", ".clinerules/workflows", "Documents/Cline/Workflows", "/{name}.md"),
    *_of("codebuddy", ".codebuddy", agent="agents", workflow="commands"),
    *_of("commandcode", ".commandcode", agent="agents", workflow="commands"),
    *_of("devin", ".devin"),
    *_of("droid", ".factory", agent="droids", workflow="commands"),
    _command("firebender", ".firebender/commands", endings=(".mdc", ".md")),
    *_of("forge", ".forge", "forge", agent="agents", workflow="commands"),
    *_of("goose", ".goose", ".config/goose"),
    _command(
        "goose", ".goose/recipes", ".config/goose/recipes", "{name}", endings=(".yaml", ".yml")
    ),
    *_of("grok", ".grok"),
    *_of("hermes", ".hermes"),
    *_of("junie", ".junie", agent="agents", workflow="commands"),
    *_of("kimi", ".kimi-code"),
    *_of("kimi", ".kimi"),
    *_of("kiro", ".kiro", agent="agents"),
    _command("kiro", ".kiro/prompts", call="@{name}"),
    *_of("lingma", ".lingma", workflow="commands"),
    *_of("omp", ".omp", ".omp/agent", agent="agents", workflow="commands"),
    *_of("pi", ".pi", ".pi/agent", workflow="prompts"),
    *_of("qoder", ".qoder", agent="agents", workflow="commands"),
    *_of("rovodev", ".rovodev", agent="subagents"),
    _command("rovodev", ".rovodev/prompts", call="!{name}", endings=(".prompt.md", ".md")),
    *_of("shai", ".shai", workflow="commands"),
    *_of("tabnine", ".tabnine/agent", agent="agents"),
    _command("tabnine", ".tabnine/agent/commands", call="/{path}", endings=(".toml",), plain=False),
    *_of("trae", ".trae"),
    *_of("vibe", ".vibe"),
    *_of("zcode", ".zcode", workflow="commands"),
    *_of("alquimia", ".alquimia"),
    *_of("continue", ".continue"),
    *_of("crush", ".crush", ".config/crush"),
    *_of("iflow", ".iflow", agent="agents"),
    *_of("openhands", ".openhands"),
    *_of("zencoder", ".zencoder"),
)

_ALL = (
    _row("claude", "agent", ".claude/agents"),
    _row("claude", "skill", ".claude/skills"),
    _row("claude", "workflow", ".claude/commands", call="/{path}"),
    _row("codex", "agent", ".codex/agents", endings=(".toml",)),
    _row("codex", "skill", ".codex/skills", call="${name}"),
    _command("codex", ".codex/prompts", call="/prompts:{name}"),
    _row(
        *("copilot", "agent", ".github/agents .github/chatmodes", ".copilot/agents"),
        endings=(".agent.md", ".chatmode.md", ".md"),
        plain=True,
    ),
    _row("copilot", "skill", ".github/skills", ".copilot/skills"),
    _command("copilot", ".github/prompts", ".config/Code/User/prompts", endings=(".prompt.md",)),
    _row("gemini", "agent", ".gemini/agents"),
    _row("gemini", "skill", ".gemini/skills"),
    _command("gemini", ".gemini/commands", call="/{path}", endings=(".toml",), plain=False),
    _row(
        *("opencode", "agent", _MODES.format(".opencode"), _MODES.format(_OPENCODE), "{path}"),
        plain=True,
        joint="/",
    ),
    _row(
        *("opencode", "skill", ".opencode/skill .opencode/skills"),
        f"{_OPENCODE}/skill {_OPENCODE}/skills",
    ),
    _command(
        *("opencode", ".opencode/command .opencode/commands"),
        f"{_OPENCODE}/command {_OPENCODE}/commands",
        "/{path}",
        joint="/",
    ),
    _row("cursor", "agent", ".cursor/agents", plain=True),
    _row("cursor", "skill", ".cursor/skills"),
    _command("cursor", ".cursor/commands"),
    _row("windsurf", "skill", ".windsurf/skills", f"{_WINDSURF}/skills"),
    _command(
        *("windsurf", ".windsurf/workflows"), f"{_WINDSURF}/workflows {_WINDSURF}/global_workflows"
    ),
    _row("antigravity", "skill", ".agent/skills", f"{_ANTIGRAVITY}/skills"),
    _command(
        *("antigravity", ".agent/workflows .agents/workflows"),
        f"{_ANTIGRAVITY}/workflows {_ANTIGRAVITY}/global_workflows",
    ),
    _row("qwen", "agent", ".qwen/agents"),
    _row("qwen", "skill", ".qwen/skills"),
    _command("qwen", ".qwen/commands", call="/{path}", endings=(".md", ".toml")),
    _row("kilocode", "agent", ".kilo/agents", ".config/kilo/agents", plain=True),
    _row("kilocode", "skill", ".kilocode/skills .kilo/skills", ".kilocode/skills"),
    _command(
        *("kilocode", ".kilocode/workflows .kilo/commands"),
        ".kilocode/workflows .config/kilo/commands",
    ),
    _row("roo", "skill", ".roo/skills"),
    _command("roo", ".roo/commands"),
    _row("agents", "skill", ".agents/skills"),
    *_OTHERS,
)
SKILL_FILE = "SKILL.md"
FLAT = ("claude", "pi")
"""Whose skills may be single files, too; all others' are folders with a SKILL.md."""
PLACES = tuple(
    place._replace(endings=(SKILL_FILE,))
    if place.kind == "skill" and place.host not in FLAT
    else place
    for place in _ALL
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
"""The host that is assumed to ask where none is named."""
QUALIFY = ("claude", "codex")
"""Hosts that put a plugin's name before the names of what it has."""

_FOUND = {
    tuple(path.split("/")): place for place in PLACES for path in (*place.user, *place.project)
}
_DEPTHS = sorted({len(parts) for parts in _FOUND}, reverse=True)
_BY_HOST = {(place.host, place.kind): place for place in PLACES}


@lru_cache(4096)
def find_place(folder: str) -> tuple[Place, int] | None:
    """(the innermost place that an absolute folder lies in, after how many parts that ends)"""
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
    """The host's place for that kind; None where it has none."""
    return _BY_HOST.get((host, kind))


def readers(owner: str, kind: Kind) -> tuple[str, ...]:
    """The hosts that read the folders of `owner`."""
    return READ_BY.get((owner, kind), (owner,))


class Owned(Protocol):
    """Something in the places of hosts: an entry, or the file of one."""

    @property
    def kind(self) -> Kind: ...
    @property
    def owners(self) -> tuple[str, ...]: ...
    @property
    def packed(self) -> bool: ...


def looking_hosts(owned: Owned) -> tuple[str, ...]:
    """The hosts that read the folders that it lies in."""
    if owned.packed:  # where one host has a plugin, no other one looks
        return owned.owners
    return tuple(dict.fromkeys(h for owner in owned.owners for h in readers(owner, owned.kind)))


def hosts_of(entry: Entry) -> tuple[str, ...]:
    """The hosts that would load the entry; none for an entry in no host's place."""
    return tuple(host for host in looking_hosts(entry) if host not in entry.off)


def is_known_to(entry: Entry, host: str) -> bool:
    """Whether the host could start the entry; any host could, if it lies in no host's place."""
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
