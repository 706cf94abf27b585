"""What would the catalogue's owner want to mend? Findings from what a build has seen."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from ..records import Entry, FileReport, Finding
from ..text import cut, fold_name

if TYPE_CHECKING:
    from .cards import Card

SEVERITIES = ("error", "warning", "info")
LONG, SHORT, TELLING = 1024, 300, 3


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


def of_entry(entry: Entry) -> Iterator[Finding]:
    """Findings that its own file is enough for."""
    if fold_name(entry.name) != fold_name(entry.stem):
        message = f"the file is called {entry.stem}, the {entry.kind} {entry.name}"
        yield _about(entry, "name-differs", "info", message, "Nothing, if meant: both find it.")
    said = entry.description
    if len(said) > LONG:
        message = f"the description has {len(said):,} characters, and hosts carry all of it"
        cure = f"description: {json.dumps(cut(said, SHORT), ensure_ascii=False)}"
        yield _about(entry, "long-description", "info", message, cure)
    own = set(fold_name(entry.name).split())
    if len(set(fold_name(said).split()) - own) < TELLING:
        message = "the description says nothing that the name does not"
        cure = 'description: "what it does, and when to use it"'
        yield _about(entry, "vague-description", "warning", message, cure)


def of_cards(cards: Sequence[Card], undescribed: Collection[str] = ()) -> Iterator[Finding]:
    """Findings about entries and between them; of `undescribed` paths it is told already that
    they lack a description."""
    for card in cards:
        for finding in card.findings:
            if finding.rule == "name-differs" or card.path not in undescribed:
                yield finding
    yield from _collisions(cards)
    yield from _indistinct(cards)


def _collisions(cards: Iterable[Card]) -> Iterator[Finding]:
    by_name: dict[tuple[str, str], list[Card]] = {}
    for card in cards:
        by_name.setdefault((card.key[0], card.names[1]), []).append(card)
    for found in by_name.values():
        plugins = sorted({card.key[1] for card in found}) if len(found) > 1 else ()
        if len(plugins) > 1:
            kind, plugin, name = found[0].key
            message = f"{len(plugins)} plugins have the {kind} {name}: " + ", ".join(plugins)
            cure = f'name: "{plugin}-{name}"'
            where = found[0].qualified, found[0].path, None
            yield Finding("name-collision", "info", *where, message, cure)


def _indistinct(cards: Iterable[Card]) -> Iterator[Finding]:
    """Entries of one kind whose texts are the same: no question can tell them apart."""
    by_text: dict[tuple[str, bytes], list[Card]] = {}
    for card in cards:
        if card.same:
            by_text.setdefault((card.key[0], card.same), []).append(card)
    for found in by_text.values():
        if len(found) > 1:
            names = ", ".join(card.qualified for card in found)
            message = f"the same text stands in {names}: no question can tell them apart"
            cure = "Remove all but one, or let each description say what only it does."
            where = found[0].qualified, found[0].path, None
            yield Finding("indistinct", "warning", *where, message, cure)


def _about(
    entry: Entry, rule: str, severity: Literal["warning", "info"], message: str, cure: str
) -> Finding:
    return Finding(rule, severity, entry.qualified, entry.path, None, message, cure)


def of_troubles(troubles: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    for path, message in troubles:
        yield Finding("manifest", "warning", "", path, None, message, "Mend the manifest.")


def by_severity(finding: Finding) -> tuple[int, str, str, int]:
    """A sort key: errors first, one rule together, then by place."""
    place = SEVERITIES.index(finding.severity)
    return place, finding.rule, finding.path, finding.line or 0
