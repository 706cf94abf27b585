"""A client for agents of one task: read, write, edit and claim its files, and log steps.

`USE_MCP` in the environment chooses the way: `true` (the default) uses the server, `false` works on
local files, `10%` uses the server for a tenth of all tasks, always the same ones.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast
from urllib.parse import quote

import msgspec

from ..config import read_settings
from ..daemon.http import HttpClient, NoAnswer
from ..environment import environment
from ..errors import BadSetting, MCPGatewayError
from ..records import JsonObject
from ..validate import UNDECODABLE
from .locate import Locator

T = TypeVar("T")


def uses_gateway(task_id: str, flag: str = "") -> bool:
    """Whether this task uses the server, by `flag` or else `USE_MCP`. Raises BadSetting."""
    text = (flag or environment().get("USE_MCP", "") or "true").strip().lower()
    if text in ("true", "1", "false", "0"):
        return text in ("true", "1")
    share = text.removesuffix("%")
    if not text.endswith("%") or not share.isdigit() or int(share) > 100:
        cure = "Set it to true, false or a percentage."
        raise BadSetting(f"USE_MCP={text} is neither true, false nor 0% to 100%.", cure)
    bucket = int.from_bytes(hashlib.blake2b(task_id.encode(), digest_size=4).digest(), "big")
    return bucket % 100 < int(share)


class MCPGatewayClient:
    """`async with MCPGatewayClient("coder", "task-1") as gateway: await gateway.file_read("a.py")`.

    The server is at `gateway_url`, else `MCP_GATEWAY_URL`, else found on this machine. Without a
    server, paths are relative to `folder`, else to the working folder. Every method raises
    MCPGatewayError with the server's sentence and its HTTP status.
    """

    def __init__(
        self,
        agent_id: str,
        task_id: str = "",
        gateway_url: str = "",
        *,
        api_key: str = "",
        folder: str | Path = "",
        use_mcp: str = "",
    ) -> None:
        self.agent_id, self.task_id = agent_id, task_id
        self.folder = Path(folder or ".").resolve()
        self.is_remote = uses_gateway(task_id, use_mcp)
        url = gateway_url or environment().get("MCP_GATEWAY_URL", "")
        self._locator = Locator(read_settings([], None, None), url, api_key=api_key)
        self._http: HttpClient | None = None
        self._tokens: dict[tuple[str, str], str] = {}

    async def __aenter__(self) -> MCPGatewayClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Does nothing: the first call connects."""

    async def close(self) -> None:
        """Close the connections; claims end when their time is over."""
        if self._http is not None:
            self._http.close()

    async def file_read(self, path: str, task_id: str = "") -> str:
        """The content of a file of the task."""
        if not self.is_remote:
            return await self._locally(path, lambda file: file.read_text("utf-8"))
        return cast(str, (await self._file("file_read", path, task_id))["content"])

    async def file_write(self, path: str, content: str, task_id: str = "") -> JsonObject:
        """Replace or create the file; `bytes` in the answer is its size."""
        if not self.is_remote:
            return await self._locally(path, lambda file: _write(file, content))
        return await self._file("file_write", path, task_id, content=content)

    async def file_edit(
        self, path: str, old_content: str, new_content: str, task_id: str = ""
    ) -> JsonObject:
        """Replace text that the file has exactly once; `diff` in the answer shows the change."""
        if not self.is_remote:
            return await self._locally(path, lambda file: _edit(file, old_content, new_content))
        more = {"old_content": old_content, "new_content": new_content}
        return await self._file("file_edit", path, task_id, **more)

    async def claim_file(self, path: str, timeout_sec: int = 60, task_id: str = "") -> bool:
        """Claim a file for `timeout_sec`; writes use the claim and renew it. Raises if it is held
        by another. True without a server, where nothing is claimed."""
        if self.is_remote:
            answer = await self._file("claim_file", path, task_id, timeout_sec=timeout_sec)
            self._tokens[task_id or self.task_id, path] = answer["token"]
        return True

    async def release_file(self, path: str, task_id: str = "") -> bool:
        """Release the claim on a file."""
        if self.is_remote:
            try:
                await self._file("release_file", path, task_id)
            finally:
                self._tokens.pop((task_id or self.task_id, path), None)
        return True

    async def log_step(self, step: JsonObject, task_id: str = "") -> bool:
        """Log a step for agents that follow the task; does nothing without a server."""
        if self.is_remote:
            await self._task("log_step", task_id, step=step)
        return True

    async def subscribe_logs(self, task_id: str = "") -> JsonObject:
        """The channel and event stream in which the task's steps arrive."""
        return await self._task("subscribe_logs", task_id)

    async def join_collaboration(self, task_id: str = "") -> JsonObject:
        """Register this agent as working on the task, for an hour."""
        return await self._task("join_collaboration", task_id, agent_id=self.agent_id)

    async def leave_collaboration(self, task_id: str = "") -> JsonObject:
        """Remove this agent's registration from the task."""
        return await self._task("leave_collaboration", task_id, agent_id=self.agent_id)

    async def get_task_state(self, task_id: str = "") -> JsonObject:
        """The state of the task, its files, its agents and its last step."""
        return await self._get(f"/resources/tasks/{quote(task_id or self.task_id)}/state")

    async def get_collaborating_agents(self, task_id: str = "") -> list[str]:
        """The agents that work on the task."""
        answer = await self._get(f"/resources/collaboration/{quote(task_id or self.task_id)}")
        return cast(list[str], answer["agents"])

    # --- with the server ---------------------------------------------------------------------

    async def _file(self, tool: str, path: str, task_id: str, **more: Any) -> JsonObject:
        token = self._tokens.get((task_id or self.task_id, path))
        proof = {"token": token} if token and tool != "file_read" else {}
        return await self._task(tool, task_id, path=path, **proof, **more)

    async def _task(self, tool: str, task_id: str, **more: Any) -> JsonObject:
        task = task_id or self.task_id
        if not task:
            raise MCPGatewayError("task_id is needed: give it here or to the client.")
        body = msgspec.json.encode({"task_id": task, **more})
        return await asyncio.to_thread(self._send, "POST", f"/tools/{tool}", body)

    async def _get(self, path: str) -> JsonObject:
        return await asyncio.to_thread(self._send, "GET", path, None)

    def _send(self, verb: str, path: str, body: bytes | None) -> JsonObject:
        address = self._locator.address()
        if address is None:
            raise MCPGatewayError("There is no server: run `orchestr8-index up --workspace DIR`.")
        if self._http is None or self._http.address != address:
            self._http = HttpClient(address, headers={"X-Agent": self.agent_id})
        try:
            response = self._http.send(verb, path, body)
            answer: JsonObject = msgspec.json.decode(response.body, type=dict[str, Any])
        except (NoAnswer, *UNDECODABLE) as error:
            raise MCPGatewayError(f"The gateway does not answer: {error}") from None
        if response.status != 200:
            raise MCPGatewayError(
                str(answer.pop("detail", answer)), status=response.status, **answer
            )
        return answer

    # --- on local files ----------------------------------------------------------------------

    async def _locally(self, path: str, work: Callable[[Path], T]) -> T:
        file = (self.folder / path).resolve()
        if not file.is_relative_to(self.folder):
            raise MCPGatewayError(f"{path} lies outside of {self.folder}.", status=422)
        try:
            return await asyncio.to_thread(work, file)
        except (OSError, UnicodeError) as error:
            status = 404 if isinstance(error, FileNotFoundError) else 422
            raise MCPGatewayError(f"{path}: {error}", status=status) from None


def _write(file: Path, content: str) -> JsonObject:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}.unfinished")
    beside.write_text(content, "utf-8")
    beside.replace(file)
    return {"success": True, "path": str(file), "bytes": len(content.encode())}


def _edit(file: Path, old: str, new: str) -> JsonObject:
    before = file.read_text("utf-8")
    if not old or before.count(old) != 1:
        raise MCPGatewayError(f"{file.name} has old_content {before.count(old)} times.", status=422)
    after = before.replace(old, new)
    lines = before.splitlines(True), after.splitlines(True)
    return {**_write(file, after), "diff": "".join(difflib.unified_diff(*lines))}
