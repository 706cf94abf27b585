"""What do the tests index? Small trees, written here and built in process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestr8_index.catalog.build import build
from orchestr8_index.catalog.build_lines import BuildRequest
from orchestr8_index.catalog.index import Index, open_index
from orchestr8_index.catalog.parse import Parsed, parse
from orchestr8_index.catalog.scan import Source
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.config import digest_of_roots
from orchestr8_index.records import Entry, FileReport, Finding, Kind, Poison

Files = Mapping[str, str | bytes]


class MakeTree(Protocol):
    def __call__(self, files: Files, folder: str = "tree") -> Path: ...


@dataclass(frozen=True)
class Built:
    """One generation, opened, with what it says about every file."""

    index: Index
    root: Path
    reports: tuple[FileReport, ...]
    findings: tuple[Finding, ...]

    def report(self, path: str) -> FileReport:
        """The only report about `path`."""
        (found,) = [report for report in self.reports if report.path == path]
        return found


def write_tree(root: Path, files: Files) -> Path:
    """Write `files` ({relative path: text}) under `root`, which is made."""
    root.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def build_tree(*roots: Path, data_dir: Path, poison: tuple[Poison, ...] = ()) -> Built:
    """Build a generation of `roots` in this process and open it."""
    named = tuple(str(root) for root in roots)
    line = build(BuildRequest(named, str(data_dir), poison), lambda line: None)
    generations = Generations(data_dir, digest_of_roots(named))
    files = generations.files(line.generation)
    index = open_index(generations, line.generation)
    return Built(index, roots[0], files.files, files.findings)


def agent(name: str, description: str = "Does its work well.", body: str = "A text.") -> str:
    return f"---\nname: {name}\ndescription: {description}\n---\n\n{body}\n"


def source(path: str = "agents/tuner.md", kind: Kind = "agent", **more: Any) -> Source:
    stem = Path(path).stem
    return Source(
        **{"root": 0, "plugin": "p", "size": 1, "mtime_ns": 1, **more},
        path=path,
        kind=kind,
        stem=stem,
    )


def parsed(text: str | bytes, path: str = "agents/tuner.md", kind: Kind = "agent") -> Parsed:
    """What `parse` makes of one file."""
    return parse(source(path, kind), text.encode() if isinstance(text, str) else text, "/root")


def entry_of(text: str | bytes, path: str = "agents/tuner.md", kind: Kind = "agent") -> Entry:
    """The entry in one file, which must be one."""
    entry = parsed(text, path, kind).entry
    assert entry is not None
    return entry
