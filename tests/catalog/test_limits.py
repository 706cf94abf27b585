"""Does each limit of reading hold, and is what was skipped looked at again under another one?"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr8_index.catalog.build import build
from orchestr8_index.catalog.build_lines import BuildRequest
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.catalog.worker import Builder
from orchestr8_index.config import USUAL, ReadLimits, digest_of_roots
from orchestr8_index.records import FileReport

from ..trees import MakeTree, agent
from .children import settings_of

BOMB = "a: &a [x, x, x, x, x, x]\nb: &b [*a, *a, *a]\ntags: [*b, *b]"
NESTED = f"tags: {'[' * 8}x{']' * 8}"
FILES = {
    "agents/large.md": agent("large", body="x" * 5_000),
    "agents/nested.md": f"---\nname: nested\n{NESTED}\n---\nx\n",
    "agents/bomb.md": f"---\nname: bomb\n{BOMB}\n---\nx\n",
    "agents/1/2/3/deep.md": agent("deep"),
}
TIGHT = {
    "agents/large.md": (ReadLimits(max_file_bytes=2_000), "too large"),
    "agents/nested.md": (ReadLimits(max_yaml_depth=4), "nest too deep"),
    "agents/bomb.md": (ReadLimits(max_yaml_nodes=20), "aliases that expand"),
    "agents/1/2/3": (ReadLimits(max_folder_depth=3), "folders nest deeper than 3"),
    "agents": (ReadLimits(max_files=2), "more than 2 files"),
}


def built(root: Path, data: Path, limits: ReadLimits) -> dict[str, FileReport]:
    """Every file's report, after a build that keeps all it can of the one before."""
    generations = Generations(data, digest_of_roots((str(root),)))
    newest = generations.newest()
    unless = generations.manifest(newest).digest if newest else ""
    request = BuildRequest((str(root),), str(data), unless=unless, limits=limits)
    line = build(request, lambda line: None)
    told = generations.files(newest if line.fresh else line.generation)
    return {report.path: report for report in told.files}


@pytest.mark.parametrize("path", TIGHT)
def test_what_is_over_a_limit_has_a_reason(make_tree: MakeTree, tmp_path: Path, path: str) -> None:
    limits, reason = TIGHT[path]
    report = built(make_tree(FILES), tmp_path / "data", limits)[path]
    assert reason in report.reason
    assert path.endswith(".md") or "MCP_MAX_F" in report.cure


@pytest.mark.parametrize("path", [path for path in TIGHT if path.endswith(".md")])
def test_another_limit_looks_at_unchanged_files_again(
    make_tree: MakeTree, tmp_path: Path, path: str
) -> None:
    root, (tight, reason) = make_tree(FILES), TIGHT[path]
    for limits in (tight, USUAL, tight):
        report = built(root, tmp_path, limits)[path]
        assert (reason in report.reason) == (limits is tight)


def test_the_same_limits_build_nothing(make_tree: MakeTree, tmp_path: Path) -> None:
    root, limits = make_tree(FILES), ReadLimits(max_file_bytes=2_000)
    built(root, tmp_path, limits)
    built(root, tmp_path, limits)
    assert Generations(tmp_path, digest_of_roots((str(root),))).newest() == 1


def test_a_registry_and_a_manifest_are_files_too(make_tree: MakeTree, tmp_path: Path) -> None:
    filler = "x" * 2_000
    files = {
        "agents/a.md": agent("a"),
        "agent-registry.yml": f"roles:\n  r:\n    primary: a\n# {filler}\n",
        ".claude-plugin/plugin.json": f'{{"name": "p", "more": "{filler}"}}',
    }
    root, limits = make_tree(files), ReadLimits(max_file_bytes=1_000)
    built(root, tmp_path, limits)
    found = Generations(tmp_path, digest_of_roots((str(root),))).files(1).findings
    assert {finding.path for finding in found} == set(files) - {"agents/a.md"}


def test_the_settings_reach_the_child(make_tree: MakeTree, tmp_path: Path) -> None:
    root, tight = make_tree(FILES), ReadLimits(max_file_bytes=2_000)
    Builder(settings_of(root, tmp_path, reading=tight)).run()
    told = Generations(tmp_path, digest_of_roots((str(root),))).files(1)
    (large,) = [report for report in told.files if report.path == "agents/large.md"]
    assert large.outcome == "skipped"
