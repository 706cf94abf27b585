"""What is in the trees? Sources read, names settled, roles and mentions resolved."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.collect import Catalogue, read_catalogue
from orchestr8_index.catalog.scan import scan
from orchestr8_index.config import USUAL

from ..drawn import COSTLY
from ..trees import Built, Files, MakeTree, agent, build_tree, write_tree


def catalogue(root: Path) -> Catalogue:
    return read_catalogue(scan((str(root),)), lambda number, source: None)


def test_the_first_file_by_path_has_the_name(built: Callable[[Files], Built]) -> None:
    found = built({"agents/b.md": agent("same", "Later."), "agents/a.md": agent("same", "First.")})
    assert found.index.segments["agent"].entry(0).description == "First."
    report = found.report("agents/b.md")
    assert report.reason == "duplicate: agent tree:same is agents/a.md already"
    assert (report.outcome, report.line, report.cure) == (
        "skipped",
        1,
        "Give it a name of its own.",
    )


def test_one_name_may_stand_in_two_plugins_and_kinds(built: Callable[[Files], Built]) -> None:
    text = agent("same")
    files = [f"plugins/{plugin}/agents/same.md" for plugin in "ab"] + ["commands/same.md"]
    assert built(dict.fromkeys(files, text)).index.manifest.files["skipped"] == 0


def test_entries_lie_in_the_order_of_their_qualified_names(make_tree: MakeTree) -> None:
    root = make_tree({f"plugins/{p}/agents/{n}.md": agent(n) for p in "ba" for n in "yx"})
    names = [row.card.qualified for row in catalogue(root).rows["agent"]]
    assert names == ["a:x", "a:y", "b:x", "b:y"]


def test_a_file_that_vanishes_after_the_scan_is_refused(make_tree: MakeTree) -> None:
    root = make_tree({"agents/a.md": agent("a")})
    found = scan((str(root),))
    (root / "agents/a.md").unlink()
    (report,) = read_catalogue(found, lambda number, source: None).reports
    assert report.reason == "the file cannot be read: No such file or directory"


def test_a_file_that_grows_after_the_scan_is_refused(make_tree: MakeTree) -> None:
    root = make_tree({"agents/a.md": agent("a")})
    found = scan((str(root),))
    (root / "agents/a.md").write_bytes(b"x" * (USUAL.max_file_bytes + 1))
    (report,) = read_catalogue(found, lambda number, source: None).reports
    assert report.reason == "too large: over 1,000,000 bytes"


def test_a_pipe_in_a_files_place_does_not_hold_the_build(make_tree: MakeTree) -> None:
    root = make_tree({"agents/a.md": agent("a")})
    found = scan((str(root),))
    (root / "agents/a.md").unlink()
    os.mkfifo(root / "agents/a.md")
    (report,) = read_catalogue(found, lambda number, source: None).reports
    assert report.outcome == "skipped"


def test_each_source_is_announced_before_it_is_opened_and_before_it_is_counted(
    make_tree: MakeTree,
) -> None:
    root = make_tree({"agents/a.md": agent("a"), "agents/b.md": agent("b")})
    told: list[tuple[int, str]] = []
    read_catalogue(scan((str(root),)), lambda number, source: told.append((number, source.path)))
    assert told == [(0, "agents/a.md"), (1, "agents/b.md")] * 2


def test_a_registry_also_describes_its_primary_agent(built: Callable[[Files], Built]) -> None:
    registry = "roles:\n  r: {primary: a, capabilities: [sql], use_when: Slow queries.}\n"
    segment = built({"agents/a.md": agent("a"), "agent-registry.yml": registry}).index.segments
    entry = segment["agent"].entry(0)
    assert (entry.capabilities, entry.use_when) == (("sql",), "Slow queries.")


def test_a_role_that_dangles_is_found(built: Callable[[Files], Built]) -> None:
    registry = "roles:\n  r: {primary: gone}\n"
    found = built({"agents/a.md": agent("a"), "agent-registry.yml": registry})
    assert [finding.rule for finding in found.findings] == ["dangling-role"]


def test_the_first_registry_has_a_role(built: Callable[[Files], Built]) -> None:
    files = {
        path: f"roles:\n  r: {{primary: {name}}}\n"
        for path, name in [(".claude/agent-registry.yml", "a"), ("agent-registry.yml", "b")]
    }
    index = built({**files, "agents/a.md": agent("a"), "agents/b.md": agent("b")}).index
    assert index.roles["r"].role.primary == "a"


def test_a_command_knows_the_agents_it_mentions(built: Callable[[Files], Built]) -> None:
    files = {"agents/x.md": agent("sql-tuner"), "commands/c.md": "# C\n\nAsk sql-tuner."}
    assert built(files).index.segments["workflow"].entry(0).agents == ("sql-tuner",)


def test_a_broken_manifest_is_a_finding(built: Callable[[Files], Built]) -> None:
    found = built({".claude-plugin/plugin.json": "{", "agents/a.md": agent("a")})
    assert [finding.rule for finding in found.findings] == ["manifest"]


def test_surrogates_in_a_manifest_do_not_end_the_build(built: Callable[[Files], Built]) -> None:
    # JSON may spell half a character, which no file can hold
    found = built({".claude-plugin/plugin.json": r'{"name": "p\ud800"}', "agents/a.md": agent("a")})
    assert found.index.segments["agent"].entry(0).qualified == "p:a"


def test_counts_say_how_files_ended(built: Callable[[Files], Built]) -> None:
    files = {"agents/a.md": agent("a"), "agents/b.md": "b", "agents/c.md": "", "docs/d.md": ""}
    counts = {"indexed": 1, "repaired": 1, "skipped": 1, "not_entries": 1}
    assert built(files).index.manifest.files == counts


FOLDERS = st.sampled_from(
    ["agents", "commands", "skills", "skills/s", "plugins/p/agents", "docs", "agents/x.md"]
)
NAMES = st.sampled_from(
    ["a.md", "b.MD", "SKILL.md", "skill.md", "README.md", "c.txt", "TEMPLATE.md"]
)
TEXTS = st.sampled_from(
    ["", agent("a"), agent("b", "x: y"), "text", "---\nname: !!python/name:x\n---\n"]
)
TREES = st.dictionaries(st.builds("{}/{}".format, FOLDERS, NAMES), TEXTS, max_size=12)


@COSTLY
@given(files=TREES)
def test_every_markdown_file_is_accounted_for_once(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]
) -> None:
    place = tmp_path_factory.mktemp("random")
    found = build_tree(write_tree(place / "tree", files), data_dir=place / "data")
    told = Counter(report.path for report in found.reports if (found.root / report.path).is_file())
    assert told == Counter(path for path in files if path.lower().endswith(".md"))
    assert sum(found.index.manifest.files.values()) == len(found.reports)
