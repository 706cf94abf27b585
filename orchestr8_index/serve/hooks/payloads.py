"""The events that Claude Code sends to its hooks: the parts that are read here.

Every field may be missing, and strings may be null: the payloads differ between versions.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct

Text = str | None


class Prompted(Struct, tag_field="hook_event_name", tag="UserPromptSubmit", frozen=True):
    prompt: Text = None


class Input(Struct, frozen=True):
    """The parameters of the tool that starts an agent."""

    description: Text = None
    prompt: Text = None
    subagent_type: Text = None


class Block(Struct, frozen=True):
    text: Text = None


class ToolResponse(Struct, rename="camel", frozen=True):
    """What that tool gave: the agent's last words, or only that it was launched."""

    status: Text = None
    agent_id: Text = None
    agent_type: Text = None
    content: list[Block] | Text = None
    resolved_model: Text = None
    total_duration_ms: float | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(block.text or "" for block in self.content)
        return self.content or ""


class ToolEnded(Struct, tag_field="hook_event_name", tag="PostToolUse", frozen=True):
    session_id: Text = None
    tool_name: Text = None
    tool_use_id: Text = None
    tool_input: Input = Input()
    tool_response: ToolResponse | Text = None
    duration_ms: float | None = None


class ToolFailed(Struct, tag_field="hook_event_name", tag="PostToolUseFailure", frozen=True):
    session_id: Text = None
    tool_name: Text = None
    tool_use_id: Text = None
    tool_input: Input = Input()
    error: Text = None
    is_interrupt: bool | None = None
    duration_ms: float | None = None


class BackgroundTask(Struct, frozen=True):
    id: Text = None
    description: Text = None


class AgentStopped(Struct, tag_field="hook_event_name", tag="SubagentStop", frozen=True):
    """Comes for every agent: before ToolEnded of one that was waited for, after it of others."""

    session_id: Text = None
    agent_id: Text = None
    agent_type: Text = None
    last_assistant_message: Text = None
    background_tasks: list[BackgroundTask] | None = None


Payload: TypeAlias = Prompted | ToolEnded | ToolFailed | AgentStopped
PAYLOAD = msgspec.json.Decoder(Payload)
