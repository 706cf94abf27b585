"""Small trees built in process, for tests that look at ranking."""

from __future__ import annotations

from pathlib import Path

from orchestr8_index.config import digest_of_roots
from orchestr8_index.discover.build import BuildRequest, build
from orchestr8_index.discover.index import Index, open_newest
from orchestr8_index.discover.snapshot import Generations


def write_agent(
    root: Path, plugin: str, name: str, description: str, body: str = "", more: str = ""
) -> None:
    folder = root / "plugins" / plugin / "agents"
    folder.mkdir(parents=True, exist_ok=True)
    head = f"---\nname: {name}\ndescription: {description}\n{more}---\n\n"
    (folder / f"{name}.md").write_text(head + body, encoding="utf-8")


def index_of(root: Path, data: Path) -> Index:
    roots = (str(root),)
    build(BuildRequest(roots, str(data)), lambda line: None)
    index = open_newest(Generations(data, digest_of_roots(roots)))
    assert index is not None
    return index
