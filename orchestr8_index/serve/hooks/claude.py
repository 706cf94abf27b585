"""Answers a hook of Claude Code: its event becomes a report or a suggestion, else `{}`.

A hook must disturb nobody: whatever is not understood, or cannot be done now, is answered with
`{}`. What a payload says is private, and no word of it is logged.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from ...errors import ParseError, RequestError
from ...reports import Report
from ...search.candidates import by_name
from ..calls import perform
from ..state import State
from .payloads import PAYLOAD, AgentStopped, Payload, Prompted, ToolEnded
from .suggest import suggest

log = logging.getLogger("orchestr8.hooks")


async def receive_claude(state: State, body: bytes) -> dict[str, Any]:
    """Raises ParseError for a body that is not JSON."""
    event = _read(body)
    try:
        return await _answer(state, event) if event else {}
    except RequestError as error:
        log.warning("a hook's event was not kept", extra={"reason": error.sentence})
        return {}


def _read(body: bytes) -> Payload | None:
    try:
        return PAYLOAD.decode(body)  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ParseError("The body is not JSON.") from None


async def _answer(state: State, event: Payload) -> dict[str, Any]:
    if isinstance(event, Prompted):
        return _suggestion(suggest(state, event.prompt or ""))
    report = _report(state, event)
    if report is not None:
        kept = _unless_foreign(state, report)
        await perform(state, "cacheDecision", msgspec.json.encode(kept))
    return {}


def _unless_foreign(state: State, report: Report) -> Report:
    """The host's own agents, and others that are not in the index, must not become its advice."""
    agents = state.index.segments["agent"]
    is_indexed = all(
        name in agents.position or by_name(agents, name) for name in report.agents_used
    )
    foreign = report.result == "success" and not is_indexed
    return msgspec.structs.replace(report, result="partial") if foreign else report


def _report(state: State, event: Payload) -> Report | None:
    if isinstance(event, ToolEnded):
        return state.delegations.ended(event)
    if isinstance(event, AgentStopped):
        return state.delegations.stopped(event)
    return None if isinstance(event, Prompted) else state.delegations.failed(event)


def _suggestion(context: str) -> dict[str, Any]:
    if not context:
        return {}
    output = {"hookEventName": "UserPromptSubmit", "additionalContext": context}
    return {"hookSpecificOutput": output}
