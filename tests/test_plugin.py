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
from orchestr8_index.config import DEFAULT_PORT, REPOSITORY
from orchestr8_index.serve.hooks.payloads import AgentStopped, Prompted, ToolEnded, ToolFailed
from orchestr8_index.serve.methods import METHODS
from orchestr8_index.serve.web import make_web

from .serve.asking import settings_of, state_of
from .trees import build_tree

PLUGIN = REPOSITORY / "plugin"
TEXTS = sorted(PLUGIN.rglob("*.md"))
SHORT = {method.short for method in METHODS.values()}


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def marketplace() -> Any:
    return read(REPOSITORY / ".claude-plugin" / "marketplace.json")


def manifest() -> Any:
    return read(PLUGIN / ".claude-plugin" / "plugin.json")


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
    routes = getattr(make_web(state_of(settings_of(tmp_path), None)).app, "routes", ())
    posts = {r.path for r in routes if isinstance(r, Route) and "POST" in (r.methods or ())}
    assert {urlsplit(hook["url"]).path for _, _, hook in hooks()} <= posts


def test_no_hook_needs_a_shell_or_much_time() -> None:
    assert {hook["type"] for _, _, hook in hooks()} == {"http"}
    assert max(hook["timeout"] for _, _, hook in hooks()) <= 2


def test_the_events_are_those_that_are_understood() -> None:
    kinds = (Prompted, ToolEnded, ToolFailed, AgentStopped)
    tags = {msgspec.inspect.type_info(kind).tag for kind in kinds}  # type: ignore[attr-defined]
    assert {event for event, _, _ in hooks()} == tags


def test_only_the_tools_that_start_agents_are_watched() -> None:
    matched = {event: group.get("matcher") for event, group, _ in hooks()}
    watched = {event for event, matcher in matched.items() if matcher == "Agent|Task"}
    assert watched == {"PostToolUse", "PostToolUseFailure"}


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
