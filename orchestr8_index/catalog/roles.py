"""Reads the roles of the registry, and finds the agents that exist for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from ..config import USUAL, ReadLimits
from ..opening import read_within
from ..records import Finding, ResolvedRole, Role
from ..text import clean, fold_name
from .frontmatter import Hostile, load_strict
from .parse import labels
from .yaml_errors import describe


def read_registry(
    root: str, path: str, limits: ReadLimits = USUAL
) -> tuple[list[Role], list[Finding]]:
    """The roles of one registry file; what cannot be read is a finding, never an exception."""
    most = limits.max_file_bytes
    try:
        data = read_within((root,), root, path, most)
        if len(data) > most:
            return [], [_trouble(path, None, f"the registry is over {most:,} bytes")]
        text = data.decode("utf-8", "replace")
        loaded = load_strict(text, limits)
    except OSError as error:
        return [], [_trouble(path, None, f"the registry cannot be read: {error.strerror}")]
    except Hostile as error:
        return [], [_trouble(path, error.line + 1, str(error))]
    except yaml.YAMLError as error:
        why, line = describe(error, text)
        at = None if line is None else line + 1
        return [], [_trouble(path, at, f"the registry cannot be read: {why}")]
    roles = loaded.get("roles") if isinstance(loaded, dict) else None
    if not isinstance(roles, dict):
        return [], [_trouble(path, 1, "the registry has no `roles:` mapping")]
    found = [_role(str(name), body, path, text) for name, body in roles.items()]
    wrong = [
        _trouble(path, _line(text, str(name)), f"role {clean(str(name))} has no primary agent")
        for name, body in roles.items()
        if not isinstance(body, dict) or not body.get("primary")
    ]
    return [role for role in found if role.primary or role.fallbacks], wrong


def _role(name: str, body: Any, path: str, text: str) -> Role:
    fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
    primary = labels(fields.get("primary"))
    return Role(
        name=clean(name),
        primary=primary[0] if primary else "",
        fallbacks=labels(fields.get("fallbacks")),
        capabilities=labels(fields.get("capabilities")),
        model=clean(str(fields.get("model") or "")),
        use_when=clean(str(fields.get("use_when") or "")),
        path=path,
        line=_line(text, name),
    )


def _line(text: str, name: str) -> int | None:
    match = re.search(rf"^\s*[\"']?{re.escape(name)}[\"']?\s*:", text, re.MULTILINE)
    return text.count("\n", 0, match.end()) + 1 if match else None


def _trouble(path: str, line: int | None, message: str) -> Finding:
    return Finding("registry", "error", "", path, line, message, "Mend the registry file.")


class Directory:
    """Finds agents by what a registry may call them: `plugin:name`, or a bare name."""

    def __init__(self, agents: Iterable[tuple[str, str, str]]) -> None:
        """`agents` are (plugin, name, stem) in the order of their positions."""
        self._positions: dict[str, int] = {}
        listed = list(agents)
        for place, (plugin, name, _) in enumerate(listed):
            self._positions.setdefault(f"{fold_name(plugin)}:{fold_name(name)}", place)
        for place, (plugin, name, stem) in enumerate(listed):
            self._positions.setdefault(f"{fold_name(plugin)}:{fold_name(stem)}", place)
            self._positions.setdefault(fold_name(name), place)
        for place, (_, _, stem) in enumerate(listed):
            self._positions.setdefault(fold_name(stem), place)

    def find(self, reference: str) -> int | None:
        """The agent's position; a qualified reference never falls back to the bare name."""
        plugin, colon, name = reference.rpartition(":")
        key = f"{fold_name(plugin)}:{fold_name(name)}" if colon else fold_name(name)
        return self._positions.get(key)


def resolve(role: Role, directory: Directory) -> ResolvedRole:
    """The agents that exist for a role, in its order, and the names that no agent has."""
    agents: dict[int, None] = {}
    missing = []
    for reference in filter(None, (role.primary, *role.fallbacks)):
        place = directory.find(reference)
        if place is None:
            missing.append(reference)
        else:
            agents[place] = None
    return ResolvedRole(role, tuple(agents), tuple(missing))


def dangling(resolved: ResolvedRole) -> list[Finding]:
    """Findings about the role's references that name no agent."""
    role, found = resolved.role, bool(resolved.agents)
    return [
        Finding(
            rule="dangling-role",
            severity="warning" if found else "error",
            entry=role.name,
            path=role.path,
            line=role.line,
            message=f"role {role.name}: its {_place(role, name)} {name} does not exist",
            cure=f"Add the agent {name}, or take it out of the registry.",
        )
        for name in resolved.missing
    ]


def _place(role: Role, name: str) -> str:
    return "primary agent" if name == role.primary else "fallback"
