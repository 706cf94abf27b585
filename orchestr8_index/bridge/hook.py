"""`orchestr8-index hook HOST [EVENT]`: a host's event goes to the server, its answer back.

The server reads the events of Claude Code; the others' are the same ones under other names. A hook
must disturb nobody: whatever fails, the answer is `{}` and the exit status 0.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from itertools import takewhile
from typing import Any, NamedTuple

from ..daemon.http import HttpClient, NoAnswer
from ..daemon.locate import locate
from ..environment import current_folder, environment, home_folder, read_place
from ..errors import BadSetting

SECONDS = 2.0  # a host waits for its hooks
MOST_BYTES = 1_000_000
Said = dict[str, Any]


class Dialect(NamedTuple):
    """How a host names what Claude Code names otherwise; what is not named stays as it is."""

    events: Mapping[str, str]
    tools: Mapping[str, str] = {}
    fields: Mapping[str, str] = {}


CLAUDE = (
    *("UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure"),
    *("SubagentStop", "Stop", "SessionEnd"),
)
_SAME = {name: name for name in CLAUDE}
_CAMEL = {
    "userPromptSubmitted": "UserPromptSubmit",
    "preToolUse": "PreToolUse",
    "postToolUse": "PostToolUse",
    "postToolUseFailure": "PostToolUseFailure",
    "subagentStop": "SubagentStop",
    "agentStop": "Stop",
    "sessionEnd": "SessionEnd",
}
_FIELDS = {
    "toolName": "tool_name",
    "toolArgs": "tool_input",
    "toolResult": "tool_response",
    "sessionId": "session_id",
    "conversation_id": "session_id",
    "toolCallId": "tool_use_id",
    "generation_id": "tool_use_id",
    "tool_output": "tool_response",
    "duration": "duration_ms",
    "error_message": "error",
}
_TOOLS = {"bash": "Bash", "edit": "Edit", "create": "Write", "task": "Task", "write": "Write"}
_OF_VSCODE = {
    "runSubagent": "Task",
    "runInTerminal": "Bash",
    "run_in_terminal": "Bash",
    "editFiles": "Edit",
    "createFile": "Write",
    "create_file": "Write",
    "replace_string_in_file": "Edit",
}
DIALECTS = {
    "claude": Dialect(_SAME),
    "vscode": Dialect(_SAME, _OF_VSCODE, _FIELDS),
    "copilot": Dialect({**_SAME, **_CAMEL}, {**_OF_VSCODE, **_TOOLS}, _FIELDS),
    "cursor": Dialect(
        {**_CAMEL, "beforeSubmitPrompt": "UserPromptSubmit", "stop": "Stop"},
        {"Shell": "Bash"},
        _FIELDS,
    ),
    "gemini": Dialect(
        {
            "BeforeAgent": "UserPromptSubmit",
            "BeforeTool": "PreToolUse",
            "AfterTool": "PostToolUse",
            "AfterAgent": "Stop",
            "SessionEnd": "SessionEnd",
        },
        {
            "run_shell_command": "Bash",
            "write_file": "Write",
            "replace": "Edit",
            "invoke_agent": "Task",
            "delegate_to_agent": "Task",
        },
        _FIELDS,
    ),
}
"""Hosts with hooks. VS Code and Copilot CLI take Claude Code's names, too."""
_ARGUMENTS = {
    "filePath": "file_path",
    "path": "file_path",
    "agentName": "subagent_type",
    "agent_name": "subagent_type",
    "agent_type": "subagent_type",
    "agent": "subagent_type",
    "task": "prompt",
    "objective": "prompt",
}


def main(arguments: list[str]) -> int | None:
    """The exit status; None where the command line must have a look at the arguments."""
    words = list(takewhile(lambda word: not word.startswith("-"), arguments))
    place = _place_of(arguments[len(words) :])
    if len(words) not in (1, 2) or words[0] not in DIALECTS or place is None:
        return None
    host, event = words[0], "".join(words[1:])
    body = sys.stdin.buffer.read(MOST_BYTES) if sys.stdin else b""
    try:
        print(json.dumps(_passed_on(host, event, body, place)), flush=True)
    except OSError:  # nobody reads it, or it has no room
        sys.stdout = None
    return 0


def _place_of(options: list[str]) -> tuple[int | None, str | None] | None:
    """--port and --data-dir; None for anything else."""
    if not options:
        return None, None
    from .main import read_options

    found = read_options(options)
    if found is None or found["--root"] or found["--face"] or found["--agent"]:
        return None
    return [None, *map(int, found["--port"])][-1], [None, *found["--data-dir"]][-1]


