"""Answers the hooks of Claude Code: suggestions for a prompt, reports of tasks, and claims.

A hook must not disturb its host: an event that is not understood, or cannot be handled now, is
answered with `{}`. Payloads are private and never logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from ...errors import Forbidden, ParseError, RequestError
from ...queries import HostName
from ...reports import Report
from ...search.candidates import by_name
from ..callers import caller
from ..calls import perform
from ..state import State
from .claims import caller_of
from .delegations import Delegations
from .payloads import (
    PAYLOAD,
    AgentStopped,
    Ended,
    Payload,
    Prompted,
    Stopped,
    ToolEnded,
    ToolFailed,
    ToolStarting,
)
from .suggest import NOT_A_REQUEST, suggest

log = logging.getLogger("orchestr8.hooks")


async def receive_claude(state: State, body: bytes, host: HostName = "claude") -> dict[str, Any]:
    """Raises ParseError for a body that is not JSON."""
    event = _read(body)
    try:
        if event:
            whose = event.session_id or "", event.cwd or ""
            state = await state.projects.of_session(caller.get(), *whose)
        return await _answer(state, event, host) if event else {}
    except RequestError as error:
        if isinstance(error, Forbidden):
            state.gate.audit.done("hooks/claude", str(error.code), False)
        log.warning("a hook's event was not kept", extra={"reason": error.sentence})
        return {}


def _read(body: bytes) -> Payload | None:
    try:
        return PAYLOAD.decode(body)  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ParseError("The body is not JSON.") from None


async def _answer(state: State, event: Payload, host: HostName) -> dict[str, Any]:
    delegations, session = state.delegations.of(caller.get().name), event.session_id or ""
    if isinstance(event, Prompted):
        prompt = event.prompt or ""
        if not NOT_A_REQUEST.match(prompt):
            delegations.turns.begin(session, prompt)
        state.claims.prompted(event)
        return _output("UserPromptSubmit", additionalContext=suggest(state, prompt, host))
    caller.get().must_have("report")  # every other event changes what is kept
    if isinstance(event, ToolStarting):
        if started := delegations.started(event):
            state.events.publish(started)
            if not event.agent_id:  # one that an agent starts is no part of the user's plan
                delegations.turns.start(session, started.id)
        denied = await _check_claims(state, event)
        return _output("PreToolUse", permissionDecision="deny", permissionDecisionReason=denied)
    report = _report(delegations, event)
    if report is not None:
        (kept, agent), ended = _with_indexed_name(state, report), delegations.end_event(report)
        state.events.publish(ended)
        await perform(state, "cacheDecision", msgspec.json.encode(kept))
        delegations.turns.end(session, ended.id, agent, report.result)
    await _keep_plan(state, event, report is not None)
    return _output("PostToolUse", additionalContext=await _check_claims(state, event))


async def _keep_plan(state: State, event: Payload, has_ended: bool) -> None:
    """Report the plan of a prompt once the session is idle and its last agent has ended."""
    turns, session = state.delegations.of(caller.get().name).turns, event.session_id or ""
    if isinstance(event, Stopped | Ended):
        turns.over(session)
    elif not has_ended:
        return
    if (plan := turns.plan(session)) is not None:
        await perform(state, "cacheDecision", msgspec.json.encode(plan))


async def _check_claims(state: State, event: Payload) -> str:
    """Before a tool: why it is denied; after it: notices; else ends claims. "" is no output."""
    hooks = state.claims
    if not state.shared.is_kept or hooks.policy == "off" or not event.session_id:
        return ""
    await state.shared.look_up_project(state.settings)
    project = state.shared.project_of(state.settings)
    if isinstance(event, ToolStarting | ToolEnded):
        shared, who = await state.shared.state(), caller_of(event, project)
        if isinstance(event, ToolStarting):
            return await hooks.before(shared, who, event)
        return await hooks.after(shared, who, event)
    if isinstance(event, AgentStopped | Stopped | Ended) and state.shared.ready is not None:
        who = caller_of(event, project)
        await hooks.leave(state.shared.ready, who, isinstance(event, Ended))
    return ""


def _with_indexed_name(state: State, report: Report) -> tuple[Report, str]:
    """The report with the agent's name in the index, and that name, "" for one that has none.

    A host says `plugin:folder:name`, and the index has it so, or as `plugin:name`. Agents that are
    not in the index, such as the host's own, must not be learnt as successful.
    """
    agents, (name,) = state.index.segments["agent"], report.agents_used
    places = by_name(agents, name)
    if len(places) == 1:
        name = agents.entry(places[0]).qualified
    if name in agents.position or places:
        return msgspec.structs.replace(report, agents_used=[name]), name
    result = "partial" if report.result == "success" else report.result
    return msgspec.structs.replace(report, result=result), ""


def _report(delegations: Delegations, event: Payload) -> Report | None:
    read: dict[type, Callable[[Any], Report | None]] = {
        ToolEnded: delegations.ended,
        AgentStopped: delegations.stopped,
        ToolFailed: delegations.failed,
    }
    return read[type(event)](event) if type(event) in read else None


def _output(event: str, **fields: str) -> dict[str, Any]:
    """The output of a hook; {} if a field is empty."""
    if not all(fields.values()):
        return {}
    return {"hookSpecificOutput": {"hookEventName": event, **fields}}
