"""The tools for a task's files: read, write and edit them under a lock, claim and release them."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from cachetools import FIFOCache

from .face import Arguments, Core, Declined, JsonObject, tool
from .workspace import BAD_TASK, TASK, FileText, Workspace, WorkspaceRefusal

CLAIM_SECONDS, SHORTEST, LONGEST = 60, 5, 86_400
MOST_CLAIMS = 10_000
NO_WORKSPACE = "This server has no workspace: start it with --workspace DIR."


class Claim(NamedTuple):
    """A caller's claim on a file, kept for callers that do not send the token back."""

    token: str
    seconds: int


_claims: FIFOCache[tuple[str, str, str], Claim] = FIFOCache(MOST_CLAIMS)


def refused(status: int, sentence: str, **more: Any) -> Declined:
    """The exception with which a tool refuses a call, with its HTTP status."""
    return Declined({"success": False, "error": sentence, **more, "status": status})


@lru_cache(8)
def open_workspace(folder: str) -> Workspace:
    """The workspace in this folder, one object for all callers."""
    return Workspace(Path(folder))


# --- arguments ---------------------------------------------------------------------------------


def text_of(given: Arguments, name: str) -> str:
    """An argument that must be text. Raises Declined."""
    value = given.get(name)
    if not isinstance(value, str):
        raise refused(422, f"{name} must be given, as text.")
    return value


def optional(given: Arguments, name: str) -> str | None:
    return text_of(given, name) if given.get(name) is not None else None


def task_of(given: Arguments) -> str:
    """The `task_id` argument. Raises Declined."""
    task = text_of(given, "task_id")
    if not TASK.fullmatch(task):
        raise refused(422, BAD_TASK)
    return task


