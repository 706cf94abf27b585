"""What does it cost to name the client? Nothing heavy, not even when it answers by itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"numpy", "scipy", "sklearn", "starlette", "uvicorn", "mcp", "click", "yaml", "frontmatter"}
ASKED = """
import sys
from orchestr8_index import Orchestrator
from orchestr8_index.client import embedded
embedded.PATIENCE = 60.0
with Orchestrator(data_dir=sys.argv[1]) as client:
    assert client.query_agents("slow database queries").agents
    assert client.query_skills("wrting", detail="full", explain=True)
    client.get_context("write the manual")
    client.report_outcome("t", "text", ["a"], "success")
"""
MANY = """
from orchestr8_index.catalog import index
index.NUMPY_FROM = 1
"""


def loaded_by(code: str, *arguments: str) -> set[str]:
    told = f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-c", told, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_alone_loads_nothing_of_the_client() -> None:
    loaded = loaded_by("import orchestr8_index")
    assert loaded & (HEAVY | {"msgspec", "cachetools", "asyncio", "http"}) == set()


def test_naming_the_client_does_not_load_the_stemmer() -> None:
    named = loaded_by("from orchestr8_index import Orchestrator; Orchestrator(embedded=True)")
    assert named & (HEAVY | {"Stemmer"}) == set()


@pytest.fixture
def data(indexed: Path, tmp_path: Path) -> str:
    """With a snapshot: a first build may last longer than a client waits for it."""
    return str(shutil.copytree(indexed, tmp_path / "data"))


def test_an_answer_without_a_server_loads_nothing_heavy(data: str) -> None:
    assert loaded_by(ASKED, data) & HEAVY == set()


def test_a_large_catalogue_is_ranked_without_numpy_too(data: str) -> None:
    assert "numpy" not in loaded_by(MANY + ASKED, data)
