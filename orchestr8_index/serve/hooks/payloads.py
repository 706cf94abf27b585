"""The events that Claude Code sends to its hooks, with the fields that are read here.

Every field may be missing, and strings may be null: the payloads differ between versions.
An event with an impossibly long name or path is not understood.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

Text = str | None
Name = Annotated[str, Meta(max_length=256)] | None  # kept as long as the session
Path = Annotated[str, Meta(max_length=4096, pattern=r"\A[^\0]*\Z")] | None


class HookEvent(Struct, tag_field="hook_event_name", frozen=True, kw_only=True):
    """Every event names its session and, if it comes from an agent, the agent."""

    session_id: Name = None
    agent_id: Name = None
    agent_type: Name = None
    cwd: Path = None


class Prompted(HookEvent, tag="UserPromptSubmit", frozen=True, kw_only=True):
    """The user sent a prompt."""

    prompt: Text = None


class Input(Struct, frozen=True):
    """The parameters of the tools that start an agent, edit a file, or run a command."""

    description: Text = None
    prompt: Text = None
    subagent_type: Text = None
    file_path: Path = None
    notebook_path: Path = None
    command: Text = None

    @property
    def path(self) -> str:
        return self.file_path or self.notebook_path or ""


class ToolEvent(HookEvent, frozen=True, kw_only=True):
    """Of one use of a tool."""

    tool_name: Name = None
    tool_use_id: Name = None
    tool_input: Input = Input()


class ToolStarting(ToolEvent, tag="PreToolUse", frozen=True, kw_only=True):
    """A tool is about to run; the answer may deny it."""


class ContentBlock(Struct, frozen=True):
    """A piece of an answer, as far as it is text."""

    text: Text = None


class ToolResponse(Struct, rename="camel", frozen=True):
    """The result of a tool: an agent's last message, or only that it was launched."""

    status: Text = None
    agent_id: Name = None
    agent_type: Name = None
    content: list[ContentBlock] | Text = None
    resolved_model: Text = None
    total_duration_ms: float | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(block.text or "" for block in self.content)
        return self.content or ""


class ToolEnded(ToolEvent, tag="PostToolUse", frozen=True, kw_only=True):
    """A tool ran."""

    tool_response: ToolResponse | Text = None
    duration_ms: float | None = None


class ToolFailed(ToolEvent, tag="PostToolUseFailure", frozen=True, kw_only=True):
    """A tool failed or was interrupted."""

    error: Text = None
    is_interrupt: bool | None = None
    duration_ms: float | None = None


class BackgroundTask(Struct, frozen=True):
    id: Text = None
    description: Text = None


class AgentStopped(HookEvent, tag="SubagentStop", frozen=True, kw_only=True):
    """An agent stopped: before its ToolEnded in the foreground, after it in the background."""

    last_assistant_message: Text = None
    background_tasks: list[BackgroundTask] | None = None


class Stopped(HookEvent, tag="Stop", frozen=True, kw_only=True):
    """The session has nothing more to do for now."""


class Ended(HookEvent, tag="SessionEnd", frozen=True, kw_only=True):
    """The session is over, with all its agents."""


Payload: TypeAlias = (
    Prompted | ToolStarting | ToolEnded | ToolFailed | AgentStopped | Stopped | Ended
)
PAYLOAD = msgspec.json.Decoder(Payload)
