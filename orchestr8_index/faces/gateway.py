"""The face for agents that work on the files of tasks: its tools, over MCP and plain HTTP."""

from __future__ import annotations

import msgspec

from ..errors import Busy, Forbidden, InvalidParams, MethodNotFound, RequestError, StaleToken
from .face import Answer, Core, Declined, Product, Tool
from .task_files import claim_file, file_edit, file_read, file_write, refused, release_file
from .task_state import (
    ADDRESSES,
    join_collaboration,
    leave_collaboration,
    log_step,
    read_address,
    subscribe_logs,
)

STATUS = {Busy: 409, StaleToken: 409, Forbidden: 403, InvalidParams: 422, MethodNotFound: 404}


async def http(core: Core, verb: str, path: str, body: bytes) -> tuple[int, Answer]:
    """`POST /tools/NAME` and `GET /resources/…`, with the statuses that its callers know."""
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


async def _post(core: Core, name: str, body: bytes) -> Answer:
    tool = _TOOLS.get(name.removeprefix("mcp_"))
    if tool is None:
        raise refused(404, f"There is no tool {name[:100]}; there are {', '.join(_TOOLS)}.")
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise refused(422, "The body must be one object of JSON.") from None
    if not isinstance(given, dict):
        raise refused(422, "The body must be one object of JSON.")
    return await tool.run(core, given)


async def _get(core: Core, path: str) -> tuple[int, Answer]:
    """`tasks/ID/state` is what MCP has at `tasks://ID/state`, and so for all."""
    scheme, _, rest = path.partition("/")
    told = await read_address(core, f"{scheme}://{rest}")
    return (200, told) if told is not None else (404, {"detail": f"{rest[:100]} not found"})


def _detail(body: Answer) -> tuple[int, Answer]:
    status, detail = body.pop("status", 500), body.pop("error")
    return status, {"detail": detail, **{k: v for k, v in body.items() if k != "success"}}


def failed(error: RequestError) -> Answer:
    """What the core refuses: who holds it and until when, beside the sentence."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 503)
    more = error.data() if isinstance(error, Busy | StaleToken) else {}
    return {"success": False, "error": error.sentence, **more, "status": status}


# --- the face ----------------------------------------------------------------------------------

TEXT = {"type": "string"}
FILE = {"task_id": TEXT, "path": TEXT}
TOKEN = {"type": "string", "description": "Of claim_file."}
TASK = {"task_id": TEXT}
AGENT = {**TASK, "agent_id": TEXT}
_LIST = (
    Tool("file_read", "Read a file of a task.", FILE, ("task_id", "path"), file_read, True),
    Tool(
        "file_write",
        "Write a file of a task, whole. Declined while another agent claims it, or with if_revision"
        " when it changed since.",
        {**FILE, "content": TEXT, "if_revision": TEXT, "token": TOKEN},
        ("task_id", "path", "content"),
        file_write,
    ),
    Tool(
        "file_edit",
        "Replace text that a file has exactly once; answers the diff.",
        {**FILE, "old_content": TEXT, "new_content": TEXT, "token": TOKEN},
        ("task_id", "path", "old_content", "new_content"),
        file_edit,
    ),
    Tool(
        "claim_file",
        "Claim a file before working on it; with the token the claim is renewed.",
        {**FILE, "timeout_sec": {"type": "integer", "default": 60}, "token": TOKEN},
        ("task_id", "path"),
        claim_file,
    ),
    Tool(
        "release_file",
        "Give a claim back.",
        {**FILE, "token": TOKEN},
        ("task_id", "path"),
        release_file,
    ),
    Tool(
        "log_step",
        "Log a step for those who follow the task.",
        {**TASK, "step": {"type": "object"}},
        ("task_id", "step"),
        log_step,
    ),
    Tool(
        "subscribe_logs", "Where a task's steps arrive.", TASK, ("task_id",), subscribe_logs, True
    ),
    Tool(
        "join_collaboration",
        "Say that an agent works on a task.",
        AGENT,
        ("task_id", "agent_id"),
        join_collaboration,
    ),
    Tool(
        "leave_collaboration",
        "Say that it no longer does.",
        AGENT,
        ("task_id", "agent_id"),
        leave_collaboration,
    ),
)
_TOOLS = {tool.name: tool for tool in _LIST}
_TOOLS["join_collab"] = _TOOLS["join_collaboration"]

FACE = Product(
    tools=_LIST,
    instructions="Files of tasks that several agents work on: claim, then write.",
    failed=failed,
    templates={template: what for template, what, _ in ADDRESSES},
    read=read_address,
    http=http,
    by_session=True,
)
