"""The hosts that are known: where each looks for a server, and how its entry is written there."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

NAME = "orchestr8"
Entry = dict[str, Any]
SETTINGS = {"darwin": "Library/Application Support/Code/User"}
CODE = SETTINGS.get(sys.platform, ".config/Code/User")


class Host(NamedTuple):
    """`project` and `user` are its files below a folder and the home; `made` are paths below the
    home that only this host makes; `address` is the URL's key, `kind` whether it wants a type."""

    name: str
    title: str
    project: str
    user: str
    then: str
    made: tuple[str, ...]
    program: str
    group: str = "mcpServers"
    address: str = "url"
    kind: bool = False

    def over_http(self, url: str) -> Entry:
        return {**({"type": "http"} if self.kind else {}), self.address: url}

    def over_stdio(self, command: list[str]) -> Entry:
        entry = {"command": command[0], "args": command[1:]}
        return {**({"type": "stdio"} if self.kind else {}), **entry}

    def file(self, scope: str, cwd: Path, home: Path, env: Mapping[str, str]) -> Path:
        if scope == "project":
            return cwd / self.project
        if self.name == "codex" and env.get("CODEX_HOME"):
            return Path(env["CODEX_HOME"]) / "config.toml"
        return home / self.user

    def is_here(self, cwd: Path, home: Path) -> bool:
        made = [home / path for path in self.made] + [cwd / self.project]
        return shutil.which(self.program) is not None or any(path.exists() for path in made)


_KNOWN = (
    Host(
        *("claude", "Claude Code", ".mcp.json", ".claude.json"),
        "Start a new session of Claude Code, and agree to the server if asked; /mcp shows it.",
        (".claude.json", ".claude/settings.json", ".claude/projects"),
        program="claude",
        kind=True,
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
        kind=True,
    ),
    Host(
        *("gemini", "Gemini CLI", ".gemini/settings.json", ".gemini/settings.json"),
        "Start Gemini CLI again; /mcp shows the server.",
        (".gemini",),
        program="gemini",
        address="httpUrl",
    ),
)
HOSTS = {host.name: host for host in _KNOWN}
