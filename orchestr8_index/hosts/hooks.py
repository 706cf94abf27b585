"""Hooks in a host's configuration: adds our command for each event beside others, and removes it.

Each file has the form that its host documents. Copilot CLI and VS Code read the same folder, and
the same file of ours in it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..roots import blanked
from . import jsonc

GROUP = "hooks"
SECONDS = 10
OWN = "orchestr8.json"


class HookFile(NamedTuple):
    """`project` and `user` are files below a folder and the home; `host` is the argument of `hook`.

    `beside`: members that the file must have; `nested`: each row of an event has a list of hooks;
    `shell`: the member with the command, which gets the event as an argument if that is "bash".
    """

    host: str
    project: str
    user: str
    events: tuple[str, ...]
    beside: Mapping[str, Any] = {"version": 1}
    nested: bool = False
    shell: str = "command"

    def rows(self, program: list[str], event: str, options: list[str]) -> list[dict[str, Any]]:
        """Our rows for an event."""
        given = [event] if self.shell == "bash" else []
        command = shlex.join([*program, "hook", self.host, *given, *options])
        if self.nested:
            hook = {"type": "command", "command": command, "timeout": SECONDS * 1000}
            return [{"hooks": [hook]}]
        if self.shell == "bash":
            return [{"type": "command", "bash": command, "timeoutSec": SECONDS}]
        return [{"command": command, "timeout": SECONDS}]

    def put(self, text: str | None, program: list[str], options: list[str]) -> str:
        """The text with our rows; `options` name the server. Raises OperationError."""
        after = self.take(text or "")
        if self.beside and not blanked(after):
            after = json.dumps(dict(self.beside), indent=2) + "\n"
        for event in reversed(self.events):
            rows = [*_rows(after, event), *self.rows(program, event, options)]
            after = jsonc.put(after, GROUP, event, rows)
        return after

    def take(self, text: str, keep_group: bool = False) -> str:
        """The text without our rows."""
        for event in self.events:
            rows = _rows(text, event)
            others = [row for row in rows if not self._is_ours(row)]
            if len(others) == len(rows):
                continue
            if others:
                text = jsonc.put(text, GROUP, event, others)
            else:
                text = jsonc.take(text, GROUP, event, keep_group=keep_group)
        return text

    def _is_ours(self, row: Any) -> bool:
        hooks = row.get("hooks", [row]) if isinstance(row, dict) else []
        commands = [str(hook.get(self.shell, "")) for hook in hooks if isinstance(hook, dict)]
        return any("orchestr8" in each and f" hook {self.host}" in each for each in commands)

    def file(self, scope: str, cwd: Path, home: Path) -> Path:
        return home / self.user if scope == "user" else cwd / self.project

    def is_empty(self, text: str) -> bool:
        """Whether the file has only the members that it must have."""
        members = jsonc.read(text) if blanked(text) else {}
        return not members.pop(GROUP, None) and members in ({}, dict(self.beside))


_COPILOT = HookFile(
    "copilot",
    f".github/hooks/{OWN}",
    f".copilot/hooks/{OWN}",
    ("userPromptSubmitted", "preToolUse", "postToolUse", "subagentStop", "sessionEnd"),
    shell="bash",
)
HOOKS = {
    "cursor": HookFile(
        *("cursor", ".cursor/hooks.json", ".cursor/hooks.json"),
        ("beforeSubmitPrompt", "preToolUse", "postToolUse", "subagentStop", "sessionEnd"),
    ),
    "gemini": HookFile(
        *("gemini", ".gemini/settings.json", ".gemini/settings.json"),
        ("BeforeAgent", "BeforeTool", "AfterTool", "SessionEnd"),
        beside={},
        nested=True,
    ),
    "copilot": _COPILOT,
    "vscode": _COPILOT,
}


def _rows(text: str, event: str) -> list[Any]:
    group = jsonc.read(text).get(GROUP, {}) if blanked(text) else {}
    rows = group.get(event, []) if isinstance(group, dict) else []
    return rows if isinstance(rows, list) else []
