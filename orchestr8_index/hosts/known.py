"""The supported hosts: where each one is configured, and the form of a server's entry there."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..environment import ADDRESSES, DEFAULT_PORT, named_path
from ..places import PLACES
from ..records import JsonObject

NAME = "orchestr8"
OURS = r"orchestr8.index|//(127.0.0.1|localhost|\[::1]):(\d+/p/[^/]+/mcp|\d+/mcp/(%s)|(%s)/mcp)\b"
CODE = "Library/Application Support/Code/User" if sys.platform == "darwin" else ".config/Code/User"


class Host(NamedTuple):
    """`project` and `user` are its files below a folder and the home; `made` are paths below the
    home that only this host makes; `then` is the next step for the user. In an entry `address` is
    the key of the URL, `types` are the words for HTTP and stdio, `more` are further members, and
    `one_command` means program and arguments in one list."""

    name: str
    title: str
    project: str
    user: str
    then: str
    made: tuple[str, ...]
    program: str
    group: str = "mcpServers"
    address: str = "url"
    types: tuple[str, str] | None = None
    more: JsonObject = {}
    one_command: bool = False

    def over_http(self, url: str) -> JsonObject:
        return {**self._typed(0), self.address: url, **self.more}

    def over_stdio(self, command: list[str]) -> JsonObject:
        parted = {"command": command[0], "args": command[1:]}
        entry = {"command": command} if self.one_command else parted
        return {**self._typed(1), **entry, **self.more}

    def _typed(self, which: int) -> JsonObject:
        return {"type": self.types[which]} if self.types else {}

    def file(self, scope: str, cwd: Path, home: Path, env: Mapping[str, str]) -> Path:
        """The file to edit; Windsurf has none in a project, so it is always that of the user."""
        if scope == "project" and self.project:
            return _with_comments(cwd / self.project)
        variable, prefix = FOLDERS.get(self.name, ("", ""))
        if folder := env.get(variable, "").strip():
            return _with_comments(named_path(folder, home, cwd) / self.user.removeprefix(prefix))
        return _with_comments(home / self.user)

    def is_here(self, cwd: Path, home: Path) -> bool:
        """Whether the host is installed or used: by its program, and by its files."""
        places = (folder for place in PLACES if place.host == self.name for folder in place.project)
        own = [path for path in (self.project, f".{self.name}", *places) if path]
        made = [home / path for path in self.made] + [cwd / path for path in own]
        return shutil.which(self.program) is not None or any(path.exists() for path in made)


FOLDERS = {
    "claude": ("CLAUDE_CONFIG_DIR", ""),
    "codex": ("CODEX_HOME", ".codex/"),
    "copilot": ("COPILOT_HOME", ".copilot/"),
    "opencode": ("OPENCODE_CONFIG_DIR", ".config/opencode/"),
}
"""Variables with the path of a host's folder, and the prefix of its file that they replace."""


def _with_comments(path: Path) -> Path:
    """For opencode its .jsonc, if there is one."""
    other = path.with_suffix(".jsonc")
    return other if path.name == "opencode.json" and other.exists() else path


def is_ours(entry: object, now: object = None) -> bool:
    """Of this program, of whatever version: by its command, by an address that it alone has, or on
    its usual port or that of the entry `now`, which is ours; on any port without one."""
    ports = [str(DEFAULT_PORT), *re.findall(r"\d{4,5}", str(now))] if now else [r"\d+"]
    return re.search(OURS % ("|".join(ADDRESSES), "|".join(ports)), str(entry)) is not None


_KNOWN = (
    Host(
        *("claude", "Claude Code", ".mcp.json", ".claude.json"),
        "Start a new session of Claude Code, and agree to the server if asked; /mcp shows it.",
        (".claude.json", ".claude/settings.json", ".claude/projects"),
        program="claude",
        types=("http", "stdio"),
    ),
    Host(
        *("codex", "Codex", ".codex/config.toml", ".codex/config.toml"),
        "Start Codex again; it reads a project's file only where the project is trusted.",
        (".codex",),
        program="codex",
        group="mcp_servers",
    ),
    Host(
        *("cursor", "Cursor", ".cursor/mcp.json", ".cursor/mcp.json"),
        "Switch the server on in Cursor's settings under MCP, or restart Cursor.",
        (".cursor",),
        program="cursor",
    ),
    Host(
        *("vscode", "VS Code", ".vscode/mcp.json", f"{CODE}/mcp.json"),
        "Start the server from the line above its entry in mcp.json, or restart VS Code.",
        (CODE, ".vscode"),
        program="code",
        group="servers",
        types=("http", "stdio"),
    ),
    Host(
        *("gemini", "Gemini CLI", ".gemini/settings.json", ".gemini/settings.json"),
        "Start Gemini CLI again; /mcp shows the server.",
        (".gemini",),
        program="gemini",
        address="httpUrl",
    ),
    Host(
        *("opencode", "opencode", "opencode.json", ".config/opencode/opencode.json"),
        "Start opencode again; /mcp shows the server.",
        (".config/opencode",),
        program="opencode",
        group="mcp",
        types=("remote", "local"),
        more={"enabled": True},
        one_command=True,
    ),
    Host(
        *("copilot", "Copilot CLI", ".github/mcp.json", ".copilot/mcp-config.json"),
        "Start Copilot CLI again; /mcp show lists the server.",
        (".copilot",),
        program="copilot",
        types=("http", "local"),
        more={"tools": ["*"]},
    ),
    Host(
        *("windsurf", "Windsurf", "", ".codeium/windsurf/mcp_config.json"),
        "Press refresh in Windsurf's MCP settings, or restart Windsurf.",
        (".codeium/windsurf",),
        program="windsurf",
        address="serverUrl",
    ),
)
HOSTS = {host.name: host for host in _KNOWN}
