"""Does the wheel hold what the package reads while it runs?"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestr8_index.config import REPOSITORY, fixture_root

from .source import PACKAGE

MOST_BYTES = 5_000_000  # beside the vectors


@pytest.mark.skipif(find_spec("hatchling") is None, reason="building the wheel needs hatchling")
def test_the_wheel_has_every_file_of_the_package_and_the_fixture(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        sizes = {each.filename: each.compress_size for each in wheel.infolist()}
    needed = {f"{PACKAGE.name}/{name}" for name in below(PACKAGE)}
    needed |= {f"{PACKAGE.name}/plugins_fixture/{name}" for name in below(fixture_root())}
    assert needed - set(sizes) == set()
    assert sum(size for name, size in sizes.items() if not name.endswith(".vec")) < MOST_BYTES


def below(folder: Path) -> set[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in files if "__pycache__" not in path.parts}
