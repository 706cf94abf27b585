"""May a key do over MCP only what it may elsewhere, in both eras?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import Door, fixture_root
from orchestr8_index.serve.callers import Right
from orchestr8_index.serve.keys import KeyFile
from orchestr8_index.serve.state import State

from ..asking import settings_of, state_of
from .test_endpoint import JSON, META, MODERN, live

REPORT = {
    "name": "report_outcome",
    "arguments": {
        "task_id": "t1",
        "task_description": "rotate certs",
        "agents_used": ["docs-writer"],
        "result": "success",
    },
}
OLD = "2025-11-25"
ABOUT = {"capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def call(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


@pytest.fixture
def locked(tmp_path: Path, shipped_index: Index) -> State:
    settings = settings_of(tmp_path, fixture_root(), door=Door(require_keys=True))
    return state_of(settings, shipped_index)


def holder(state: State, right: Right) -> dict[str, str]:
    token = KeyFile(state.settings.data_dir).add(f"a-{right}", right)
    return {"Authorization": f"Bearer {token}"}


async def modern(asking: httpx2.AsyncClient, key: dict[str, str]) -> str:
    headers = {**MODERN, **key, "Mcp-Method": "tools/call", "Mcp-Name": "report_outcome"}
    params = {**REPORT, "_meta": META}
    return (await asking.post("/mcp", json=call("tools/call", params), headers=headers)).text


async def handshake(asking: httpx2.AsyncClient, key: dict[str, str]) -> str:
    begin = call("initialize", {"protocolVersion": OLD, **ABOUT})
    opened = await asking.post("/mcp", json=begin, headers={**JSON, **key})
    session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "MCP-Protocol-Version": OLD}
    headers = {**JSON, **key, **session}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    await asking.post("/mcp", json=ready, headers=headers)
    return (await asking.post("/mcp", json=call("tools/call", REPORT), headers=headers)).text


@pytest.mark.parametrize("era", [modern, handshake])
def test_a_key_to_read_reports_nothing(locked: State, era: Any) -> None:
    key = holder(locked, "read")
    said = live(locked, lambda asking: era(asking, key))
    assert "This key may read; that needs the scope report." in said


@pytest.mark.parametrize("era", [modern, handshake])
def test_a_key_to_report_gets_as_far_as_the_store(locked: State, era: Any) -> None:
    key = holder(locked, "report")
    assert "This server keeps no store." in live(locked, lambda asking: era(asking, key))


def test_without_a_key_there_is_no_mcp(locked: State) -> None:
    answer = live(locked, lambda asking: asking.post("/mcp", json={}, headers=JSON))
    assert answer.status_code == 401
