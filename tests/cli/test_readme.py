"""Does a server say what the README shows, in the order in which it is shown?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from orchestr8_index.config import REPOSITORY, fixture_root

from ..processes import World
from .conftest import Run

BLOCKS = re.findall(r"```console\n(.*?)```", (REPOSITORY / "README.md").read_text("utf-8"), re.S)


def typed(text: str) -> Iterator[tuple[list[str], str]]:
    """Each command in words, which may go over several lines, and what is shown below it."""
    for part in f"\n{text}".split("\n$ ")[1:]:
        command, _, below = part.partition("\n")
        while command.count("'") % 2:
            more, _, below = below.partition("\n")
            command += f"\n{more}"
        yield shlex.split(command), below.rstrip()


def test_what_the_readme_shows_is_what_one_sees(
    run: Run, tmp_path: Path, snapshots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, seen = [], []
    with World(tmp_path / "world", snapshots) as world:
        server = world.serve("--root", str(fixture_root()))
        monkeypatch.setenv("MCP_DATA_DIR", str(world.data))
        for (program, *arguments), below in (each for block in BLOCKS for each in typed(block)):
            if program == "curl":
                told = httpx.post(f"http://127.0.0.1:{server.port}/", content=arguments[-1]).json()
                assert told["result"]["stored"], told
            else:
                shown.append(below)
                seen.append(run(*arguments).out.rstrip())
    assert len(shown) >= 3
    assert seen == shown
