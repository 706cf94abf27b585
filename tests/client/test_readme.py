"""Does the README's Python run?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.config import REPOSITORY

from ..processes import Running

BLOCKS = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text("utf-8"), re.S)


def test_there_is_python_in_the_readme() -> None:
    assert BLOCKS


@pytest.mark.parametrize("code", BLOCKS)
def test_it_runs_with_a_server(
    code: str, server: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MCP_DATA_DIR", str(server.world.data))
    exec(compile(code, "README.md", "exec"), names := dict[str, Any]())  # our own text
    assert "postgres-tuner" in capsys.readouterr().out
    assert names["answer"].source == "index"


@pytest.mark.parametrize("code", BLOCKS)
def test_it_runs_without_one(
    code: str, indexed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the snapshot of a server that ran before: a first build may last longer than a client
    waits for it."""
    monkeypatch.setenv("MCP_DATA_DIR", str(indexed))
    exec(compile(code, "README.md", "exec"), names := dict[str, Any]())  # our own text
    assert "postgres-tuner" in capsys.readouterr().out
    assert names["answer"].source == "embedded"
