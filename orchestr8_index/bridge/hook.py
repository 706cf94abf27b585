"""`orchestr8-index hook HOST [EVENT]`: sends a host's hook event to the server, prints its answer.

The server reads the events of Claude Code; other hosts' events are translated into those. A hook
must never disturb its host: whatever fails, it prints `{}` and exits with status 0.
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

SECONDS = 2.0  # short, as the host waits for its hooks
MOST_BYTES = 1_000_000
Fields = dict[str, Any]


class Dialect(NamedTuple):
    """A host's names for events, tools and fields, each with Claude Code's name for it. Fields and
    tools without a row keep their name; events without one are not sent."""

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
"""The dialect of each host with hooks. VS Code and Copilot CLI take Claude Code's names, too."""
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
    """The exit status 0; None for other arguments, which the command line then reads."""
    words = list(takewhile(lambda word: not word.startswith("-"), arguments))
    place = _place_of(arguments[len(words) :])
    if len(words) not in (1, 2) or words[0] not in DIALECTS or place is None:
        return None
    host, event = words[0], "".join(words[1:])
    body = sys.stdin.buffer.read(MOST_BYTES) if sys.stdin else b""
    try:
        print(json.dumps(_answer(host, event, body, place)), flush=True)
    except OSError:  # stdout is closed, or its disk is full
        sys.stdout = None
    return 0


def _place_of(options: list[str]) -> tuple[int | None, str | None] | None:
    """The values of --port and --data-dir; None when there are other options."""
    if not options:
        return None, None
    from .main import read_options

    read = read_options(options)
    if read is None or read["--root"] or read["--face"] or read["--agent"]:
        return None
    return [None, *map(int, read["--port"])][-1], [None, *read["--data-dir"]][-1]


def _answer(host: str, event: str, body: bytes, place: tuple[int | None, str | None]) -> Fields:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    translation = translated(host, event, payload) if isinstance(payload, dict) else None
    if translation is None:
        return {}
    name = str(payload.get("hook_event_name") or event)
    return answered(host, name, _send(host, translation, place))


def translated(host: str, event: str, payload: Fields) -> Fields | None:
    """A host's event as Claude Code would send it; None for one that the server does not read."""
    dialect = DIALECTS[host]
    fields = {dialect.fields.get(name, name): value for name, value in payload.items()}
    fields |= {name: payload[name] for name in dialect.fields.values() if name in payload}
    name = dialect.events.get(str(payload.get("hook_event_name") or event) or _event_of(fields))
    if name is None:
        return None
    roots = payload.get("workspace_roots")
    if "cwd" not in fields and isinstance(roots, list) and roots:
        fields["cwd"] = roots[0]
    fields["hook_event_name"] = name
    if "tool_name" in fields:
        fields["tool_name"] = dialect.tools.get(str(fields["tool_name"]), fields["tool_name"])
        fields["tool_input"] = _arguments(fields.get("tool_input"))
        fields["tool_response"] = _response(fields.get("tool_response"))
    return _ended_agent(fields) if name == "SubagentStop" else fields


def _event_of(fields: Fields) -> str:
    """The event's name by its fields, as Copilot CLI sends none; "" when they do not tell."""
    if "prompt" in fields:
        return "userPromptSubmitted"
    if "tool_name" in fields:
        return "postToolUse" if "tool_response" in fields else "preToolUse"
    return ""


def _arguments(value: object) -> Fields:
    """A tool's arguments (an object or its JSON text) with Claude Code's names added."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = {}
    arguments: Fields = value if isinstance(value, dict) else {}
    return {_ARGUMENTS.get(name, name): each for name, each in arguments.items()} | arguments


def _response(value: object) -> object:
    """A tool's result as a text where a field of it is one, else the result as it came."""
    if not isinstance(value, dict):
        return value
    keys = ("textResultForLlm", "llmContent", "result")
    text = next((value[key] for key in keys if key in value), None)
    return text if isinstance(text, str) else value


def _ended_agent(fields: Fields) -> Fields:
    """The event of an ended agent; where it has task and agent, as PostToolUse of a Task."""
    task, agent = fields.get("task") or fields.get("description"), fields.get("subagent_type")
    words = fields.get("summary") or fields.get("result") or fields.get("last_assistant_message")
    if not task or not agent:
        return {"last_assistant_message": words, **fields}
    failed = fields.get("status") in ("error", "failed")
    id = fields.get("subagent_id") or fields.get("agent_id") or fields.get("tool_use_id")
    return {
        "hook_event_name": "PostToolUseFailure" if failed else "PostToolUse",
        "session_id": fields.get("session_id"),
        "cwd": fields.get("cwd"),
        "tool_name": "Task",
        "tool_use_id": id,
        "tool_input": {"prompt": task, "subagent_type": agent},
        "tool_response": words,
        "error": fields.get("error") or words,
        "duration_ms": fields.get("duration_ms"),
    }


def _send(host: str, payload: Fields, options: tuple[int | None, str | None]) -> Fields:
    """Send an event to the server; gives its answer, {} when it has none."""
    name = "copilot" if host == "vscode" else host
    try:
        place = read_place(*options, environment(), home_folder(), current_folder())
        address = locate(place, environment().get("MCP_API_KEY", "").strip())
        if address is None:
            return {}
        client = HttpClient(address, SECONDS, SECONDS)
        response = client.send("POST", f"/hooks/claude?host={name}", json.dumps(payload).encode())
        answer = json.loads(response.body)
    except (NoAnswer, BadSetting, OSError, ValueError):
        return {}
    return answer if isinstance(answer, dict) and response.status == 200 else {}


def answered(host: str, event: str, answer: Fields) -> Fields:
    """The server's answer in the form that the host reads; {} for nothing."""
    output = answer.get("hookSpecificOutput")
    if not isinstance(output, dict) or host in ("claude", "vscode"):
        return answer if isinstance(output, dict) else {}
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
