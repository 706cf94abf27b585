"""What would the catalogue's owner want to mend?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestr8_index.discover.findings import of_entries, of_reports, of_troubles
from orchestr8_index.records import FileReport

from ..trees import Built, Files, agent, entry_of


@pytest.mark.parametrize(
    ("text", "rule", "severity"),
    [
        ("---\nname: x\n---\nHelps.", "missing-description", "warning"),
        ("Helps.", "missing-description", "warning"),
        (agent("n" * 200), "cut", "warning"),
        (agent("x", "a: b"), "repaired", "warning"),
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


def test_what_is_well_or_no_entry_is_none() -> None:
    well = FileReport("/r", "a.md", "indexed")
    other = FileReport("/r", "b.md", "skipped", is_entry=False)
    assert list(of_reports([well, other])) == []


def test_a_name_that_differs_from_its_file_is_told() -> None:
    (finding,) = of_entries([entry_of(agent("Other")), entry_of(agent("TUNER"))])
    assert (finding.rule, finding.severity, finding.entry) == ("name-differs", "info", "p:Other")


def test_a_manifests_trouble_is_a_warning() -> None:
    (finding,) = of_troubles([("plugin.json", "it has no name")])
    assert (finding.rule, finding.severity, finding.message) == (
        "manifest",
        "warning",
        "it has no name",
    )


def test_errors_come_first(shipped: Built, built: Callable[[Files], Built]) -> None:
    found = built({"agents/a.md": agent("b"), "agents/b.md": "", "agents/c.md": "x"})
    assert [f.severity for f in found.findings] == ["error", "warning", "info"]


def test_the_shipped_tree_has_no_findings(shipped: Built) -> None:
    assert shipped.findings == ()
