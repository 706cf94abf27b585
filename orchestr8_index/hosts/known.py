"""Which hosts are known, where do they look for a server, and how is its entry written there?"""

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
    """`signs` are paths below the home that only this host makes; `address` is the URL's key."""

    name: str
    title: str
    project: str
    user: str
    group: str
    address: str
    kind: bool
    program: str
    signs: tuple[str, ...]
    then: str

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
        signs = [home / sign for sign in self.signs] + [cwd / self.project]
        return shutil.which(self.program) is not None or any(sign.exists() for sign in signs)


CLAUDE = Host(
    name="claude",
    title="Claude Code",
    project=".mcp.json",
    user=".claude.json",
    group="mcpServers",
    address="url",
    kind=True,
    program="claude",
    signs=(".claude.json", ".claude/settings.json", ".claude/projects"),
    then="Start a new session of Claude Code, and agree to the server if asked; /mcp shows it.",
)
CODEX = Host(
    name="codex",
    title="Codex",
    project=".codex/config.toml",
    user=".codex/config.toml",
    group="mcp_servers",
    address="url",
    kind=False,
    program="codex",
    signs=(".codex",),
    then="Start Codex again; it reads a project's file only where the project is trusted.",
)
CURSOR = Host(
    name="cursor",
    title="Cursor",
    project=".cursor/mcp.json",
    user=".cursor/mcp.json",
    group="mcpServers",
    address="url",
    kind=False,
    program="cursor",
    signs=(".cursor",),
    then="Switch the server on in Cursor's settings under MCP, or restart Cursor.",
)
VSCODE = Host(
    name="vscode",
    title="VS Code",
    project=".vscode/mcp.json",
    user=f"{CODE}/mcp.json",
    group="servers",
    address="url",
    kind=True,
    program="code",
    signs=(CODE, ".vscode"),
    then="Start the server from the line above its entry in mcp.json, or restart VS Code.",
)
GEMINI = Host(
    name="gemini",
    title="Gemini CLI",
    project=".gemini/settings.json",
    user=".gemini/settings.json",
    group="mcpServers",
    address="httpUrl",
    kind=False,
    program="gemini",
    signs=(".gemini",),
    then="Start Gemini CLI again; /mcp shows the server.",
)
HOSTS = {host.name: host for host in (CLAUDE, CODEX, CURSOR, VSCODE, GEMINI)}