def _passed_on(host: str, event: str, body: bytes, place: tuple[int | None, str | None]) -> Said:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    payload = translated(host, event, said) if isinstance(said, dict) else None
    if payload is None:
        return {}
    return answered(host, str(said.get("hook_event_name") or event), _ask(host, payload, place))


def translated(host: str, event: str, said: Said) -> Said | None:
    """The event as Claude Code would say it; None for one that the server has no use for."""
    dialect = DIALECTS[host]
    named = {dialect.fields.get(name, name): value for name, value in said.items()}
    named |= {name: said[name] for name in dialect.fields.values() if name in said}
    known = dialect.events.get(str(said.get("hook_event_name") or event) or _guessed(named))
    if known is None:
        return None
    roots = said.get("workspace_roots")
    if "cwd" not in named and isinstance(roots, list) and roots:
        named["cwd"] = roots[0]
    named["hook_event_name"] = known
    if "tool_name" in named:
        named["tool_name"] = dialect.tools.get(str(named["tool_name"]), named["tool_name"])
        named["tool_input"] = _arguments(named.get("tool_input"))
        named["tool_response"] = _response(named.get("tool_response"))
    return _ended_agent(named) if known == "SubagentStop" else named


def _guessed(named: Said) -> str:
    """Copilot CLI names no event in what it sends."""
    if "prompt" in named:
        return "userPromptSubmitted"
    if "tool_name" in named:
        return "postToolUse" if "tool_response" in named else "preToolUse"
    return ""


def _arguments(given: object) -> Said:
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            given = {}
    found: Said = given if isinstance(given, dict) else {}
    return {_ARGUMENTS.get(name, name): value for name, value in found.items()} | found


def _response(given: object) -> object:
    """What a tool gave, as a text; failures of Copilot CLI say so in a type."""
    if not isinstance(given, dict):
        return given
    text = next(
        (given[k] for k in ("textResultForLlm", "llmContent", "result") if k in given), None
    )
    return text if isinstance(text, str) else given


def _ended_agent(named: Said) -> Said:
    """An agent that ended with its task and its words in one event is a tool that ended."""
    task, agent = named.get("task") or named.get("description"), named.get("subagent_type")
    words = named.get("summary") or named.get("result") or named.get("last_assistant_message")
    if not task or not agent:
        named.setdefault("last_assistant_message", words)
        return named
    failed = named.get("status") in ("error", "failed")
    return {
        "hook_event_name": "PostToolUseFailure" if failed else "PostToolUse",
        "session_id": named.get("session_id"),
        "cwd": named.get("cwd"),
        "tool_name": "Task",
        "tool_use_id": named.get("subagent_id")
        or named.get("agent_id")
        or named.get("tool_use_id"),
        "tool_input": {"prompt": task, "subagent_type": agent},
        "tool_response": words,
        "error": named.get("error") or words,
        "duration_ms": named.get("duration_ms"),
    }


def _ask(host: str, payload: Said, named: tuple[int | None, str | None]) -> Said:
    asked = "copilot" if host == "vscode" else host
    try:
        place = read_place(*named, environment(), home_folder(), current_folder())
        address = locate(place, environment().get("MCP_API_KEY", "").strip())
        if address is None:
            return {}
        client = HttpClient(address, SECONDS, SECONDS)
        answer = client.send("POST", f"/hooks/claude?host={asked}", json.dumps(payload).encode())
        said = json.loads(answer.body)
    except (NoAnswer, BadSetting, OSError, ValueError):
        return {}
    return said if isinstance(said, dict) and answer.status == 200 else {}


def answered(host: str, event: str, said: Said) -> Said:
    """The server's answer as that host reads it."""
    output = said.get("hookSpecificOutput")
    if not isinstance(output, dict) or host in ("claude", "vscode"):
        return said if isinstance(output, dict) else {}
    reason, context = output.get("permissionDecisionReason"), output.get("additionalContext")
    if host == "gemini":
        more = {"hookSpecificOutput": {"hookEventName": event, "additionalContext": context}}
        return {"decision": "deny", "reason": reason} if reason else more
    if host == "cursor":
        denial = {"permission": "deny", "agent_message": reason, "user_message": reason}
        return denial if reason else {"additional_context": context}
    if reason:
        return {"permissionDecision": "deny", "permissionDecisionReason": reason}
    return {"additionalContext": context}
