"""Small trees built in process, for tests that look at ranking."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from orchestr8_index.catalog.build import build
from orchestr8_index.catalog.build_lines import BuildRequest
from orchestr8_index.catalog.cards import make_card
from orchestr8_index.catalog.index import Index, open_newest
from orchestr8_index.catalog.kind_data import Embedder, KindData
from orchestr8_index.catalog.parse import Parsed
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.catalog.spill import Filling
from orchestr8_index.config import digest_of_roots
from orchestr8_index.records import Entry, FileReport
from orchestr8_index.text import Terms


def write_agent(
    root: Path, plugin: str, name: str, description: str, body: str = "", more: str = ""
) -> None:
    folder = root / "plugins" / plugin / "agents"
    folder.mkdir(parents=True, exist_ok=True)
    head = f"---\nname: {name}\ndescription: {description}\n{more}---\n\n"
    (folder / f"{name}.md").write_text(head + body, encoding="utf-8")


def filled(folder: Path, entries: Iterable[tuple[Entry, str]], embedder: Embedder) -> KindData:
    """What a build has in its hands before it writes a kind; `entries` with their bodies."""
    kind_data = KindData(Filling(folder, embedder.dimensions), embedder, Terms())
    for entry, body in entries:
        report = FileReport("/r", entry.path, "indexed")
        kind_data.put(make_card(b"", (), b"", Parsed(report, entry, body)), entry, body)
    kind_data.flush()
    return kind_data


def index_of(root: Path, data: Path) -> Index:
    roots = (str(root),)
    build(BuildRequest(roots, str(data)), lambda line: None)
    index = open_newest(Generations(data, digest_of_roots(roots)))
    assert index is not None
    return index
