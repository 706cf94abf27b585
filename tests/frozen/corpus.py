"""The frozen requests: every JSON-RPC method right and wrong, every route, MCP in both eras."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from . import running

TUTORIAL = "write a tutorial for the public API"
AGENT = {"kind": "agent", "plugin": "studio", "name": "docs-writer"}
REPORT = {
    "task_id": "t-1",
    "task_description": TUTORIAL,
    "agents_used": ["docs-writer", "nobody"],
    "result": "success",
    "duration_ms": 1200,
    "tokens_saved": 300,
}
PATTERN = {
    "goal": "ship a release",
    "agent_sequence": ["release-manager", "docs-writer"],
    "dependencies": {"docs-writer": ["release-manager"]},
    "parallel_groups": [["release-manager"], ["docs-writer"]],
}


@dataclass(frozen=True)
class Ask:
    """One request. With `volatile` every number of the answer is masked."""

    name: str
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    volatile: bool = False


def rpc(name: str, method: str, params: Any = None, volatile: bool = False, **more: Any) -> Ask:
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **more}
    if params is None:
        del call["params"]
    body = json.dumps(call).encode()
    return Ask(f"{method}: {name}", "POST", "/", body, volatile=volatile)


def post(name: str, body: Any, path: str = "/", **headers: str) -> Ask:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Ask(name, "POST", path, raw, {k.replace("_", "-"): v for k, v in headers.items()})


# --- JSON-RPC ----------------------------------------------------------------------------------


def questions() -> Iterator[Ask]:
    yield rpc("by context", "queryAgents", {"context": TUTORIAL})
    yield rpc("again, from the cache", "queryAgents", {"context": TUTORIAL})
    yield rpc("by capability", "queryAgents", {"capability": "kubernetes"})
    yield rpc("by role", "queryAgents", {"role": "reviewer"})
    three = {"role": "reviewer", "capability": "security", "context": "check this change"}
    yield rpc("by all three", "queryAgents", three)
    yield rpc("in full", "queryAgents", {"context": TUTORIAL, "detail": "full", "limit": 2})
    yield rpc("explained", "queryAgents", {"context": TUTORIAL, "explain": True, "limit": 1})
    yield rpc("of one plugin", "queryAgents", {"context": TUTORIAL, "plugins": ["guard-house"]})
    yield rpc("of one model", "queryAgents", {"context": TUTORIAL, "models": ["haiku"]})
    yield rpc("with a slip of the pen", "queryAgents", {"context": "kuberntes deploiment"})
    yield rpc("unknown words", "queryAgents", {"context": "zzyzx qwfpgj"})
    yield rpc("a name", "queryAgents", {"context": "docs-writer"})
    yield rpc("nothing asked", "queryAgents", {})
    bad = {"context": "x" * 501, "role": "", "limit": 21, "detail": "long", "strange": 1}
    yield rpc("every field wrong", "queryAgents", {**bad, "min_confidence": 2, "plugins": "a"})
    yield rpc("by context", "querySkills", {"context": "write release notes"})
    yield rpc("in full", "querySkills", {"context": "release", "detail": "full", "limit": 1})
    yield rpc("even unlikely ones", "querySkills", {"context": "sing", "min_confidence": 0})
    yield rpc("without context", "querySkills", {"goal": "release"})
    yield rpc("by goal", "queryWorkflows", {"goal": "ship a release"})
    yield rpc("in full", "queryWorkflows", {"goal": "release", "detail": "full", "limit": 1})
    yield rpc("without params", "queryWorkflows")
    yield rpc("whole", "getEntry", AGENT)
    yield rpc("cut", "getEntry", {**AGENT, "max_tokens": 50})
    yield rpc("not found", "getEntry", {**AGENT, "name": "nobody"})
    yield rpc("of no kind", "getEntry", {**AGENT, "kind": "tool", "max_tokens": 0})
    yield rpc("within a budget", "getContext", {"task": TUTORIAL, "max_tokens": 400})
    yield rpc("of one kind", "getContext", {"task": TUTORIAL, "kinds": ["skill"]})
    yield rpc("of no kind", "getContext", {"task": TUTORIAL, "kinds": [], "max_tokens": 1})


def outcomes() -> Iterator[Ask]:
    yield rpc("none yet", "getOrchestrationPattern", {"goal": TUTORIAL})
    yield rpc("a success", "cacheDecision", REPORT)
    yield rpc("learnt", "getOrchestrationPattern", {"goal": TUTORIAL, "context": "in the docs"})
    yield rpc("the same again", "cacheDecision", REPORT)
    yield rpc("amended", "cacheDecision", {**REPORT, "duration_ms": 1300, "receipt": "full"})
    failed = {**REPORT, "task_id": "t-2", "result": "failure", "resolved_by": "api-designer"}
    yield rpc("a failure that another solved", "cacheDecision", {**failed, "receipt": "full"})
    partly = {**REPORT, "task_id": "t-3", "result": "partial", "skills_used": ["x"], "model": "m"}
    yield rpc("a part", "cacheDecision", partly)
    yield rpc("every field wrong", "cacheDecision", {"task_id": "", "result": "won", "n": 1})
    yield rpc("won once, lost once", "getOrchestrationPattern", {"goal": TUTORIAL})
    yield rpc("without goal", "getOrchestrationPattern", {"context": "x"})
    yield rpc("new", "storePattern", PATTERN)
    yield rpc("again", "storePattern", PATTERN)
    yield rpc("wrong", "storePattern", {"goal": "", "agent_sequence": []})
    yield rpc("all that are alike", "queryPattern", {"goal": TUTORIAL, "min_similarity": 0.1})
    yield rpc("wrong", "queryPattern", {"goal": TUTORIAL, "min_similarity": 7, "limit": 0})
    yield rpc("after learning", "queryAgents", {"context": TUTORIAL, "explain": True, "limit": 2})
    yield rpc("after learning", "getContext", {"task": TUTORIAL, "max_tokens": 600})
    yield rpc("one task", "forgetDecisions", {"task_id": "t-3"})
    yield rpc("nothing chosen", "forgetDecisions", {})
    yield rpc("wrong", "forgetDecisions", {"before": 3, "strange": 1})


def protocol() -> Iterator[Ask]:
    """What JSON-RPC 2.0 says of bodies, whatever the method."""
    one = {"jsonrpc": "2.0", "id": 1, "method": "querySkills", "params": {"context": "release"}}
    notice = {key: value for key, value in one.items() if key != "id"}
    yield rpc("no such method", "nope", {})
    yield rpc("a text as id", "getHealth", None, True, id="a")
    yield rpc("null as id", "getHealth", None, True, id=None)
    yield rpc("a list as id", "getHealth", None, id=[1])
    yield rpc("positional params", "querySkills", ["release"])
    yield rpc("params that are a text", "querySkills", "release")
    yield rpc("params where none are taken", "getHealth", {"x": 1})
    yield rpc("another version", "querySkills", {"context": "x"}, jsonrpc="1.0")
    yield post("notification", notice)
    yield post("notification of no method", {**notice, "method": "nope"})
    yield post("batch", [one, notice, {**one, "id": 2, "method": "nope"}, 7])
    yield post("batch of notifications", [notice, notice])
    yield post("empty batch", [])
    yield post("batch of 101", [{**one, "id": n} for n in range(101)])
    yield post("no method", {"jsonrpc": "2.0", "id": 1})
    yield post("a bare number", b"7")
    yield post("empty body", b"")
    yield post("half a body", b'{"jsonrpc":"2.0","id":1')
    yield post("not UTF-8", b'{"jsonrpc":"2.0","id":1,"method":"\xff"}')
    yield post("a key twice", b'{"jsonrpc":"2.0","id":1,"id":2,"method":"getHealth"}')
    yield post("a number beyond all", b'{"jsonrpc":"2.0","id":1e999,"method":"getHealth"}')
    yield post("a body of 1 MB and more", b" " * 1_000_001)


def figures() -> Iterator[Ask]:
    yield Ask("health", "GET", "/health")
    yield rpc("the same", "getHealth")
    yield rpc("one question for the figures", "querySkills", {"context": "release"})
    yield rpc("all numbers", "getMetrics", {}, volatile=True)
    yield Ask("metrics", "GET", "/metrics", volatile=True)
    yield Ask("Prometheus", "GET", "/metrics", headers={"accept": "text/plain"}, volatile=True)
    yield Ask("Prometheus", "GET", "/metrics?format=prometheus", volatile=True)


# --- HTTP --------------------------------------------------------------------------------------

BEFORE = {"session_id": "s", "cwd": "/work", "permission_mode": "default"}


def routes() -> Iterator[Ask]:
    yield Ask("re-index", "POST", "/reindex")
    yield Ask("alive", "GET", "/health/live")
    yield Ask("ready", "GET", "/health/ready", volatile=True)
    yield Ask("head", "HEAD", "/health")
    yield Ask("the documents of the routes", "GET", "/openapi.json")
    for method, path in (("GET", "/nowhere"), ("POST", "/nowhere"), ("GET", "/health/")):
        yield Ask("no such address", method, path)
    for method, path in (("GET", "/"), ("PUT", "/"), ("POST", "/health"), ("PUT", "/mcp")):
        yield Ask("no such verb", method, path)
    foreign = (
        {"host": "evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"content-length": "9999999"},
        {"content-encoding": "gzip"},
        {"mcp-session-id": "s-1"},
    )
    for headers in foreign:
        for method, path in (("POST", "/"), ("POST", "/mcp"), ("GET", "/health")):
            yield Ask("turned away", method, path, b"{}" if method == "POST" else b"", headers)
    yield Ask("a page of this machine", "GET", "/health/live", headers={"host": "localhost:1"})


def hooks() -> Iterator[Ask]:
    place = "/hooks/claude"
    prompt = "Review the security holes and the correctness of this pull request"
    said = {**BEFORE, "hook_event_name": "UserPromptSubmit", "prompt": prompt}
    yield post("a prompt that an agent fits", said, place)
    yield post("a prompt that nothing fits", {**said, "prompt": "thanks"}, place)
    yield post("an event that is not known", {**BEFORE, "hook_event_name": "Strange"}, place)
    yield post("no JSON", b"{", place)


# --- MCP ---------------------------------------------------------------------------------------

JSON = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def mcp(label: str, method: str, /, **params: Any) -> Ask:
    """A call of the era from 2026 on: without a session."""
    headers = {**JSON, "mcp-protocol-version": "2026-07-28", "mcp-method": method}
    if named := params.get("name") or params.get("uri"):
        headers["mcp-name"] = named
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    return Ask(f"MCP {method}: {label}", "POST", "/mcp", json.dumps(call).encode(), headers)


def tool(label: str, short: str, /, **arguments: Any) -> Ask:
    return mcp(f"{short}, {label}", "tools/call", name=short, arguments=arguments)


def mcp_calls() -> Iterator[Ask]:
    yield mcp("all", "tools/list")
    yield mcp("all", "prompts/list")
    yield mcp("all", "resources/list")
    yield mcp("all", "resources/templates/list")
    yield tool("by context", "query_agents", context=TUTORIAL)
    yield tool("by context", "query_skills", context="write release notes")
    yield tool("by goal", "query_workflows", goal="ship a release")
    yield tool("cut", "get_entry", **AGENT, max_tokens=50)
    yield tool("within a budget", "get_context", task=TUTORIAL, max_tokens=300)
    yield tool("none yet", "get_pattern", goal=TUTORIAL)
    yield tool("a success", "report_outcome", **REPORT)
    yield tool("a wrong field", "query_skills", context="x", limit=99)
    yield tool("no such tool", "nope")
    yield mcp("an entry", "resources/read", uri="orchestr8://agents/studio/docs-writer")
    yield mcp("not found", "resources/read", uri="orchestr8://agents/studio/nobody")
    yield mcp("not found", "prompts/get", name="nobody")
    yield mcp("no such method", "nope/nope")


def legacy() -> Iterator[Ask]:
    """The handshake of the era before; what follows it names the session."""
    about = {"name": "frozen", "version": "1"}
    given = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": about}
    call = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": given}
    yield Ask("MCP initialize", "POST", "/mcp", json.dumps(call).encode(), JSON)


# --- servers that cannot, and callers that may not ---------------------------------------------


def entrance() -> Iterator[Ask]:
    """One request to each route and each scope."""
    yield rpc("a question", "querySkills", {"context": "release"})
    yield rpc("a report", "cacheDecision", REPORT)
    yield rpc("the same as the route", "getHealth")
    yield Ask("health", "GET", "/health")
    yield Ask("alive", "GET", "/health/live")
    yield Ask("ready", "GET", "/health/ready", volatile=True)
    yield Ask("metrics", "GET", "/metrics", volatile=True)


def without_key() -> Iterator[Ask]:
    for sent in ("", "Bearer wrong", "Basic eDp5"):
        for method, path in (("POST", "/"), ("POST", "/mcp"), ("GET", "/health")):
            yield Ask(f"key {sent!r}", method, path, b"", {"authorization": sent})
    yield rpc("a key that may only read", "forgetDecisions", {"task_id": "t"})
    yield Ask("a key that may only read", "POST", "/reindex")


Server = Callable[[Path], AbstractAsyncContextManager[httpx2.AsyncClient]]
GROUPS: dict[str, tuple[Server, tuple[Ask, ...]]] = {
    "questions": (running.serving, tuple(questions())),
    "outcomes": (running.serving, tuple(outcomes())),
    "protocol": (running.serving, tuple(protocol())),
    "figures": (running.serving, tuple(figures())),
    "routes": (running.serving, (*routes(), *hooks())),
    "mcp": (running.serving, (*mcp_calls(), *legacy())),
    "starting": (running.starting, tuple(entrance())),
    "locked": (running.locked, (*entrance(), *without_key())),
}
"""By name of the file in wire/: who is asked, and what for, one after the other."""
