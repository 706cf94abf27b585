"""Is the Claude Code plugin whole? Its manifests, hooks, skill and commands fit the server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from starlette.routing import Route

from orchestr8_index import __version__
from orchestr8_index.catalog.index import Index
from orchestr8_index.config import DEFAULT_PORT, REPOSITORY, Door, fixture_root, read_settings
from orchestr8_index.methods import METHODS
from orchestr8_index.serve.hooks.payloads import (
    AgentStopped,
    Ended,
    Prompted,
    Stopped,
    ToolEnded,
    ToolFailed,
    ToolStarting,
)
from orchestr8_index.serve.http import make_web

from .serve.asking import ask, settings_of, state_of
from .trees import build_tree

PLUGIN = REPOSITORY / "plugin"
TEXTS = sorted(PLUGIN.rglob("*.md"))
SHORT = {method.short for method in METHODS.values()}
ACCEPT = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28"}
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
PROMPTED = {"hook_event_name": "UserPromptSubmit", "prompt": "thanks"}
LISTED = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def marketplace() -> Any:
    return read(REPOSITORY / ".claude-plugin" / "marketplace.json")


def manifest() -> Any:
    return read(PLUGIN / ".claude-plugin" / "plugin.json")


SHARED = [m.short for m in METHODS.values() if m.face == "coordinate" and m.when]


def hooks() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(event, group, hook) of every hook."""
    for event, groups in read(PLUGIN / "hooks" / "hooks.json")["hooks"].items():
        for group in groups:
            for hook in group["hooks"]:
                yield event, group, hook


def test_the_marketplace_names_the_plugin_where_it_is() -> None:
    (named,) = marketplace()["plugins"]
    assert (REPOSITORY / named["source"]).resolve() == PLUGIN
    assert [named[key] for key in ("name", "version", "description")] == [
        manifest()[key] for key in ("name", "version", "description")
    ]


def test_the_version_is_the_packages() -> None:
    assert manifest()["version"] == __version__


def test_the_addresses_are_the_servers_own() -> None:
    urls = [hook["url"] for _, _, hook in hooks()]
    urls += [server["url"] for server in manifest()["mcpServers"].values()]
    assert {urlsplit(url).netloc for url in urls} == {f"127.0.0.1:{DEFAULT_PORT}"}


def test_every_hook_goes_to_a_route(tmp_path: Path) -> None:
    inner: Any = make_web(state_of(settings_of(tmp_path), None)).app
    routes = inner.app.app.routes
    posts = {r.path for r in routes if isinstance(r, Route) and "POST" in (r.methods or ())}
    assert {urlsplit(hook["url"]).path for _, _, hook in hooks()} <= posts


# --- keys --------------------------------------------------------------------------------------


def expanded(value: str, env: dict[str, str], allowed: list[str]) -> str:
    """As the host does: `$NAME` in a hook only for allowed names, `${NAME:-default}` in MCP."""
    value = re.sub(r"\$\{(\w+):-(.*?)\}", lambda m: env.get(m[1], m[2]), value)
    return re.sub(r"\$(\w+)", lambda m: env.get(m[1], "") if m[1] in allowed else "", value)


def headers_of(env: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
    """(path, headers) of each hook and of the MCP entry."""
    entries = [hook for _, _, hook in hooks()] + [*manifest()["mcpServers"].values()]
    return [
        (urlsplit(entry["url"]).path, {name: expanded(value, env, entry.get("allowedEnvVars", []))})
        for entry in entries
        for name, value in entry["headers"].items()
    ]


@pytest.mark.parametrize(
    ("needs_keys", "env", "let_in"),
    [
        (False, {}, True),
        (False, {"MCP_API_KEY": ""}, True),
        (True, {}, False),
        (True, {"MCP_API_KEY": "o8_wrong"}, False),
        (True, {"MCP_API_KEY": "o8_mine"}, True),
    ],
)
def test_the_plugin_shows_the_key_of_its_environment(
    tmp_path: Path, shipped_index: Index, needs_keys: bool, env: dict[str, str], let_in: bool
) -> None:
    """Without one in the environment nothing is different from no header at all."""
    door = Door(require_keys=needs_keys)
    settings = settings_of(tmp_path, fixture_root(), door=door, local_key="o8_mine")
    web = make_web(state_of(settings, shipped_index))
    for path, headers in headers_of(env):
        sent = PROMPTED if path == "/hooks/claude" else LISTED
        told = ask(web, "POST", path, json=sent, headers={**ACCEPT, **headers})
        assert (path, told.status_code != 401) == (path, let_in)


def test_no_other_variable_leaves_the_machine() -> None:
    assert {name for _, _, hook in hooks() for name in hook["allowedEnvVars"]} == {"MCP_API_KEY"}
    assert read_settings(environ={"MCP_API_KEY": "o8_x"}).api_key == "o8_x"


def test_no_hook_needs_a_shell_or_much_time() -> None:
    assert {hook["type"] for _, _, hook in hooks()} == {"http"}
    assert max(hook["timeout"] for _, _, hook in hooks()) <= 2


def test_the_events_are_those_that_are_understood() -> None:
    kinds = (Prompted, ToolStarting, ToolEnded, ToolFailed, AgentStopped, Stopped, Ended)
    tags = {msgspec.inspect.type_info(kind).tag for kind in kinds}  # type: ignore[attr-defined]
    assert {event for event, _, _ in hooks()} == tags


def test_only_the_tools_that_matter_are_watched() -> None:
    """Every tool's end renews a claim and brings mail; before a tool only edits and commands."""
    matched = {event: group.get("matcher") for event, group, _ in hooks()}
    assert matched["PostToolUseFailure"] == "Agent|Task"
    ours = f"mcp__.*__({'|'.join(SHARED)})"
    assert matched["PreToolUse"] == f"Edit|Write|MultiEdit|NotebookEdit|Bash|Agent|Task|{ours}"
    assert matched["PostToolUse"] is None


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_every_tool_that_is_named_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    server = f"mcp__plugin_{manifest()['name']}_{next(iter(manifest()['mcpServers']))}__"
    allowed = re.findall(rf"{server}(\w+)", text)
    mentioned = re.findall(r"`((?:query|get|report|find|store)_\w+)`", text)
    assert mentioned
    assert {*allowed, *mentioned} <= SHORT


def test_our_own_doctor_finds_nothing(tmp_path: Path) -> None:
    found = build_tree(PLUGIN, data_dir=tmp_path)
    assert found.findings == ()
    assert [(r.kind, r.outcome) for r in found.reports] == [
        ("workflow", "indexed"),
        ("workflow", "indexed"),
        ("skill", "indexed"),
    ]
    assert len(TEXTS) == 3
