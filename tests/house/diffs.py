"""The diffs in CONTRIBUTING.md, and a copy of the package to apply them to."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from orchestr8_index.config import REPOSITORY, fixture_root

from ..source import PACKAGE

BLOCK = re.compile(r"^## (.+?)\n.*?```diff\n(.*?)```", re.MULTILINE | re.DOTALL)


def documented() -> dict[str, str]:
    """The diffs of CONTRIBUTING.md by their headings."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
    return dict(BLOCK.findall(text[text.index("## How") :]))


def copy_package(folder: Path) -> Path:
    """A folder with the package and plugins_fixture, to be changed."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=ignored)
    shutil.copytree(fixture_root(), folder / fixture_root().name)
    return folder


def apply(diff: str, folder: Path) -> list[str]:
    """Apply a diff whose hunks have no line numbers: each must fit in one place of its file.

    Returns the paths of the files that it changes.
    """
    changed = []
    for part in re.split(r"^--- a/", diff, flags=re.MULTILINE)[1:]:
        head, *hunks = re.split(r"^@@.*\n", part, flags=re.MULTILINE)
        path = head.split("\n")[0]
        assert f"+++ b/{path}" in head
        text = (folder / path).read_text("utf-8")
        for hunk in hunks:
            text = _changed(text, hunk.splitlines(), path)
        (folder / path).write_text(text, "utf-8")
        changed.append(path)
    return changed


def _changed(text: str, hunk: list[str], path: str) -> str:
    before = "".join(f"{line[1:]}\n" for line in hunk if line[:1] != "+")
    after = "".join(f"{line[1:]}\n" for line in hunk if line[:1] != "-")
    places = text.count(f"\n{before}")
    assert places == 1, f"{places} places of {path} look like this:\n{before}"
    return text.replace(f"\n{before}", f"\n{after}")
