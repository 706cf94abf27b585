"""Joins the events of one delegated task to a report, by the id of its agent.

An agent in the foreground sends SubagentStop and then PostToolUse with its whole result. One in the
background sends PostToolUse as it is launched and SubagentStop at its end; they may be delivered in
any order.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ...memo import Newest
from ...records import Result
from ...reports import MOST_COUNTED, Report
from ...text import cut
from ...views import DelegatedTask, DelegationList
from ..events import Delegated
from .payloads import AgentStopped, ToolEnded, ToolEvent, ToolFailed, ToolResponse, ToolStarting
from .turns import PromptTurns
from .verdict import read_verdict

TOOLS = ("Agent", "Task")
DEFAULT_AGENT = "general-purpose"  # whom Claude Code starts where no agent is named
CALLER = "claude-code"
KEPT, MOST_CALLERS = 1000, 64
NEVER_RAN = "Agent type "  # the beginning of the error when the host knows no such agent
MOST_RUNNING, MOST_ENDED = 200, 50
LONGEST = 6 * 3600.0  # seconds after which a running task is not shown
MOST_ID, MOST_NAME, MOST_TEXT, SHOWN = 100, 200, 1000, 100


class Delegation(Struct, frozen=True):
    """One agent's task, as far as its events have arrived. `call` is the task's id by its call of
    a tool, as long as its agent has none."""

    text: str = ""
    call: str = ""
    agent: str = ""
    model: str = ""
    duration_ms: float | None = None
    launched_at: float | None = None
    result: Result | None = None


class Delegations:
    """The last KEPT agents by task id. An event that completes its task returns a Report."""

    def __init__(self, kept: int = KEPT, clock: Callable[[], float] = time.monotonic) -> None:
        self._tasks: Newest[str, Delegation] = Newest(kept)
        self._clock = clock
        self.turns = PromptTurns()

    def __len__(self) -> int:
        return len(self._tasks)

    def get(self, session: str, ident: str) -> Delegation | None:
        return self._tasks.get(task_id(session, ident))

    def started(self, event: ToolStarting) -> Delegated | None:
        ident = task_id(event.session_id, event.tool_use_id)
        if event.tool_name not in TOOLS or not ident:
            return None
        task = _task(event)
        shown = (cut(task["agent"], MOST_NAME), cut(task["text"], SHOWN))
        return Delegated("started", ident, *shown)

    def end_event(self, report: Report) -> Delegated:
        """The event of a reported task's end."""
        task = self._tasks.get(report.task_id, Delegation())
        shown = (report.agents_used[0], cut(report.task_description, SHOWN))
        ident = task.call or report.task_id
        return Delegated("ended", ident, *shown, report.result, report.duration_ms)

    def ended(self, event: ToolEnded) -> Report | None:
        response = event.tool_response
        answer = ToolResponse(content=response) if isinstance(response, str) else response
        ident = task_id(event.session_id, answer and answer.agent_id or event.tool_use_id)
        if event.tool_name not in TOOLS or answer is None or not ident:
            return None
        if answer.status == "async_launched":
            return self._launched(ident, _task(event, answer))
        if answer.status not in (None, "completed"):
            return None
        spent = answer.total_duration_ms or event.duration_ms
        result = read_verdict(answer.text) if answer.text.strip() else None
        return self._join(ident, duration_ms=spent, result=result, **_task(event, answer))

    def _launched(self, ident: str, fields: dict[str, Any]) -> Report | None:
        task = self._tasks.get(ident, Delegation())
        if task.result is None and task.launched_at is None:
            fields["launched_at"] = self._clock()
        return self._join(ident, **fields)

    def failed(self, event: ToolFailed) -> Report | None:
        """An interrupted task is `partial`; one that never ran is not reported."""
        ident = task_id(event.session_id, event.tool_use_id)
        never_ran = (event.error or "").startswith(NEVER_RAN)
        if event.tool_name not in TOOLS or never_ran or not ident:
            return None
        result: Result = "partial" if event.is_interrupt else "failure"
        task = Delegation(**_task(event), duration_ms=event.duration_ms, result=result)
        return _report(ident, task)

    def stopped(self, event: AgentStopped) -> Report | None:
        """An agent that is resumed stops again; its last message counts."""
        ident = task_id(event.session_id, event.agent_id)
        if not ident:
            return None
        task = self._tasks.get(ident, Delegation())
        fields: dict[str, Any] = {"result": read_verdict(event.last_assistant_message or "")}
        if task.launched_at is not None and task.duration_ms is None:
            fields["duration_ms"] = round((self._clock() - task.launched_at) * 1000, 1)
        if not task.text:  # launched before this server started, maybe
            tasks = event.background_tasks or ()
            texts = [each.description or "" for each in tasks if each.id == event.agent_id]
            fields |= {"text": "".join(texts[:1]), "agent": event.agent_type or ""}
        return self._join(ident, **fields)

    def _join(self, ident: str, **fields: Any) -> Report | None:
        before = self._tasks.pop(ident, Delegation())
        given = {
            name: value[:MOST_TEXT] if isinstance(value, str) else value
            for name, value in fields.items()
            if value not in (None, "")
        }
        task = self._tasks[ident] = replace(before, **given)
        return _report(ident, task)


