"""The face for agents that work on the files of tasks, with steps and agents of a task as tools and
resources, over MCP and plain HTTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import msgspec

from ..errors import Busy, Forbidden, InvalidParams, MethodNotFound, RequestError, StaleToken
from .face import Arguments, Core, Declined, JsonObject, Product, now, tool
from .task_files import (
    claim_file,
    file_edit,
    file_read,
    file_write,
    key_of,
    open_workspace,
    refused,
    release_file,
    task_of,
    text_of,
    write_key,
)
from .workspace import WorkspaceRefusal

JOINED_SECONDS = 3600
MOST_STEPS = 1000


@tool("log_step task_id! step:object!")
async def log_step(core: Core, given: Arguments) -> JsonObject:
    """Log a step for those who follow it."""
    task, step = task_of(given), given.get("step")
    if not isinstance(step, dict):
        raise refused(422, "step must be an object.")
    step = {"timestamp": now(), **step, "task_id": task, "agent_id": core.who.label}
    rev = await write_key(core, task, "log", step)
    return {"success": True, "task_id": task, "step": step, "revision": rev}


@tool("subscribe_logs task_id!", reads=True)
async def subscribe_logs(core: Core, given: Arguments) -> JsonObject:
    """Where a task's steps arrive."""
    task = task_of(given)
    stream = f"/events?prefix={key_of(task, 'log')}"
    message = f"Subscribe to the resource logs://{task} in MCP, or read GET {stream} as a stream."
    where = {"channel": f"logs:{task}:stream", "stream": stream, "message": message}
    return {"success": True, "task_id": task, **where}


@tool("join_collaboration task_id! agent_id!")
async def join_collaboration(core: Core, given: Arguments) -> JsonObject:
    """Say that an agent works on a task."""
    task, agent = task_of(given), text_of(given, "agent_id")
    await write_key(core, task, f"agents/{_agent(agent)}", {"joined": now()}, JOINED_SECONDS)
    return {"success": True, "task_id": task, "agent_id": agent}


@tool("leave_collaboration task_id! agent_id!")
async def leave_collaboration(core: Core, given: Arguments) -> JsonObject:
    """Say that it no longer does."""
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


# --- resources ---------------------------------------------------------------------------------


async def task_state(core: Core, task: str) -> JsonObject | None:
    """The shared value `task:ID:state` with the task's files, agents and last step, if any."""
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


async def task_files(core: Core, task: str) -> JsonObject | None:
    files = await _files(core, task)
    return None if files is None else {"files": files}


async def task_logs(core: Core, task: str) -> JsonObject:
    """The last MOST_STEPS steps, oldest first."""
    params = {"keys": [key_of(task, "log")], "history": True, "limit": MOST_STEPS}
    steps = (await core.call("readShared", **params))["items"]
    return {"task_id": task, "logs": [each["value"] for each in reversed(steps)]}


async def collaboration(core: Core, task: str) -> JsonObject:
    return {"success": True, "task_id": task, "agents": await _agents(core, task)}


async def agent_status(core: Core, agent: str) -> JsonObject | None:
    """The tasks that the agent has joined, as far as the caller may see them."""
    answer = await core.call("readShared", pattern=key_of("*", f"agents/{agent}"))
    tasks = [each["key"].split("/")[1] for each in answer["items"]]
    return {"agent_id": agent, "status": "working", "tasks": tasks} if tasks else None


async def workspace_file(core: Core, task: str, path: str) -> JsonObject:
    return await file_read.run(core, {"task_id": task, "path": path})


async def _agents(core: Core, task: str) -> list[str]:
    answer = await core.call("readShared", prefix=key_of(task, "agents/"), limit=1000)
    return [each["key"].rpartition("/")[2] for each in answer["items"]]


async def _files(core: Core, task: str) -> list[str] | None:
    if not core.workspace:
        return None
    try:
        return await asyncio.to_thread(open_workspace(core.workspace).files, task)
    except WorkspaceRefusal:
        return None


ResourceReader = Callable[..., Awaitable[JsonObject | None]]
ADDRESSES: tuple[tuple[str, str, ResourceReader], ...] = (
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
    """The resource at an MCP URI; None for an unknown one."""
    for template, _, answer in ADDRESSES:
        if match := _shape(template).fullmatch(address):
            return await answer(core, *map(unquote, match.groups()))
    return None


# --- over plain HTTP ---------------------------------------------------------------------------

STATUS = {Busy: 409, StaleToken: 409, Forbidden: 403, InvalidParams: 422, MethodNotFound: 404}


async def http(core: Core, verb: str, path: str, body: bytes) -> tuple[int, JsonObject]:
    """Answer `POST /tools/NAME` and `GET /resources/…` with the original product's statuses."""
    try:
        if verb == "POST" and path.startswith("/tools/"):
            return 200, await _post(core, path.removeprefix("/tools/"), body)
        if verb == "GET" and path.startswith("/resources/"):
            return await _get(core, path.removeprefix("/resources/"))
    except Declined as refusal:
        return _detail(dict(refusal.body))
    except RequestError as error:
        return _detail(failed(error))
    return 404, {"detail": f"There is nothing at {verb} {path[:100]}."}


async def _post(core: Core, name: str, body: bytes) -> JsonObject:
    called = TOOLS.get(name.removeprefix("mcp_"))
    if called is None:
        raise refused(404, f"There is no tool {name[:100]}; there are {', '.join(TOOLS)}.")
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise refused(422, "The body must be one object of JSON.") from None
    if not isinstance(given, dict):
        raise refused(422, "The body must be one object of JSON.")
    return await called.run(core, given)


async def _get(core: Core, path: str) -> tuple[int, JsonObject]:
    """The resource at a path: `tasks/ID/state` is the MCP URI `tasks://ID/state`."""
    scheme, _, rest = path.partition("/")
    answer = await read_address(core, f"{scheme}://{rest}")
    return (200, answer) if answer is not None else (404, {"detail": f"{rest[:100]} not found"})


def _detail(body: JsonObject) -> tuple[int, JsonObject]:
    status, detail = body.pop("status", 500), body.pop("error")
    return status, {"detail": detail, **{k: v for k, v in body.items() if k != "success"}}


def failed(error: RequestError) -> JsonObject:
    """The body for an error that a method raised; of a lock, with its holder and end."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 503)
    more = error.data() if isinstance(error, Busy | StaleToken) else {}
    return {"success": False, "error": error.sentence, **more, "status": status}


# --- the face ----------------------------------------------------------------------------------

FACE = Product(
    tools=(
        file_read,
        file_write,
        file_edit,
        claim_file,
        release_file,
        log_step,
        subscribe_logs,
        join_collaboration,
        leave_collaboration,
    ),
    instructions="Files of tasks that several agents work on: claim, then write.",
    failed=failed,
    templates={template: what for template, what, _ in ADDRESSES},
    read=read_address,
    http=http,
    by_session=True,
)
TOOLS = {each.name: each for each in FACE.tools} | {"join_collab": join_collaboration}
