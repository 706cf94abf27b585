"""Findings: what the catalogue's owner may want to mend, from what a build has seen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from msgspec.structs import replace

from ..records import Entry, FileReport, Finding
from ..text import cut, fold_name

SEVERITIES = ("error", "warning", "info")
LONG, SHORT, TELLING = 1024, 300, 3


def of_reports(
    reports: Iterable[FileReport], names: Mapping[tuple[str, str], str]
) -> Iterator[Finding]:
    """A finding for every entry file that was repaired or skipped. `names`: (root, path) →
    `plugin:name` of the entry."""
    for report in reports:
        if not report.is_entry or report.outcome == "indexed":
            continue
        yield Finding(
            rule=_rule(report),
            severity=_severity(report),
            entry=names.get((report.root, report.path), report.name or ""),
            path=report.path,
            line=report.line,
            message=report.reason,
            cure=report.cure,
            root=report.root,
        )


def placed(found: Iterable[Finding], root: str) -> Iterator[Finding]:
    """The findings, with this root where they have none."""
    return (finding if finding.root else replace(finding, root=root) for finding in found)


def _severity(report: FileReport) -> Literal["error", "warning", "info"]:
    """info for files that the host ignores, too, and for links; error for a lost entry."""
    if report.reason.startswith(("hidden:", "unlisted:", "switched off:", "duplicate: a link")):
        return "info"
    lost = report.outcome == "skipped" and not report.reason.startswith("declared:")
    return "error" if lost else "warning"


def _rule(report: FileReport) -> str:
    reason = report.reason
    if reason.startswith("duplicate"):
        return "duplicate"
    if reason.startswith(("hidden:", "unlisted:", "switched off:", "declared:")):
        return reason.partition(":")[0].replace(" ", "-")
    if "no description:" in reason or "no header:" in reason:
        return "missing-description"
    if "was cut" in reason:
        return "cut"
    return "skipped" if report.outcome == "skipped" else "repaired"


def of_entry(entry: Entry) -> Iterator[Finding]:
    """Findings about an entry that need no other file."""
    folders = entry.folders.replace("/", ":")
    if fold_name(entry.name.removeprefix(f"{folders}:")) != fold_name(entry.stem):
        message = f"the file is called {entry.stem}, the {entry.kind} {entry.name}"
        yield _about(entry, "name-differs", "info", message, "Nothing, if meant: both find it.")
    description = entry.description
    if len(description) > LONG:
        message = f"the description has {len(description):,} characters, and hosts carry all of it"
        cure = f"description: {json.dumps(cut(description, SHORT), ensure_ascii=False)}"
        yield _about(entry, "long-description", "info", message, cure)
    own = set(fold_name(entry.name).split())
    if len(set(fold_name(description).split()) - own) < TELLING:
        message = "the description says nothing that the name does not"
        cure = 'description: "what it does, and when to use it"'
        yield _about(entry, "vague-description", "warning", message, cure)


def _about(
    entry: Entry, rule: str, severity: Literal["warning", "info"], message: str, cure: str
) -> Finding:
    return Finding(rule, severity, entry.qualified, entry.path, None, message, cure)


def of_troubles(troubles: Iterable[tuple[str, str, str]]) -> Iterator[Finding]:
    """Findings from (root, path, what is wrong with the manifest)."""
    for root, path, message in troubles:
        yield Finding("manifest", "warning", "", path, None, message, "Mend the manifest.", root)


def by_severity(finding: Finding) -> tuple[int, str, str, int, str]:
    """A sort key: errors first, one rule together, then by place."""
    place = SEVERITIES.index(finding.severity)
    return place, finding.rule, finding.path, finding.line or 0, finding.root
