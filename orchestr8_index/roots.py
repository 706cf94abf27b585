"""Which trees are indexed: those named, else those that the hosts read here, else the example.

The places of the hosts stand in places.py; here is which of them are there, and in which order.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .environment import REPOSITORY, named_path
from .errors import BadSetting
from .opening import read_regular
from .places import HOST_FOLDERS, MANIFESTS, PLACES
from .project import find_project

SHIPPED = "the shipped plugins_fixture"
FOUND = "found here"
MANAGED = ("/etc/claude-code", "/Library/Application Support/ClaudeCode")
SETTINGS = "settings.json", "settings.local.json"
MOVED = {
    ".claude/": "CLAUDE_CONFIG_DIR",
    ".codex/": "CODEX_HOME",
    ".copilot/": "COPILOT_HOME",
    ".config/opencode/": "OPENCODE_CONFIG_DIR",
    ".config/": "XDG_CONFIG_HOME",
}
"""Which variable puts a folder of a host elsewhere."""
_MOST_SETTINGS = 1 << 20  # bytes of a host's own file that are read
_STRING = r'"(?:\\.|[^"\\\n])*"'
_COMMENT = re.compile(rf"{_STRING}|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING = re.compile(rf"{_STRING}|,(?=\s*[}}\]])", re.DOTALL)


class FoundRoots(NamedTuple):
    """Absolute, resolved folders, each in order of precedence: of the project alone, and of the
    user, whichever project asks; those of `shared` that go before the project's own are `leading`.
    A plugin that the project switches off is in none."""

    own: tuple[str, ...]
    shared: tuple[str, ...]
    leading: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.leading, *self.own, *self.shared)))


def choose_roots(
    roots: Sequence[str], env: Mapping[str, str], cwd: Path, home: Path
) -> tuple[tuple[str, ...], str]:
    """(absolute folders in order of precedence, where they come from). Folders that were named stay
    as they were named: links among them may lead elsewhere later.

    Raises BadSetting for one that is no folder.
    """
    if roots:
        return _folders(roots, cwd, home, "--root"), "--root"
    if listed := [part for part in env.get("MCP_ROOTS", "").split(os.pathsep) if part.strip()]:
        return _folders(listed, cwd, home, "MCP_ROOTS"), "MCP_ROOTS"
    project = find_project(str(cwd), str(home))
    if found := discovered_roots(Path(project.tree) if project else cwd, home, env):
        return found, FOUND
    return (str(fixture_root()),), SHIPPED


def _folders(roots: Sequence[str], cwd: Path, home: Path, origin: str) -> tuple[str, ...]:
    chosen: dict[str, str] = {}
    for root in roots:
        path = named_path(root, home, cwd)
        if not os.path.isdir(path):
            raise BadSetting(f"{origin} {root} is not a folder.", "Name a folder that exists.")
        chosen.setdefault(str(path.resolve()), str(path))
    return tuple(chosen.values())


def discovered_roots(
    folder: Path, home: Path, env: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """The trees that hosts read when they run in that folder."""
    return find_roots(folder, home, env).every


def find_roots(folder: Path, home: Path, env: Mapping[str, str] | None = None) -> FoundRoots:
    """The trees of the project in `folder`, and those of the user.

    The home folder is no project, and this repository is none either: it only has an example.
    """
    env, here = env or {}, folder.resolve()
    is_project = here not in (home.resolve(), REPOSITORY)
    config = claude_folder(home, env)
    switched = _switched(config, here if is_project else None)
    own = _existing(_of_project(here)) if is_project else ()
    own = tuple(root for root in own if not _is_above(root, here, home.resolve()))
    leading = _existing((*_managed(), config / "skills"))
    plugins = (*_plugins(config, here, switched), *_other_plugins(home, env, here))
    user = _existing((*_of_user(home, env), *plugins))
    shared = dict.fromkeys((*leading, *user))
    return FoundRoots(own, tuple(path for path in shared if path not in own), leading)


def _is_above(root: str, project: Path, home: Path) -> bool:
    """Whether a root, through an untrusted link, is an ancestor of the project or the home."""
    above = project != Path(root) and project.is_relative_to(root)
    return above or home.is_relative_to(root)


def claude_folder(home: Path, env: Mapping[str, str]) -> Path:
    """Where Claude Code keeps what is the user's."""
    named = env.get("CLAUDE_CONFIG_DIR", "").strip()
    return named_path(named, home, home) if named else home / ".claude"


