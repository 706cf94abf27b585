"""What does Claude Code 2.1 send to its hooks? As recorded, with other ids and paths."""

from __future__ import annotations

from typing import Any

SESSION, AGENT, CALL = "f85e033a-a13e-4558-8318-aae21b91a021", "a3fd41c2f13e1c3c5", "toolu_01"
EVERYWHERE = {
    "session_id": SESSION,
    "transcript_path": "/home/me/.claude/projects/-work/session.jsonl",
    "cwd": "/work",
    "prompt_id": "539c17bc-2e09-441e-8bd3-09151f2069e5",
    "permission_mode": "default",
}
TASK, DETAIL = "Rotate the certs", "Rotate the TLS certs of the gateway."
TEXT = f"{TASK}: {DETAIL}"
DONE, UNCLEAR = "Done: the certs are rotated.", "Here is what I saw."


def prompted(prompt: str) -> dict[str, Any]:
    return {**EVERYWHERE, "hook_event_name": "UserPromptSubmit", "prompt": prompt}


def asked(agent: str = "docs-writer") -> dict[str, Any]:
    return {"description": TASK, "prompt": DETAIL, "subagent_type": agent}


def completed(
    said: str = DONE, agent: str = "docs-writer", ident: str = AGENT, **more: Any
) -> dict[str, Any]:
    response = {
        "status": "completed",
        "prompt": DETAIL,
        "agentId": ident,
        "agentType": agent,
        "content": [{"type": "text", "text": said}],
        "resolvedModel": "claude-sonnet-4-5",
        "totalDurationMs": 543,
        "totalTokens": 15,
        "totalToolUseCount": 0,
        "usage": {"input_tokens": 10, "output_tokens": 5, "service_tier": "standard"},
    }
    return {
        **EVERYWHERE,
        "effort": {"level": "high"},
        "hook_event_name": "PostToolUse",
        "tool_name": "Agent",
        "tool_input": asked(agent),
        "tool_response": response,
        "tool_use_id": CALL,
        "duration_ms": 544,
        **more,
    }


def launched(agent: str = "docs-writer", ident: str = AGENT) -> dict[str, Any]:
    response = {
        "isAsync": True,
        "status": "async_launched",
        "agentId": ident,
        "description": TASK,
        "resolvedModel": "claude-sonnet-4-5",
        "prompt": DETAIL,
        "outputFile": f"/tmp/claude/tasks/{ident}.output",
        "canReadOutputFile": True,
    }
    given = {**asked(agent), "run_in_background": True}
    return {**completed(agent=agent), "tool_input": given, "tool_response": response}


def failed(
    error: str = "API Error: 500", interrupted: bool = False, agent: str = "docs-writer"
) -> dict[str, Any]:
    return {
        **EVERYWHERE,
        "hook_event_name": "PostToolUseFailure",
        "tool_name": "Agent",
        "tool_input": asked(agent),
        "tool_use_id": CALL,
        "error": error,
        "is_interrupt": interrupted,
        "duration_ms": 2,
    }


def stopped(
    said: str = DONE, agent: str = "docs-writer", ident: str = AGENT, in_background: bool = False
) -> dict[str, Any]:
    running = {"id": ident, "type": "subagent", "status": "running", "description": TASK}
    return {
        **EVERYWHERE,
        "agent_id": ident,
        "agent_type": agent,
        "effort": {"level": "high"},
        "hook_event_name": "SubagentStop",
        "stop_hook_active": False,
        "agent_transcript_path": "/home/me/.claude/projects/-work/subagents/agent.jsonl",
        "last_assistant_message": said,
        "background_tasks": [{**running, "agent_type": agent}] if in_background else [],
        "session_crons": [],
    }


NOTIFIED = prompted(
    f"<task-notification>\n<task-id>{AGENT}</task-id>\n<status>completed</status>\n"
    f"<summary>Agent '{TASK}' finished: write and repair the technical documentation</summary>\n"
    "</task-notification>"
)
