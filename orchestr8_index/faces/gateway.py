"""The face for agents that work on the files of tasks: its tools, over MCP and plain HTTP."""

from __future__ import annotations

import msgspec

from ..errors import Busy, Forbidden, InvalidParams, MethodNotFound, RequestError, StaleToken
from .face import Answer, Core, Declined, Product, Run, Tool, tool
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
    found = _TOOLS.get(name.removeprefix("mcp_"))
    if found is None:
        raise refused(404, f"There is no tool {name[:100]}; there are {', '.join(_TOOLS)}.")
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise refused(422, "The body must be one object of JSON.") from None
    if not isinstance(given, dict):
        raise refused(422, "The body must be one object of JSON.")
    return await found.run(core, given)


async def _get(core: Core, path: str) -> tuple[int, Answer]:
    """`tasks/ID/state` is what MCP has at `tasks://ID/state`, and so for all."""
    scheme, _, rest = path.partition("/")
    answer = await read_address(core, f"{scheme}://{rest}")
    return (200, answer) if answer is not None else (404, {"detail": f"{rest[:100]} not found"})


def _detail(body: Answer) -> tuple[int, Answer]:
    status, detail = body.pop("status", 500), body.pop("error")
    return status, {"detail": detail, **{k: v for k, v in body.items() if k != "success"}}


def failed(error: RequestError) -> Answer:
    """What the core refuses: who holds it and until when, beside the sentence."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 503)
    more = error.data() if isinstance(error, Busy | StaleToken) else {}
    return {"success": False, "error": error.sentence, **more, "status": status}


# --- the face ----------------------------------------------------------------------------------

FILE = "task_id! path!"
TOKEN = {"type": "string", "description": "Of claim_file."}


def on_file(signature: str, description: str, run: Run) -> Tool:
    name, _, more = signature.partition(" ")
    reads = name == "file_read"
    return tool(f"{name} {FILE} {more}", description, run, reads=reads, token=TOKEN)


_LIST = (
    on_file("file_read", "Read a file of a task.", file_read),
    on_file(
        "file_write content! if_revision token:token",
        "Write a file of a task, whole. Declined while another agent claims it, or with if_revision"
        " when it changed since.",
        file_write,
    ),
    on_file(
        "file_edit old_content! new_content! token:token",
        "Replace text that a file has exactly once; answers the diff.",
        file_edit,
    ),
    on_file(
        "claim_file timeout_sec:int token:token",
        "Claim a file for 60 s, or so long, before working on it; with the token it is renewed.",
        claim_file,
    ),
    on_file("release_file token:token", "Give a claim back.", release_file),
    tool("log_step task_id! step:object!", "Log a step for those who follow it.", log_step),
    tool("subscribe_logs task_id!", "Where a task's steps arrive.", subscribe_logs, reads=True),
    tool(
        "join_collaboration task_id! agent_id!",
        "Say that an agent works on a task.",
        join_collaboration,
    ),
    tool(
        "leave_collaboration task_id! agent_id!",
        "Say that it no longer does.",
        leave_collaboration,
    ),
)
_TOOLS = {each.name: each for each in _LIST}
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