def _of_project(folder: Path) -> Iterator[Path]:
    """The folder if it is a plugin or a marketplace, its `plugins/`, the hosts' folders in it."""
    if any((folder / manifest).is_file() for manifest in MANIFESTS):
        yield folder
    yield folder / "plugins"
    for name in filter(lambda name: os.path.isdir(f"{folder}/{name}"), HOST_FOLDERS):
        kinds = [path for p in PLACES for path in p.project if path.startswith(f"{name}/")]
        if name == ".claude" or any(os.path.isdir(f"{folder}/{path}") for path in kinds):
            yield folder / name


def _managed() -> Iterator[Path]:
    """What an administrator gives to all users of Claude Code, which goes before all else there."""
    places = [path for place in PLACES if place.host == "claude" for path in place.project]
    yield from (Path(managed, path) for managed in MANAGED for path in places)


def _of_user(home: Path, env: Mapping[str, str]) -> Iterator[Path]:
    """The user's folder of each host and kind; much else lies beside them."""
    for place in PLACES:
        yield from (moved_place(path, home, env) for path in place.user)


def moved_place(path: str, home: Path, env: Mapping[str, str]) -> Path:
    """A user's place, where a variable of its host may have put it."""
    for start, name in MOVED.items():
        if path.startswith(start) and env.get(name, "").strip():
            return named_path(env[name], home, home) / path.removeprefix(start)
    moved = env.get("GEMINI_CLI_HOME", "").strip()  # stands for the home, not for the folder
    return (named_path(moved, home, home) if moved and path.startswith(".gemini/") else home) / path


