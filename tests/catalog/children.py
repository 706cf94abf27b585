"""Builds that go wrong: commands for `Builder` whose child dies, hangs or talks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from orchestr8_index.config import REPOSITORY, Settings

_START = "import sys; sys.path.append(sys.argv[1]); from orchestr8_index.catalog import build; "
_AT_KILLER = """
from orchestr8_index.catalog import collect
import os, signal, time
read = collect.parse
def parse(source, data, root, limits):
    if source.path.endswith('killer.md'):
        {harm}
    return read(source, data, root, limits)
collect.parse = parse
sys.exit(build.main())
"""


def command(code: str) -> tuple[str, ...]:
    """A child that runs `code` with the package at hand and its `build` imported."""
    return (sys.executable, "-P", "-c", _START + code, str(REPOSITORY))


def harmed(harm: str) -> tuple[str, ...]:
    """A child that does `harm` when it reads a file called killer.md."""
    return command(_AT_KILLER.format(harm=harm))


KILLED = harmed("os.kill(os.getpid(), signal.SIGKILL)")
HANGING = harmed("time.sleep(600)")
RAISING = harmed("raise RuntimeError('boom')")
GOOD = command("sys.exit(build.main())")


def settings_of(root: Path, data_dir: Path, **more: Any) -> Settings:
    return Settings((str(root),), "--root", data_dir, **more)
