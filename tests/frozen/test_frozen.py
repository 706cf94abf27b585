"""What callers see stays as it is, byte by byte: the rankings of plugins_fixture, and the wire.

`FREEZE=1 pytest tests/frozen` writes the files anew; the commit then says why they differ.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest

from . import running
from .corpus import GROUPS, rpc
from .transcript import transcript

HERE = Path(__file__).parent
WIDTH = 2000  # characters of a line that a failure shows
QUERIES = (
    ("queryAgents", "context", "agents"),
    ("querySkills", "context", "skills"),
    ("queryWorkflows", "goal", "workflows"),
)


def compare(path: Path, text: str) -> None:
    if os.environ.get("FREEZE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    frozen = path.read_text("utf-8").splitlines()
    differences = list(difflib.unified_diff(frozen, text.splitlines(), n=3, lineterm=""))
    assert not differences, "\n".join(line[:WIDTH] for line in differences)


@pytest.mark.parametrize("name", GROUPS)
def test_the_wire_answers_as_it_was_frozen(name: str, tmp_path: Path) -> None:
    server, asks = GROUPS[name]

    async def run() -> str:
        async with server(tmp_path / "data") as asking:
            return await transcript(asking, asks)

    compare(HERE / "wire" / f"{name}.txt", asyncio.run(run()))


def test_the_rankings_are_as_they_were_frozen(tmp_path: Path) -> None:
    """Every golden question, asked of the three kinds: confidence, and ten rows with scores."""

    async def run() -> list[str]:
        async with running.serving(tmp_path / "data") as asking:
            return [await ranking(asking, text) for text in golden()]

    compare(HERE / "rankings.txt", "\n".join(asyncio.run(run())))


def golden() -> list[str]:
    lines = (running.FIXTURE / "golden.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["query"][:500] for line in lines]


async def ranking(asking: httpx2.AsyncClient, text: str) -> str:
    lines = [text]
    for method, field, kind in QUERIES:
        ask = rpc("", method, {field: text, "limit": 10, "min_confidence": 0})
        result = (await asking.post("/", content=ask.body)).json()["result"]
        lines.append(f"  {kind} {result['confidence']}: {', '.join(map(row, result[kind]))}")
    return "\n".join(lines)


def row(hit: dict[str, Any]) -> str:
    return f"{hit['plugin']}:{hit['name']} {hit['score']}"
