"""The pieces of scripts/try-claude, which needs the real program: what its model does and wants."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import subprocess
import sys
from typing import Any

import pytest

from orchestr8_index.config import REPOSITORY

SCRIPT = REPOSITORY / "scripts" / "try-claude"
TOOLS = [{"name": name} for name in ("Agent", "Bash", "Write")]


@pytest.fixture(scope="module")
def script() -> Any:
    loader = importlib.machinery.SourceFileLoader("try_claude", str(SCRIPT))
    spec = importlib.util.spec_from_loader("try_claude", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def asked(prompt: str, *results: str) -> dict[str, Any]:
    """A request as the program sends it: the prompt, and what its tools gave."""
    answers = [{"type": "tool_result", "tool_use_id": "t", "content": each} for each in results]
    talk = [{"role": "user", "content": [{"type": "text", "text": prompt}, *answers]}]
    return {"messages": talk, "tools": TOOLS}


def test_a_session_goes_through_its_plan_and_ends(script: Any) -> None:
    prompt, results, used = "The second session", list[str](), []
    while tool := script.next_tool(asked(prompt, *results), "/r", background=False):
        used.append(tool)
        results.append("denied")
    names = [(name, given.get("file_path", given.get("command"))) for name, given in used]
    assert names == [("Write", "/r/shared.txt"), ("Write", "/r/own.txt"), ("Bash", "git add -A")]
    assert script.next_tool({"messages": [], "tools": []}, "/r", background=False) is None


def test_what_the_other_session_saw_does_not_count(script: Any) -> None:
    first, second = script.MUST_SEE
    denials = [json.dumps(asked(second, *script.MUST_SEE[second]), ensure_ascii=False)]
    assert script.unseen(denials) == list(script.MUST_SEE[first])
    swapped = json.dumps(asked(first, *script.MUST_SEE[second]), ensure_ascii=False)
    assert set(script.MUST_SEE[second]) <= set(script.unseen([swapped]))


def test_without_the_program_it_says_so() -> None:
    command = [sys.executable, str(SCRIPT), "no-such-claude"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Claude Code is not installed here: there is no program no-such-claude.\n"
