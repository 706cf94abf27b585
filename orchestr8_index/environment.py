"""Reads the environment, as no other module does, and finds the server's port and data directory.

Standard library only, for the bridge, which must start fast and stay small.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .errors import BadSetting

PROGRAM = "orchestr8-index"  # how it names itself to a server
FACES: tuple[str, ...] = ("cache", "context", "gateway")  # other products' tools, at /mcp/NAME
EVERY = "?all"  # at the end of an address: with the tools that are hidden by default
ADDRESSES = ("coordinate", "all", *FACES)  # beside /mcp itself
TO_CONNECT = (*ADDRESSES, f"cache{EVERY}")
DEFAULT_PORT = 3700
LOOPBACK = "127.0.0.1"
DEFAULT_DATA_DIR = "~/.claude/mcp-server/data"
FOREIGN = ("MCP_TIMEOUT", "MCP_TOOL_TIMEOUT")  # read by hosts, not by us
REPOSITORY = Path(__file__).resolve().parent.parent


class ServerPlace(NamedTuple):
    """Where a server is: `explicit_…` tells what was named on purpose from a default."""

    port: int
    data_dir: Path
    explicit_port: bool
    explicit_data_dir: bool


def read_place(
    port: int | None, data_dir: str | None, env: Mapping[str, str], home: Path, cwd: Path
) -> ServerPlace:
    """Where a server is found: port and data directory; an argument beats the environment."""
    env_port = number(env, "MCP_PORT", 0, 65535)
    folder = data_dir or env.get("MCP_DATA_DIR")
    path = named_path(folder or DEFAULT_DATA_DIR, home, cwd)
    refuse_unwritable(str(path))
    return ServerPlace(
        port=next(each for each in (port, env_port, DEFAULT_PORT) if each is not None),
        data_dir=path,
        explicit_port=port is not None or (env_port is not None and not data_dir),
        explicit_data_dir=bool(folder),
    )


class Asked(dict[str, str]):
    """A copy of the environment that records which names are read.

    So the known names are those that are read, without a second list that could differ.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self._asked = {"MCP_ROOTS", "MCP_DATA_DIR", *FOREIGN}

    def get(self, name: str, default: Any = None) -> Any:
        self._asked.add(name)
        return super().get(name, default)

    def strangers(self) -> tuple[str, ...]:
        """A sentence for each MCP_ name that was never read."""
        unknown = sorted(n for n in self if n.startswith("MCP_") and n not in self._asked)
        return tuple(_unknown(name, self._asked) for name in unknown)


def _unknown(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, sorted({n for n in known if n.startswith("MCP_")}), n=1)
    meant = f" Did you mean {near[0]}?" if near else " docs/settings.md lists them."
    return f"{name} is not a setting and changes nothing.{meant}"


def environment() -> Mapping[str, str]:
    """The process's environment. Nobody else reads `os.environ`."""
    return os.environ


def inherited_environment() -> dict[str, str]:
    """A copy of the environment for a child process, without what would change its output."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONSTARTUP"}


def own_command(*arguments: str, module: str = "cli") -> list[str]:
    """The command by which this program starts itself, from whatever folder: the `main` of one of
    its modules, with these arguments."""
    code = f"from orchestr8_index.{module} import main; sys.exit(main())"
    path = "import sys; sys.path.append(sys.argv.pop(1));"
    return [sys.executable, "-P", "-c", path + code, str(REPOSITORY), *arguments]


def colour_wanted() -> bool:
    """Whether the user lets programs write in colour."""
    return "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def home_folder() -> Path:
    """The user's home folder. Raises BadSetting if there is none, or HOME is not absolute."""
    try:
        home = Path.home()
    except RuntimeError:
        raise BadSetting("This user has no home folder.", "Set HOME to one.") from None
    refuse_unwritable(named := os.environ.get("HOME", str(home)))
    if not os.path.isabs(named):
        raise BadSetting(f"HOME={named} is no absolute path.", "Set HOME to a folder, or unset it.")
    return home


def current_folder() -> Path:
    """The current folder. Raises BadSetting where it was removed."""
    try:
        return Path.cwd()
    except OSError:
        raise BadSetting("The current folder is not there any more.", "Go to another.") from None


def named_path(path: str, home: Path, cwd: Path) -> Path:
    """A path as the user means it: `~/` is the home folder, others start at `cwd`.

    Raises BadSetting for another user's home, which would become a folder here.
    """
    if path.startswith("~") and path[1:2] not in ("", "/"):
        raise BadSetting(
            f"{path[:40]!a} is no path here.", "Write it whole, or with ~/ or ./ first."
        )
    return home / path[2:] if path.startswith("~") else cwd / path


def refuse_unwritable(*paths: str) -> None:
    """Raises BadSetting for a path that is too long, or not UTF-8, as JSON must hold it."""
    for path in paths:
        try:
            if len(encoded := path.encode()) > 4000 or max(map(len, encoded.split(b"/"))) > 255:
                raise BadSetting(f"{path[:40]!a}… is too long for a path.", "Name a shorter one.")
        except UnicodeEncodeError:
            raise BadSetting(f"{path!a} is not a UTF-8 path.", "Rename the folder.") from None


def number(env: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    """A whole number from the environment, or None; `BadSetting` for one out of its range."""
    text = env.get(name, "").strip()
    if not text:
        return None
    found = whole_number(text)
    if not low <= found <= high:
        raise BadSetting(f"{name}={text} is not a whole number from {low} to {high}.", "Mend it.")
    return found


def whole_number(text: str) -> int:
    """The number; -1 for a text that is none, or has more than 19 digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
