"""Which trees are indexed: those named, else those found here, else the example that ships."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .environment import REPOSITORY, expand
from .errors import BadSetting
from .project import find_project

SHIPPED = "the shipped plugins_fixture"


def choose_roots(
    roots: Sequence[str], env: Mapping[str, str], cwd: Path, home: Path
) -> tuple[tuple[str, ...], str]:
    """Absolute, resolved folders in order of precedence, and where they were named.

    Raises BadSetting for one that is no folder.
    """
    if roots:
        return _folders(roots, cwd, home, "--root"), "--root"
    if listed := [part for part in env.get("MCP_ROOTS", "").split(os.pathsep) if part.strip()]:
        return _folders(listed, cwd, home, "MCP_ROOTS"), "MCP_ROOTS"
    project = find_project(str(cwd), str(home))
    tree = Path(project.tree) if project else cwd.resolve()
    if tree != REPOSITORY and (found := discovered_roots(tree, home)):
        return found, "found here"
    return (str(fixture_root()),), SHIPPED


def _folders(roots: Sequence[str], cwd: Path, home: Path, origin: str) -> tuple[str, ...]:
    chosen: dict[str, None] = {}
    for root in roots:
        path = expand(root, home, cwd)
        if not os.path.isdir(path):
            raise BadSetting(f"{origin} {root} is not a folder.", "Name a folder that exists.")
        chosen[str(path.resolve())] = None
    return tuple(chosen)


def discovered_roots(cwd: Path, home: Path) -> tuple[str, ...]:
    """The current folder's trees first, then the user's own, then the installed plugins.

    The home folder is no project: what lies there is the user's own."""
    user = home / ".claude"
    places = [] if cwd == home.resolve() else [cwd / "plugins", cwd / ".claude"]
    places += [user / kind for kind in ("agents", "skills", "commands")]
    places += installed_plugins(user / "plugins" / "installed_plugins.json")
    found = {str(place.resolve()): None for place in places if os.path.isdir(place)}
    return tuple(found)


def installed_plugins(listing: Path) -> list[Path]:
    """Install paths that the host's own list names; an absent or foreign list names none."""
    try:
        plugins = json.loads(listing.read_text(encoding="utf-8"))["plugins"]
        installs = [install for each in plugins.values() for install in _as_list(each)]
        return sorted(Path(install["installPath"]) for install in installs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def fixture_root() -> Path:
    shipped = Path(__file__).resolve().parent / "plugins_fixture"
    return shipped if shipped.is_dir() else REPOSITORY / "plugins_fixture"


def _as_list(value: object) -> list[dict[str, str]]:
    return value if isinstance(value, list) else [value]  # type: ignore[list-item]
