"""Which entries stand in each other's way? Findings that take more than one file to see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from ..records import Finding
from .cards import Card
from .findings import placed


def of_cards(
    cards: Sequence[Card], undescribed: Collection[tuple[str, str]] = ()
) -> Iterator[Finding]:
    """Findings about entries and between them; of `undescribed` roots and paths it is told already
    that they lack a description."""
    for card in cards:
        for finding in placed(card.findings, card.report.root):
            if finding.rule == "name-differs" or (finding.root, card.path) not in undescribed:
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
            yield Finding("name-collision", "info", *where, message, cure, found[0].report.root)


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
            yield Finding("indistinct", "warning", *where, message, cure, found[0].report.root)