class OfCallers:
    """Delegations by caller, so that callers neither share nor evict each other's tasks."""

    def __init__(self, make: Callable[[], Delegations] = Delegations) -> None:
        self._make, self._of = make, Newest[str, Delegations](MOST_CALLERS)

    def of(self, caller: str) -> Delegations:
        """Those of an API key, else of a peer."""
        kept = self._of.pop(caller, None)
        found = self._of[caller] = self._make() if kept is None else kept
        return found


def task_id(session: str | None, ident: str | None) -> str:
    """The same for all events of one agent, however often delivered; empty without an id."""
    if not ident:
        return ""
    plain = f"claude:{session or ''}:{ident}"
    if len(plain) <= MOST_ID:
        return plain
    return f"claude:{hashlib.blake2b(plain.encode(), digest_size=16).hexdigest()}"


def _task(event: ToolEvent, answer: ToolResponse | None = None) -> dict[str, Any]:
    asked = event.tool_input
    texts = (part.strip() for part in (asked.description, asked.prompt) if part)
    agent = asked.subagent_type or (answer.agent_type if answer else "") or DEFAULT_AGENT
    model = (answer.resolved_model if answer else "") or ""
    call = task_id(event.session_id, event.tool_use_id)
    return {"text": ": ".join(filter(None, texts)), "agent": agent, "model": model, "call": call}


def _report(ident: str, task: Delegation) -> Report | None:
    """None while something is missing, and for an impossible name."""
    agent = task.agent or DEFAULT_AGENT
    if not task.text or task.result is None or len(agent) > MOST_NAME:
        return None
    return Report(
        task_id=ident,
        task_description=task.text[:MOST_TEXT],
        agents_used=[agent],
        result=task.result,
        duration_ms=_counted(task.duration_ms),
        model=task.model[:MOST_ID],
        caller=CALLER,
    )


def _counted(spent: float | None) -> float | None:
    return spent if spent is not None and 0 <= spent <= MOST_COUNTED else None


class RunningTasks:
    """The tasks that run or ended lately, from the events of their starts and ends. One without a
    start is shown once it has ended."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._running: Newest[str, DelegatedTask] = Newest(MOST_RUNNING)
        self._ended: deque[DelegatedTask] = deque(maxlen=MOST_ENDED)

    def note(self, event: Delegated) -> None:
        now = self._clock()
        task = DelegatedTask(id=event.id, agent=event.agent, task=event.task, started=now)
        if event.state == "started":
            self._running.setdefault(event.id, task)
            return
        began = now - (event.duration_ms or 0) / 1000
        known = self._running.pop(event.id, replace(task, started=began))
        self._ended.appendleft(replace(known, ended=now, result=event.result or ""))

    def shown(self) -> DelegationList:
        """The latest first."""
        since = self._clock() - LONGEST
        running = [each for each in reversed(self._running.values()) if each.started > since]
        return DelegationList(running=running, ended=list(self._ended))
