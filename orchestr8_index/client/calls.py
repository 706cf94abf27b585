"""What can be called, and what comes back? The client's side of the server's table of methods.

The client does not know the server's room; a test compares both tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ..answers import (
    AgentAnswer,
    ContextAnswer,
    EntryAnswer,
    HealthAnswer,
    OutcomeAnswer,
    PatternAnswer,
    PatternStored,
    SkillAnswer,
    WorkflowAnswer,
)
from ..errors import InvalidParams, RequestError
from ..params import check_agents_query, read_params
from ..records import (
    AgentQuery,
    ContextQuery,
    EntryQuery,
    NoParams,
    PatternGoal,
    PatternSearch,
    PatternStore,
    Report,
    SkillQuery,
    WorkflowQuery,
)
from .steps import Reply, Trouble


class Call(Struct, frozen=True):
    """`wire` is the server's name. Answers of `cached` calls are kept for a while."""

    wire: str
    params: type[Struct]
    result: Any
    cached: bool = True


CALLS = {
    "query_agents": Call("queryAgents", AgentQuery, AgentAnswer),
    "query_skills": Call("querySkills", SkillQuery, SkillAnswer),
    "query_workflows": Call("queryWorkflows", WorkflowQuery, WorkflowAnswer),
    "get_pattern": Call("getOrchestrationPattern", PatternGoal, PatternAnswer | None),
    "find_patterns": Call("queryPattern", PatternSearch, list[PatternAnswer]),
    "get_entry": Call("getEntry", EntryQuery, EntryAnswer),
    "get_context": Call("getContext", ContextQuery, ContextAnswer),
    "store_pattern": Call("storePattern", PatternStore, PatternStored, cached=False),
    "report_outcome": Call("cacheDecision", Report, OutcomeAnswer, cached=False),
    "health": Call("getHealth", NoParams, HealthAnswer, cached=False),
    "metrics": Call("getMetrics", NoParams, dict[str, Any], cached=False),
}


def write_params(call: Call, given: Mapping[str, Any]) -> tuple[Any, bytes]:
    """The checked params and their JSON; None means not given. Raises InvalidParams."""
    named = {name: value for name, value in given.items() if value is not None}
    try:
        raw = msgspec.json.encode(named)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParams({"params": f"cannot be written as JSON: {error}"}) from None
    params = read_params(call.params, raw)
    if isinstance(params, AgentQuery):
        check_agents_query(params)
    return params, raw


def request(wire: str, raw: bytes, ident: int = 1) -> bytes:
    head = f'{{"jsonrpc":"2.0","id":{ident},"method":"{wire}","params":'
    return head.encode() + raw + b"}"


# --- what the server says ----------------------------------------------------------------------


class Complaint(Struct):
    code: int
    message: str
    data: dict[str, Any] = {}


class Said(Struct):
    """One JSON-RPC reply: either a result, as it came, or a complaint."""

    jsonrpc: str
    id: int | None = None
    result: Raw = Raw()
    error: Complaint | None = None


_SAID, _ALL_SAID = msgspec.json.Decoder(Said), msgspec.json.Decoder(list[Said])
NONSENSE = "it answers nonsense"


def read_reply(reply: Reply) -> bytes | Trouble:
    """The result's JSON, or what is wrong."""
    try:
        said = _SAID.decode(reply.body)
    except (msgspec.DecodeError, RecursionError):
        return Trouble(f"{NONSENSE} (HTTP {reply.status})")
    if said.error is not None:
        error = error_of(said.error)
        return Trouble(error.sentence, error=error)
    return bytes(said.result) or Trouble(NONSENSE)


def read_replies(reply: Reply, count: int) -> list[Said] | Trouble:
    """One for each of the `count` calls of a batch, in their order."""
    try:
        said = {each.id: each for each in _ALL_SAID.decode(reply.body)}
        return [said[number] for number in range(count)]
    except (msgspec.DecodeError, RecursionError, KeyError):
        return Trouble(f"{NONSENSE} (HTTP {reply.status})")


def read_result(call: Call, result: bytes) -> Any:
    """The typed result. Raises msgspec.DecodeError for another shape."""
    return msgspec.json.decode(result, type=call.result)


def error_of(said: Complaint) -> RequestError:
    """The error of the family that the server raised."""
    if said.code == InvalidParams.code:
        rows = said.data.get("validation_errors")
        named = rows if isinstance(rows, list) else []
        problems = {str(r.get("field")): str(r.get("message")) for r in named if type(r) is dict}
        return InvalidParams(problems or {"params": said.message})
    kind = next((k for k in RequestError.__subclasses__() if k.code == said.code), RequestError)
    error = kind(said.message)
    error.code, error.cure = said.code, str(said.data.get("cure", ""))
    return error