class TaskFile(NamedTuple):
    """A task's file; `resource`, its absolute path, is the name of its lock."""

    workspace: Workspace
    task: str
    path: str

    @property
    def resource(self) -> str:
        return self.workspace.path(self.task, self.path)

    async def do(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run `work` on the file in a thread, as it may wait for the disk. Raises Declined."""
        try:
            return await asyncio.to_thread(work, self.task, self.path, *arguments)
        except WorkspaceRefusal as refusal:
            raise refused(refusal.status, str(refusal), **refusal.data) from None
        except OSError as error:
            raise refused(507, f"The file cannot be written: {error.strerror}.") from None


def place_of(core: Core, given: Arguments) -> TaskFile:
    if not core.workspace:
        raise refused(501, NO_WORKSPACE)
    place = TaskFile(open_workspace(core.workspace), task_of(given), text_of(given, "path"))
    try:
        _ = place.resource
    except WorkspaceRefusal as refusal:
        raise refused(refusal.status, str(refusal)) from None
    return place


# --- files -------------------------------------------------------------------------------------


@tool("file_read task_id! path!", reads=True)
async def file_read(core: Core, given: Arguments) -> JsonObject:
    """Read a file of a task."""
    place = place_of(core, given)
    text: FileText = place.workspace.unchanged(place.task, place.path) or (
        await place.do(place.workspace.read)
    )
    return _done(place, content=text.content, revision=text.revision)


@tool("file_write task_id! path! content! if_revision token:token")
async def file_write(core: Core, given: Arguments) -> JsonObject:
    """Write a file of a task, whole. Declined while another agent claims it, or with if_revision
    when it changed since."""
    place, content = place_of(core, given), text_of(given, "content")
    wanted = optional(given, "if_revision")
    written: FileText = await _locked(core, place, given, place.workspace.write, content, wanted)
    await _note(core, place, "write", written.revision)
    size = len(content.encode())
    return _done(place, bytes=size, revision=written.revision)


@tool("file_edit task_id! path! old_content! new_content! token:token")
async def file_edit(core: Core, given: Arguments) -> JsonObject:
    """Replace text that a file has exactly once; answers the diff."""
    place = place_of(core, given)
    old, new = text_of(given, "old_content"), text_of(given, "new_content")
    before, after = await _locked(core, place, given, place.workspace.edit, old, new)
    await _note(core, place, "edit", after.revision)
    lines = before.content.splitlines(True), after.content.splitlines(True)
    diff = "".join(difflib.unified_diff(*lines, f"a/{place.path}", f"b/{place.path}"))
    return _done(place, diff=diff, revision=after.revision)


@tool("claim_file task_id! path! timeout_sec:int token:token")
async def claim_file(core: Core, given: Arguments) -> JsonObject:
    """Claim a file for 60 s, or so long, before working on it; with the token it is renewed."""
    place, seconds = place_of(core, given), given.get("timeout_sec", CLAIM_SECONDS)
    if type(seconds) is not int or not 1 <= seconds <= LONGEST:
        raise refused(422, f"timeout_sec must be a whole number from 1 to {LONGEST}.")
    seconds, token = max(SHORTEST, seconds), optional(given, "token")
    params: Arguments = {"action": "acquire", "resources": [place.resource], "ttl_s": seconds}
    params |= {"token": token} if token else {"purpose": f"task {place.task}"[:200]}
    granted = await core.call("lockResources", **params)
    _claims[_name(core, place)] = Claim(granted["token"], seconds)
    return _done(place, locked=True, token=granted["token"], until=granted["until"])


@tool("release_file task_id! path! token:token")
async def release_file(core: Core, given: Arguments) -> JsonObject:
    """Give a claim back."""
    place = place_of(core, given)
    claim = _claim(core, place, given)
    if claim is None:
        raise refused(409, f"You hold no claim on {place.path}: give the token of your claim.")
    _claims.pop(_name(core, place), None)
    held = [place.resource]
    await core.call("lockResources", action="release", token=claim.token, resources=held)
    return _done(place, locked=False)


async def _locked(
    core: Core, place: TaskFile, given: Arguments, work: Callable[..., Any], *arguments: Any
) -> Any:
    """Run `work` on a file under the caller's claim, which is renewed, else under a short lock.

    A claim that has expired is not acquired again, as others may have changed the file since.
    """
    core.must_write(key_of(place.task, "file"))  # as `_note` does, when the file is written
    held: Arguments = {"resources": [place.resource]}
    if claim := _claim(core, place, given):
        held |= {"action": "renew", "token": claim.token, "ttl_s": claim.seconds}
        await core.call("lockResources", **held)
        return await place.do(work, *arguments)
    held |= {"action": "acquire", "ttl_s": SHORTEST}
    token = (await core.call("lockResources", **held))["token"]
    try:
        return await place.do(work, *arguments)
    finally:
        await core.call("lockResources", action="release", token=token)


def _claim(core: Core, place: TaskFile, given: Arguments) -> Claim | None:
    known = _claims.get(_name(core, place))
    if (token := optional(given, "token")) is None:
        return known
    return known if known and known.token == token else Claim(token, CLAIM_SECONDS)


def _name(core: Core, place: TaskFile) -> tuple[str, str, str]:
    return core.who.kind, core.who.own, place.resource


async def _note(core: Core, place: TaskFile, action: str, revision: str) -> None:
    """Write the change as a shared value, so that watchers of the task's files get an event."""
    value = {"path": place.path, "action": action, "revision": revision, "by": core.who.label}
    await write_key(core, place.task, "file", value)


def _done(place: TaskFile, **more: Any) -> JsonObject:
    return {"success": True, "task_id": place.task, "path": place.path, **more}


# --- shared values -----------------------------------------------------------------------------


def key_of(task: str, what: str) -> str:
    """The shared key of something of a task."""
    return f"tasks/{task}/{what}"


async def write_key(core: Core, task: str, what: str, value: Any, ttl: int = 0) -> int:
    """Write a task's shared value; gives the revision."""
    op = {"key": key_of(task, what), "value": value, **({"ttl_s": ttl} if ttl else {})}
    return int((await core.call("writeShared", ops=[op]))["rev"])
