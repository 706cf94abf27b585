"""The table of hosts: where each keeps what kind, and how it calls an entry. places.py reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .records import KINDS, Kind


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

_OPENCODE = (".config/opencode",)
_WINDSURF, _ANTIGRAVITY = ".codeium/windsurf", ".gemini/antigravity"


def _both(folders: Sequence[str], *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for folder in folders for name in names)


def _of(host: str, folder: str, user: str = "", **kinds: str) -> tuple[Place, ...]:
    """The skills of a host that keeps all in one folder, and what else `kinds` names there.

    Its commands are a person's.
    """
    named = {"skill": "skills", **kinds}
    rows = []
    for kind in KINDS:
        if name := named.get(kind):
            at = (f"{folder}/{name}",), (f"{user or folder}/{name}",)
            row = Place(host, kind, *at, plain=kind != "skill")
            is_command = kind == "workflow"
            rows.append(row._replace(call="/{name}", by="person") if is_command else row)
    return tuple(rows)


_OTHERS = (
    Place(
        *("amp", "workflow", (".agents/commands",), (".config/amp/commands",), "/{name}"),
        by="person",
        plain=True,
    ),
    *_of("augment", ".augment", agent="agents", workflow="commands"),
    *_of("bob", ".bob", workflow="commands"),
    *_of("cline", ".cline"),
    Place(
        *("cline", "workflow", (".clinerules/workflows",), ("Documents/Cline/Workflows",)),
        call="/{name}.md",
        by="person",
        plain=True,
    ),
    *_of("codebuddy", ".codebuddy", agent="agents", workflow="commands"),
    *_of("commandcode", ".commandcode", agent="agents", workflow="commands"),
    *_of("devin", ".devin"),
    *_of("droid", ".factory", agent="droids", workflow="commands"),
    Place(
        *("firebender", "workflow", (".firebender/commands",), (".firebender/commands",)),
        call="/{name}",
        by="person",
        endings=(".mdc", ".md"),
        plain=True,
    ),
    *_of("forge", ".forge", "forge", agent="agents", workflow="commands"),
    *_of("goose", ".goose", ".config/goose"),
    Place(
        *("goose", "workflow", (".goose/recipes",), (".config/goose/recipes",)),
        by="person",
        endings=(".yaml", ".yml"),
        plain=True,
    ),
    *_of("grok", ".grok"),
    *_of("hermes", ".hermes"),
    *_of("junie", ".junie", agent="agents", workflow="commands"),
    *_of("kimi", ".kimi-code"),
    *_of("kimi", ".kimi"),
    *_of("kiro", ".kiro", agent="agents"),
    Place(
        *("kiro", "workflow", (".kiro/prompts",), (".kiro/prompts",), "@{name}"),
        by="person",
        plain=True,
    ),
    *_of("lingma", ".lingma", workflow="commands"),
    *_of("omp", ".omp", ".omp/agent", agent="agents", workflow="commands"),
    *_of("pi", ".pi", ".pi/agent", workflow="prompts"),
    *_of("qoder", ".qoder", agent="agents", workflow="commands"),
    *_of("rovodev", ".rovodev", agent="subagents"),
    Place(
        *("rovodev", "workflow", (".rovodev/prompts",), (".rovodev/prompts",), "!{name}"),
        by="person",
        endings=(".prompt.md", ".md"),
        plain=True,
    ),
    *_of("shai", ".shai", workflow="commands"),
    *_of("tabnine", ".tabnine/agent", agent="agents"),
    Place(
        *("tabnine", "workflow", (".tabnine/agent/commands",), (".tabnine/agent/commands",)),
        call="/{path}",
        by="person",
        endings=(".toml",),
    ),
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
    Place("kilocode", "agent", (".kilo/agents",), (".config/kilo/agents",), plain=True),
    Place("kilocode", "skill", (".kilocode/skills", ".kilo/skills"), (".kilocode/skills",)),
    Place(
        *("kilocode", "workflow", (".kilocode/workflows", ".kilo/commands")),
        (".kilocode/workflows", ".config/kilo/commands"),
        call="/{name}",
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
