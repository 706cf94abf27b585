"""What would the catalogue's owner want to mend? Findings from what a build has seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..records import Entry, FileReport, Finding
from ..text import fold_name

SEVERITIES = ("error", "warning", "info")


def of_reports(reports: Iterable[FileReport]) -> Iterator[Finding]:
    """A finding for every entry file that was mended or left out."""
    for report in reports:
        if not report.is_entry or report.outcome == "indexed":
            continue
        skipped = report.outcome == "skipped"
        yield Finding(
            rule=_rule(report),
            severity="error" if skipped else "warning",
            entry=report.name or "",
            path=report.path,
            line=report.line,
            message=report.reason,
            cure=report.cure,
        )


def _rule(report: FileReport) -> str:
    reason = report.reason
    if reason.startswith("duplicate"):
        return "duplicate"
    if "no description:" in reason or "no header:" in reason:
        return "missing-description"
    if "was cut" in reason:
        return "cut"
    return "skipped" if report.outcome == "skipped" else "repaired"


def of_entries(entries: Iterable[Entry]) -> Iterator[Finding]:
    for entry in entries:
        if fold_name(entry.name) != fold_name(entry.stem):
            yield Finding(
                rule="name-differs",
                severity="info",
                entry=entry.qualified,
                path=entry.path,
                line=None,
                message=f"the file is called {entry.stem}, the {entry.kind} {entry.name}",
                cure="Nothing, if it is meant; both names find it.",
            )


def of_troubles(troubles: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    for path, message in troubles:
        yield Finding("manifest", "warning", "", path, None, message, "Mend the manifest.")


def by_severity(finding: Finding) -> tuple[int, str, str, int]:
    """A sort key: errors first, one rule together, then by place."""
    place = SEVERITIES.index(finding.severity)
    return place, finding.rule, finding.path, finding.line or 0