def moved_folders(home: Path, env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The resolved folders of hosts that a variable put elsewhere, each with its usual name."""
    named = ((start, env.get(name, "").strip()) for start, name in MOVED.items())
    return tuple(
        (os.path.realpath(named_path(folder, home, home)), start.rstrip("/"))
        for start, folder in named
        if folder
    )


def _existing(places: Iterator[Path] | Sequence[Path]) -> tuple[str, ...]:
    found = {str(place.resolve()): None for place in places if os.path.isdir(place)}
    return tuple(found)


# --- plugins -----------------------------------------------------------------------------------


def _plugins(config: Path, project: Path, switched: Mapping[str, bool]) -> list[Path]:
    listing = config / "plugins" / "installed_plugins.json"
    return list(installed_plugins(listing, project, switched).values())


def installed_plugins(
    listing: Path,
    project: Path | None = None,
    switched: Mapping[str, bool] | None = None,
    everywhere: bool = False,
) -> dict[str, Path]:
    """Install paths by `name@marketplace`, as the host's own list names them.

    Those of other projects are left out, but `everywhere`, and so are those that are switched off;
    where one is installed twice the nearer scope counts. A list of another form names none.
    """
    found: dict[str, Path] = {}
    plugins = read_json(listing).get("plugins")
    for name, installs in sorted(plugins.items()) if isinstance(plugins, dict) else ():
        fitting = [each for each in _as_list(installs) if _fits(each, project, everywhere)]
        if fitting and (switched or {}).get(name, True):
            nearest = min(fitting, key=lambda each: each.get("scope", "user") == "user")
            found[name] = Path(nearest["installPath"])
    return found


def _fits(install: Any, project: Path | None, everywhere: bool) -> bool:
    if not isinstance(install, dict) or not isinstance(install.get("installPath"), str):
        return False
    of = install.get("projectPath")
    if everywhere or not isinstance(of, str):
        return True
    return project is not None and Path(of).resolve() == project


def _switched(config: Path, project: Path | None) -> dict[str, bool]:
    """`enabledPlugins` of the settings files; later files override earlier ones."""
    files = [config / SETTINGS[0]]
    files += [project / ".claude" / name for name in SETTINGS] if project else []
    files += [Path(managed, "managed-settings.json") for managed in MANAGED]
    found: dict[str, bool] = {}
    for file in files:
        enabled = read_json(file).get("enabledPlugins")
        if isinstance(enabled, dict):
            found |= {name: value is not False for name, value in enabled.items()}
    return found


def switched_off(config: Path) -> frozenset[str]:
    """The plugins that the user's own settings switch off."""
    return frozenset(name for name, on in _switched(config, None).items() if not on)


def _other_plugins(home: Path, env: Mapping[str, str], project: Path) -> Iterator[Path]:
    """The installed plugins and extensions of other hosts, each in its newest version."""
    codex = moved_place(".codex/", home, env)
    plugins = read_toml(codex / "config.toml").get("plugins")
    for name, data in plugins.items() if isinstance(plugins, dict) else ():
        if isinstance(data, dict) and data.get("enabled") is not False:
            plugin, _, market = name.partition("@")
            versions = (codex / "plugins/cache" / market / plugin).glob("*")
            yield from sorted(versions, key=_by_version)[-1:]
    extensions = moved_place(".gemini/extensions", home, env)
    rules = read_json(extensions / "extension-enablement.json")
    yield from (each for each in sorted(extensions.glob("*/")) if _is_on(rules, each.name, project))
    yield from sorted((home / ".copilot/installed-plugins").glob("*/*/"))


def _by_version(folder: Path) -> list[tuple[int, str]]:
    """A sort key by which 1.10 comes after 1.9."""
    parts = re.findall(r"\d+|\D+", folder.name)
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]


def _is_on(rules: Mapping[str, Any], extension: str, project: Path) -> bool:
    """As Gemini CLI reads it: the last rule whose folder is the project, or holds it, counts."""
    rule = rules.get(extension)
    listed = rule.get("overrides") if isinstance(rule, dict) else None
    on, here = True, f"{project}/"
    for each in listed if isinstance(listed, list) else ():
        folder = str(each).removeprefix("!")
        above = f"{folder.rstrip('*').rstrip('/')}/"
        if here == above or (folder.endswith("*") and here.startswith(above)):
            on = not str(each).startswith("!")
    return on


def read_json(file: Path) -> dict[str, Any]:
    """A host's own file, comments and trailing commas allowed; {} for one that cannot be read."""
    try:
        data = json.loads(blanked(read_regular(file, _MOST_SETTINGS).decode("utf-8-sig")))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def read_toml(file: Path) -> dict[str, Any]:
    """As `read_json`, of TOML."""
    try:
        return tomllib.loads(read_regular(file, _MOST_SETTINGS).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}


def blanked(text: str) -> str:
    """Strict JSON of the same length, without comments and trailing commas; "" if it is empty."""
    text = _TRAILING.sub(_blank, uncommented(text))
    text = text.replace("\ufeff", " ", 1) if text.startswith("\ufeff") else text
    return text if text.strip() else ""


def uncommented(text: str) -> str:
    """The text with spaces in place of its comments."""
    return _COMMENT.sub(_blank, text)


def _blank(match: re.Match[str]) -> str:
    found = match[0]
    return found if found.startswith('"') else re.sub(r"[^\r\n]", " ", found)


def fixture_root() -> Path:
    """The example catalogue that ships, in the wheel or in a checkout."""
    shipped = Path(__file__).resolve().parent / "plugins_fixture"
    return shipped if shipped.is_dir() else REPOSITORY / "plugins_fixture"


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
