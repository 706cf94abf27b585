"""What would the catalogue's owner want to mend?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestr8_index.catalog.findings import of_entry, of_reports, of_troubles
from orchestr8_index.records import FileReport

from ..trees import Built, Files, MakeTree, agent, build_tree, entry_of


@pytest.mark.parametrize(
    ("text", "rule", "severity"),
    [
        ("---\nname: x\n---\nHelps.", "missing-description", "warning"),
        ("Helps.", "missing-description", "warning"),
        (agent("n" * 200), "cut", "warning"),
        (agent("x", "Tunes: every slow query"), "repaired", "warning"),
        ("", "skipped", "error"),
    ],
)
def test_what_was_mended_or_left_out_is_a_finding(
    built: Callable[[Files], Built], text: str, rule: str, severity: str
) -> None:
    findings = [f for f in built({"agents/x.md": text}).findings if f.severity != "info"]
    assert [(f.rule, f.severity, f.path) for f in findings] == [(rule, severity, "agents/x.md")]
    assert findings[0].cure


def test_a_duplicate_has_a_rule_of_its_own(built: Callable[[Files], Built]) -> None:
    found = built({"agents/x.md": agent("same"), "agents/y.md": agent("same")})
    assert "duplicate" in {finding.rule for finding in found.findings}


def test_a_link_to_a_file_that_is_an_entry_is_no_error(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree({"agents/a.md": agent("a")})
    (root / "agents/b.md").symlink_to("a.md")
    (finding,) = [
        f for f in build_tree(root, data_dir=tmp_path).findings if f.path.endswith("b.md")
    ]
    assert (finding.rule, finding.severity) == ("duplicate", "info")


def test_files_of_one_path_in_two_roots_have_findings_of_their_own(
    make_tree: MakeTree, tmp_path: Path
) -> None:
    bare, vague = {"agents/x.md": "Tunes queries."}, {"agents/x.md": agent("x", "The x.")}
    roots = [make_tree(files, name) for name, files in (("one", bare), ("two", vague))]
    found = build_tree(*roots, data_dir=tmp_path / "data").findings
    told = {(f.root, f.entry, f.rule) for f in found if f.severity == "warning"}
    assert told == {
        (str(roots[0]), "one:x", "missing-description"),
        (str(roots[1]), "two:x", "vague-description"),
    }


def test_what_is_well_or_no_entry_is_none() -> None:
    well = FileReport("/r", "a.md", "indexed")
    other = FileReport("/r", "b.md", "skipped", is_entry=False)
    assert list(of_reports([well, other], {})) == []


def test_a_name_that_differs_from_its_file_is_told() -> None:
    described = "Tunes whatever people bring"
    entries = [entry_of(agent(name, described)) for name in ("Other", "TUNER")]
    found = [f for e in entries for f in of_entry(e) if f.rule == "name-differs"]
    assert [(f.severity, f.entry) for f in found] == [("info", "p:Other")]


def rules(built: Callable[[Files], Built], files: Files) -> dict[str, str]:
    found = built(files).findings
    return {finding.rule: finding.message for finding in found if finding.severity != "error"}


def test_the_same_text_twice_cannot_be_told_apart(built: Callable[[Files], Built]) -> None:
    text = "---\nname: {}\ndescription: Tunes slow database queries.\n---\nLooks at plans."
    files = {f"agents/{name}.md": text.format(name) for name in ("a", "b")}
    assert "tree:a, tree:b" in rules(built, files)["indistinct"]


def test_one_name_in_two_plugins_is_told(built: Callable[[Files], Built]) -> None:
    files = {f"plugins/{p}/agents/x.md": agent("x", f"Tunes {p} all day") for p in ("one", "two")}
    assert "one, two" in rules(built, files)["name-collision"]


def test_a_description_that_says_nothing_new_is_told(built: Callable[[Files], Built]) -> None:
    found = rules(built, {"agents/sql-tuner.md": agent("sql-tuner", "The SQL tuner.")})
    assert "vague-description" in found


def test_a_long_description_comes_with_a_shorter_one(built: Callable[[Files], Built]) -> None:
    findings = built({"agents/x.md": agent("x", "tunes queries " * 100)}).findings
    (finding,) = [finding for finding in findings if finding.rule == "long-description"]
    assert finding.cure.startswith('description: "tunes queries') and len(finding.cure) < 330


def test_a_manifests_trouble_is_a_warning() -> None:
    (finding,) = of_troubles([("/r", "plugin.json", "it has no name")])
    told = finding.rule, finding.severity, finding.message, finding.root
    assert told == ("manifest", "warning", "it has no name", "/r")


def test_errors_come_first(shipped: Built, built: Callable[[Files], Built]) -> None:
    found = built({"agents/a.md": agent("b"), "agents/b.md": "", "agents/c.md": "x"})
    assert [f.severity for f in found.findings] == ["error", "warning", "info"]


def test_the_shipped_tree_has_only_its_two_code_reviewers(shipped: Built) -> None:
    assert [finding.rule for finding in shipped.findings] == ["name-collision"]
