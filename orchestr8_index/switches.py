"""Reads which skills, agents and commands a user has switched off in a host's own settings.

Only what the hosts document counts: `skillOverrides` and denied skills and agents of Claude Code,
`[[skills.config]]` of Codex, `skills.disabled` and `agents.overrides` of Gemini CLI, disabled
agents and denied skills of opencode. Also reads what a host defines in its settings instead of in
files: the agents and commands of opencode.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from .places import PLACES
from .records import Kind
from .roots import MANAGED, SETTINGS, claude_folder, moved_place, read_json, read_toml

State = Literal["on", "off", "user", "declared"]
SKILLS: tuple[Kind, ...] = ("skill", "workflow")
AGENTS: tuple[Kind, ...] = ("agent",)
_DENIED = re.compile(r"(Skill|Agent|Task)\(([^()*]+?)(?:[ :]\*)?\)")
_BUILT_IN = frozenset("build plan general explore scout compaction title summary".split())
_NOBODYS = frozenset({"", ".agents", ".agent", ".config"})  # folders that belong to no one host
Rule = tuple[tuple[Kind, ...], str, State]


class HostFile(NamedTuple):
    """A file of settings; `own`: it is the project's."""

    host: str
    path: str
    own: bool = False


class Switch(Struct, frozen=True):
    """`what` is a name, `plugin:name`, a pattern, or the path of a skill; `user`: only a person
    may start it; `declared`: the settings define it. `file` has the rule; `own`: the project's."""

    host: str
    kinds: tuple[Kind, ...]
    what: str
    state: State
    file: str
    own: bool = False

    def fits(self, kind: Kind, names: Collection[str], path: str) -> bool:
        """Whether it applies to the entry of these names in the file at that resolved path."""
        if kind not in self.kinds:
            return False
        if os.path.isabs(self.what):
            return os.path.realpath(self.what) in (path, os.path.dirname(path))
        return any(fnmatchcase(name, self.what) for name in names)


class Switches(Struct, frozen=True):
    """`rows` in the order in which they count, the last one most. `here` are the hosts that have a
    folder of theirs, each with whether only the project has one."""

    rows: tuple[Switch, ...] = ()
    here: tuple[tuple[str, bool], ...] = ()

    @property
    def shared(self) -> Switches:
        """The user's own switches, which apply to every project."""
        rows = tuple(row for row in self.rows if not row.own)
        return Switches(rows, tuple(each for each in self.here if not each[1]) if rows else ())

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts with any switch."""
        return frozenset(row.host for row in self.rows)

    def of(self, host: str, kind: Kind, names: Collection[str], path: str) -> Switch | None:
        """The host's last switch that applies to the entry."""
        mine = (row for row in reversed(self.rows) if row.host == host and row.state != "declared")
        return next((row for row in mine if row.fits(kind, names, path)), None)

    def declared(self) -> Iterator[Switch]:
        """What settings define and do not switch off, each once, from the last file with it."""
        found = {(r.host, r.kinds[0], r.what): r for r in self.rows if r.state == "declared"}
        for (host, kind, name), row in found.items():
            switch = self.of(host, kind, (name,), "")
            if switch is None or switch.state != "off":
                yield row


NOTHING = Switches()


def settings_files(home: Path, env: Mapping[str, str], project: Path | None) -> list[HostFile]:
    """The settings of the hosts, there or not, in the order in which they count."""
    config, codex = claude_folder(home, env), moved_place(".codex/config.toml", home, env)
    files = [HostFile("claude", str(config / SETTINGS[0])), HostFile("codex", str(codex))]
    files.append(HostFile("gemini", str(moved_place(".gemini/settings.json", home, env))))
    opencode = moved_place(".config/opencode/opencode.json", home, env)
    files += [HostFile("opencode", f"{opencode}{ending}") for ending in ("", "c")]
    if project:
        files += [HostFile("claude", str(project / ".claude" / name), True) for name in SETTINGS]
        files.append(HostFile("gemini", str(project / ".gemini/settings.json"), True))
        for name in ("opencode.json", ".opencode/opencode.json"):
            both = (str(project / f"{name}{ending}") for ending in ("", "c"))
            files += [HostFile("opencode", path, True) for path in both]
    managed = (HostFile("claude", f"{each}/managed-settings.json") for each in MANAGED)
    return [*files, *managed]


def read_switches(files: Sequence[HostFile], home: str, project: str) -> Switches:
    """The switches in the files now; a file that cannot be read has none."""
    rows = tuple(row for file in files for row in _read(file))
    if not rows:
        return NOTHING
    levels = ((home, False), (project, True))
    here = {host: own for level, own in reversed(levels) if level for host in _hosts_in(level)}
    return Switches(rows, tuple(sorted(here.items())))


def _hosts_in(level: str) -> Iterator[str]:
    for place in PLACES:
        folders = {os.path.dirname(path) for path in (*place.project, *place.user)} - _NOBODYS
        if any(os.path.isdir(os.path.join(level, folder)) for folder in folders):
            yield place.host


def _read(file: HostFile) -> Iterator[Switch]:
    settings = (read_toml if file.host == "codex" else read_json)(Path(file.path))
    for kinds, what, state in _FROM[file.host](settings):
        if isinstance(what, str) and what and what.encode("utf-8", "ignore").decode() == what:
            yield Switch(file.host, kinds, what, state, file.path, file.own)


def _of_claude(settings: dict[str, Any]) -> Iterator[Rule]:
    states: dict[Any, State] = {"off": "off", "user-invocable-only": "user"}
    for name, value in _items(settings.get("skillOverrides")):
        yield SKILLS, name, states.get(value if isinstance(value, str) else "", "on")
    for rule in _list(_table(settings.get("permissions")).get("deny")):
        if denied := _DENIED.fullmatch(str(rule)):
            of_skill = denied[1] == "Skill"
            yield SKILLS if of_skill else AGENTS, denied[2].strip(), "user" if of_skill else "off"


def _of_codex(settings: dict[str, Any]) -> Iterator[Rule]:
    for each in _list(_table(settings.get("skills")).get("config")):
        rule = _table(each)
        what = rule.get("path") or rule.get("name")
        yield ("skill",), what, "off" if rule.get("enabled") is False else "on"  # type: ignore[misc]


def _of_gemini(settings: dict[str, Any]) -> Iterator[Rule]:
    skills = _table(settings.get("skills"))
    if skills.get("enabled") is False:
        yield ("skill",), "*", "off"
    for name in _list(skills.get("disabled")):
        yield ("skill",), name, "off"
    for name, rule in _items(_table(settings.get("agents")).get("overrides")):
        yield AGENTS, name, "off" if _table(rule).get("enabled") is False else "on"


def _of_opencode(settings: dict[str, Any]) -> Iterator[Rule]:
    """opencode merges its files: one without `disable` leaves it as it was."""
    for name, value in (*_items(settings.get("mode")), *_items(settings.get("agent"))):
        rule = _table(value)
        if name not in _BUILT_IN and rule.keys() - {"disable"}:
            yield AGENTS, name, "declared"
        if isinstance(off := rule.get("disable"), bool):
            yield AGENTS, name, "off" if off else "on"
    for name, value in _items(settings.get("command")):
        if _table(value).get("template"):
            yield ("workflow",), name, "declared"
    for pattern, value in _items(_table(settings.get("permission")).get("skill")):
        yield ("skill",), pattern, "off" if value == "deny" else "on"


_FROM = {"claude": _of_claude, "codex": _of_codex, "gemini": _of_gemini, "opencode": _of_opencode}


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> Iterable[tuple[str, Any]]:
    return _table(value).items()


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
