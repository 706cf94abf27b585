"""What is in the trees? Sources read, names settled, roles and mentions resolved."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ..records import KINDS, Entry, FileReport, Finding, Kind, ResolvedRole
from ..text import display
from . import findings
from .parse import Parsed, parse
from .roles import Directory, dangling, read_registry, resolve
from .scan import MAX_BYTES, Scan, Source
from .segment import Text
from .steps import read_mentions

Row = tuple[Entry, Text]


@dataclass(slots=True)
class Catalogue:
    rows: dict[Kind, list[Row]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    reports: list[FileReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    roles: tuple[ResolvedRole, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        outcomes = [report.outcome for report in self.reports if report.is_entry]
        counts = {name: outcomes.count(name) for name in ("indexed", "repaired", "skipped")}
        return {**counts, "not_entries": len(self.reports) - len(outcomes)}


def read_catalogue(scan: Scan, reading: Callable[[int, Source], None]) -> Catalogue:
    """`reading` is told of each source before it is opened."""
    found = Catalogue(reports=list(scan.reports))
    taken: dict[tuple[str, str, str], str] = {}
    for number, source in enumerate(scan.sources):
        reading(number, source)
        parsed = _settle(_read(source, scan.roots[source.root]), taken)
        found.reports.append(parsed.report)
        if parsed.entry:
            found.rows[source.kind].append((parsed.entry, _text(parsed.entry, parsed.body)))
    for rows in found.rows.values():
        rows.sort(key=lambda row: (row[0].qualified, row[0].root, row[0].path))
    _resolve_roles(found, scan)
    _find_mentions(found)
    found.reports.sort(key=lambda report: (report.root, report.path))
    found.findings += findings.of_reports(found.reports)
    found.findings += findings.of_troubles(scan.troubles)
    everyone = (row for rows in found.rows.values() for row in rows)
    told = {finding.path for finding in found.findings if finding.rule == "missing-description"}
    found.findings += findings.of_rows([(entry, text.body) for entry, text in everyone], told)
    found.findings.sort(key=findings.by_severity)
    return found


def _read(source: Source, root: str) -> Parsed:
    """A file that has grown or vanished since the scan is refused like any other."""
    path = Path(root, source.path)
    try:
        with open(path, "rb", opener=_no_waiting) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror}"
        cure = "Give the index read access, or move it away."
        return Parsed(_refusal(source, root, reason, cure))
    if len(data) > MAX_BYTES:
        cure = "Move the long parts into reference files."
        return Parsed(_refusal(source, root, f"too large: over {MAX_BYTES:,} bytes", cure))
    return parse(source, data, root)


def _no_waiting(path: str, flags: int) -> int:
    """A pipe put in a file's place must not hold the build."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _settle(parsed: Parsed, taken: dict[tuple[str, str, str], str]) -> Parsed:
    """The first file by path has the name; a later one of the same kind and plugin is refused."""
    entry = parsed.entry
    if entry is None:
        return parsed
    key = (entry.kind, entry.plugin, entry.name)
    if key not in taken:
        taken[key] = entry.path
        return parsed
    reason = f"duplicate: {entry.kind} {entry.qualified} is {taken[key]} already"
    report = msgspec.structs.replace(
        parsed.report, outcome="skipped", reason=reason, line=1, cure="Give it a name of its own."
    )
    return Parsed(report)


def _refusal(source: Source, root: str, reason: str, cure: str) -> FileReport:
    return FileReport(root, display(source.path), "skipped", reason=reason, cure=cure)


def _text(entry: Entry, body: str) -> Text:
    return Text(entry.name, entry.said, body)


def _resolve_roles(found: Catalogue, scan: Scan) -> None:
    agents = found.rows["agent"]
    directory = Directory((entry.plugin, entry.name, entry.stem) for entry, _ in agents)
    resolved: dict[str, ResolvedRole] = {}
    for number, path in scan.registries:
        roles, wrong = read_registry(scan.roots[number], path)
        found.findings += wrong
        for role in roles:
            resolved.setdefault(role.name, resolve(role, directory))
    for known in resolved.values():
        found.findings += dangling(known)
        place = directory.find(known.role.primary)
        if place is not None:
            agents[place] = _described_by(known, *agents[place])
    found.roles = tuple(resolved.values())


def _described_by(resolved: ResolvedRole, entry: Entry, text: Text) -> Row:
    """The registry's words also describe the role's primary agent."""
    role = resolved.role
    capabilities = tuple(dict.fromkeys(entry.capabilities + role.capabilities))
    use_when = " ".join(filter(None, (entry.use_when, role.use_when)))
    described = msgspec.structs.replace(entry, capabilities=capabilities, use_when=use_when)
    return described, _text(described, text.body)


def _find_mentions(found: Catalogue) -> None:
    agents = [entry for entry, _ in found.rows["agent"]]
    known = [name for entry in agents for name in (entry.stem, entry.name)]
    found.rows["workflow"] = [
        (msgspec.structs.replace(entry, agents=read_mentions(text.body, known)), text)
        for entry, text in found.rows["workflow"]
    ]
