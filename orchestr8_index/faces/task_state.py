"""What a task's agents tell each other: steps, who works on it, and addresses to read it at."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from .face import Answer, Arguments, Core, now
from .task_files import file_read, key_of, open_workspace, refused, task_of, text_of, write_key
from .workspace import WorkspaceRefusal

JOINED_SECONDS = 3600
MOST_STEPS = 1000


async def log_step(core: Core, given: Arguments) -> Answer:
    """Add a step to the log of the task."""
    task, step = task_of(given), given.get("step")
    if not isinstance(step, dict):
        raise refused(422, "step must be an object.")
    step = {"timestamp": now(), **step, "task_id": task, "agent_id": core.who.label}
    rev = await write_key(core, task, "log", step)
    return {"success": True, "task_id": task, "step": step, "revision": rev}


async def subscribe_logs(core: Core, given: Arguments) -> Answer:
    """Where the task's steps come as they are logged."""
    task = task_of(given)
    stream = f"/events?prefix={key_of(task, 'log')}"
    message = f"Subscribe to the resource logs://{task} in MCP, or read GET {stream} as a stream."
    channel = f"logs:{task}:stream"
    return {
        "success": True,
        "task_id": task,
        "channel": channel,
        "stream": stream,
        "message": message,
    }


async def join_collaboration(core: Core, given: Arguments) -> Answer:
    """The agent is of the task for JOINED_SECONDS."""
    task, agent = task_of(given), text_of(given, "agent_id")
    await write_key(core, task, f"agents/{_agent(agent)}", {"joined": now()}, JOINED_SECONDS)
    return {"success": True, "task_id": task, "agent_id": agent}


async def leave_collaboration(core: Core, given: Arguments) -> Answer:
    """It no longer is."""
    task, agent = task_of(given), text_of(given, "agent_id")
    key = key_of(task, f"agents/{_agent(agent)}")
    for item in (await core.call("readShared", keys=[key]))["items"]:
        if core.who.keyed and item["by"] != core.who.label:
            raise refused(403, f"{agent} joined by the key of {item['by']}, and leaves by it.")
        await core.call("writeShared", ops=[{"key": key, "value": None}])
    return {"success": True, "task_id": task, "agent_id": agent}


def _agent(agent: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,80}", agent):
        raise refused(422, "agent_id must have 1 to 80 letters, digits, _ . : or -.")
    return agent


# --- what can be read at an address ------------------------------------------------------------


async def task_state(core: Core, task: str) -> Answer | None:
    """What others wrote to `task:ID:state`, with the task's files, agents and steps."""
    keys = [f"task:{task}:state", key_of(task, "log")]
    items = {each["key"]: each for each in (await core.call("readShared", keys=keys))["items"]}
    agents = await _agents(core, task)
    files = await _files(core, task)
    if not items and not agents and files is None:
        return None
    answer = items[keys[0]]["value"] if keys[0] in items else None
    own = answer if isinstance(answer, dict) else {} if answer is None else {"state": answer}
    last = items[keys[1]]["value"] if keys[1] in items else None
    more = {"files": files or [], "agents": agents, "last_step": last}
    return {"id": task, "task_id": task, **own, **more}


async def task_files(core: Core, task: str) -> Answer | None:
    files = await _files(core, task)
    return None if files is None else {"files": files}


async def task_logs(core: Core, task: str) -> Answer:
    """The last MOST_STEPS steps, oldest first."""
    ask = {"keys": [key_of(task, "log")], "history": True, "limit": MOST_STEPS}
    steps = (await core.call("readShared", **ask))["items"]
    return {"task_id": task, "logs": [each["value"] for each in reversed(steps)]}


async def collaboration(core: Core, task: str) -> Answer:
    return {"success": True, "task_id": task, "agents": await _agents(core, task)}


async def agent_status(core: Core, agent: str) -> Answer | None:
    """The tasks that the agent has joined, as far as the caller may see them."""
    found = await core.call("readShared", pattern=key_of("*", f"agents/{agent}"))
    tasks = [each["key"].split("/")[1] for each in found["items"]]
    return {"agent_id": agent, "status": "working", "tasks": tasks} if tasks else None


async def workspace_file(core: Core, task: str, path: str) -> Answer:
    return await file_read(core, {"task_id": task, "path": path})


async def _agents(core: Core, task: str) -> list[str]:
    found = await core.call("readShared", prefix=key_of(task, "agents/"), limit=1000)
    return [each["key"].rpartition("/")[2] for each in found["items"]]


async def _files(core: Core, task: str) -> list[str] | None:
    if not core.workspace:
        return None
    try:
        return await asyncio.to_thread(open_workspace(core.workspace).files, task)
    except WorkspaceRefusal:
        return None


Read = Callable[..., Awaitable[Answer | None]]
ADDRESSES: tuple[tuple[str, str, Read], ...] = (
    ("tasks://{id}/state", "A task's state, files, agents and last step.", task_state),
    ("tasks://{id}/files", "The paths of a task's files.", task_files),
    ("tasks://{id}/logs", "The steps of a task, oldest first.", task_logs),
    ("logs://{id}", "The same.", task_logs),
    ("workspace://{id}/{path}", "A task's file.", workspace_file),
    ("agents://{id}/status", "The tasks that an agent has joined.", agent_status),
    ("collaboration://{id}", "The agents that work on a task.", collaboration),
)


@lru_cache(16)
def _shape(template: str) -> re.Pattern[str]:
    shape = template.replace("{id}", "([A-Za-z0-9_.:-]{1,128})").replace("{path}", "(.+)")
    return re.compile(shape)


async def read_address(core: Core, address: str) -> Any:
    """What an address of MCP holds; None where there is nothing."""
    for template, _, answer in ADDRESSES:
        if found := _shape(template).fullmatch(address):
            return await answer(core, *map(unquote, found.groups()))
    return None
