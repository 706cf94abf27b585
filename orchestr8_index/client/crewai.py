"""The gateway's tools for agents of CrewAI (`pip install 'orchestr8-index[crewai]'`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ..errors import MCPGatewayError
from .gateway import MCPGatewayClient


def gateway_tools(client: MCPGatewayClient) -> list[Any]:
    """CrewAI tools mcp_file_read, _write, _edit, mcp_claim_file, mcp_release_file, mcp_log_step.

    A tool answers an error as text that begins with ERROR. Raises ImportError without crewai.
    """
    from crewai.tools import tool

    names = [name for name in vars(_GatewayTools) if name.startswith("mcp_")]
    return [tool(name)(getattr(_GatewayTools(client), name)) for name in names]


class _GatewayTools:
    def __init__(self, client: MCPGatewayClient) -> None:
        self._client = client

    def mcp_file_read(self, path: str) -> str:
        """Read a file of the task."""
        return _answer(self._client.file_read(path))

    def mcp_file_write(self, path: str, content: str) -> str:
        """Write a file of the task, whole."""
        return _answer(self._client.file_write(path, content))

    def mcp_file_edit(self, path: str, old_content: str, new_content: str) -> str:
        """Replace text that a file has exactly once. Answers the diff."""
        return _answer(self._client.file_edit(path, old_content, new_content), "diff")

    def mcp_claim_file(self, path: str, timeout_sec: int = 60) -> str:
        """Claim a file before working on it."""
        return _answer(self._client.claim_file(path, timeout_sec))

    def mcp_release_file(self, path: str) -> str:
        """Give the claim on a file back."""
        return _answer(self._client.release_file(path))

    def mcp_log_step(self, action: str, observation: str) -> str:
        """Log a step for those who follow the task."""
        return _answer(self._client.log_step({"action": action, "observation": observation}))


def step_logger(client: MCPGatewayClient) -> Callable[[Any], None]:
    """A `step_callback` for a crew that logs each step of the task; errors are ignored."""

    def log(step: Any) -> None:
        shown = {name: str(getattr(step, name)) for name in _SHOWN if hasattr(step, name)}
        _answer(client.log_step(shown or {"observation": str(step)}))

    return log


_SHOWN = ("thought", "tool", "tool_input", "result", "output")


def _answer(work: Awaitable[Any], field: str = "") -> str:
    async def wait() -> Any:
        return await work

    try:
        answer = asyncio.run(wait())
    except MCPGatewayError as error:
        return f"ERROR: {error}"
    return str(answer[field]) if field else str(answer)
