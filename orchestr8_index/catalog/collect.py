"""Reads the sources into a catalogue: cards, unique names, roles, mentions, findings.

An unchanged file whose card the last generation has is not opened. All that depends on more than
one file is computed again from the cards, so that it makes no difference which of them are old.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from ..opening import read_within
from ..records import KINDS, Entry, FileReport, Finding, Kind, ResolvedRole
from ..text import Terms, display
from . import findings
from .cards import Card, Stamp, digest_of, folded_labels, make_card, place_of, stamp_of
from .kind_data import REMEMBERED, Embedder, KindData
from .parse import Parsed, known_among, parse
from .reuse import Previous
from .roles import Directory, dangling, read_registry, resolve
from .scan import Scan, Source, may_be_qualified
from .spill import READ, Filling, SpilledEntry
from .word_vectors import Words

JUST_NOW = 50_000_000  # ns: a file changed so recently may change again with the same times
_ENTRY = msgspec.msgpack.Decoder(Entry)


@dataclass(slots=True)
class Catalogue:
    """`parsed`: how many files differ from the last generation's cards."""

    kinds: dict[Kind, KindData]
    reports: list[FileReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    roles: tuple[ResolvedRole, ...] = ()
    refused: list[Card] = field(default_factory=list)
    parsed: int = 0

    @property
    def rows(self) -> dict[Kind, list[SpilledEntry]]:
        return {kind: kind_data.rows for kind, kind_data in self.kinds.items()}

    @property
    def counts(self) -> dict[str, int]:
        outcomes = [report.outcome for report in self.reports if report.is_entry]
        counts = {name: outcomes.count(name) for name in ("indexed", "repaired", "skipped")}
        return {**counts, "not_entries": len(self.reports) - len(outcomes)}


def read_catalogue(
    scan: Scan,
    reading: Callable[[int, Source], None],
    words: Words | None = None,
    previous: Previous | None = None,
    named: Collection[str] = (),
    folder: Path | None = None,
) -> Catalogue:
    """`reading` is called with each source before it is opened, and again before it is counted;
    the paths `named` are opened in any case. `folder` is for temporary files."""
    previous = previous or Previous()
    embedder, split = Embedder(words or Words()), Terms(bound=REMEMBERED)
    folder = folder or Path(tempfile.gettempdir())
    kinds = {
        kind: KindData(
            Filling(folder, embedder.dimensions),
            embedder,
            split,
            previous.kinds.get(kind),
            previous.lent.get(kind),
        )
        for kind in KINDS
    }
    found = Catalogue(kinds, list(scan.reports))
    _Intake(found, scan, reading, previous, named).take_all()
    for kind_data in kinds.values():
        kind_data.flush()
        kind_data.rows.sort(key=lambda row: row.card.order)
    _resolve_roles(found, scan)
    _find_mentions(found)
    found.reports.sort(key=lambda report: (report.root, report.path))
    _find_findings(found, scan)
    return found


@dataclass(slots=True)
class _Intake:
    """Goes through the sources in their order; of files of one name the first by path has it."""

    found: Catalogue
    scan: Scan
    reading: Callable[[int, Source], None]
    previous: Previous
    named: Collection[str]
    taken: dict[tuple[str, ...], Source] = field(default_factory=dict)

    def take_all(self) -> None:
        for number, source in enumerate(self.scan.sources):
            self._take(number, source)

    def _take(self, number: int, source: Source) -> None:
        root = self.scan.roots[source.root]
        place, stamp = place_of(source, root), stamp_of(source)
        card, origin, at = self._known(place, stamp)
        if card is None or card.stamp != stamp or f"{root}/{source.path}" in self.named:
            self._read(number, source, place, card, origin, at)
        elif card.identity and not card.entry and not self._first_of(source, card):
            self._read(number, source, place)  # it was a duplicate in the last generation
        else:
            self._settle(number, source, card, origin, at)

    def _known(self, place: bytes, stamp: Stamp) -> tuple[Card | None, int, int]:
        """(the card of this stamp, else one whose digest to compare; its entry's origin, place)"""
        known = [
            table[place]
            for table in (self.previous.lendable, self.previous.found)
            if place in table
        ]
        current = (each for each in known if each[0].stamp == stamp)
        return next(current, known[-1] if known else (None, READ, -1))

    def _first_of(self, source: Source, card: Card) -> Source | None:
        """The source that has taken the identity already, or a name that hosts load once."""
        return next(filter(None, map(self.taken.get, _unique_keys(source, card))), None)

    def _read(
        self,
        number: int,
        source: Source,
        place: bytes,
        card: Card | None = None,
        origin: int = READ,
        at: int = -1,
    ) -> None:
        self.reading(number, source)
        root = self.scan.roots[source.root]
        data, refusal = read_file(source, self.scan.roots, self.scan.limits.max_file_bytes)
        stamp = stamp_of(source)
        if refusal is not None:
            self.found.parsed += 1
            self._settle(number, source, Card(place, (), b"", refusal))
            return
        digest = digest_of(data)
        if time.time_ns() - source.ctime_ns < JUST_NOW:
            stamp = ()
        if card is not None and card.digest == digest and (card.entry or not card.identity):
            card.stamp = stamp
            self.found.kinds[source.kind].restamped = True
            self._settle(number, source, card, origin, at)
            return
        self.found.parsed += 1
        parsed = parse(source, data, root, self.scan.limits)
        made = make_card(place, stamp, digest, parsed)
        begin = lambda: self.reading(number, source)  # noqa: E731
        self._settle(number, source, made, parsed=parsed, begin=begin)

    def _settle(
        self,
        number: int,
        source: Source,
        card: Card,
        origin: int = READ,
        at: int = -1,
        parsed: Parsed | None = None,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        card.move(source.root)
        first = self._first_of(source, card) if card.identity else None
        if first and _is_qualifiable(first, source):
            self._take(number, replace(source, qualified=True))
            return
        if card.identity is None:
            self.found.refused.append(card)
        elif first:
            card = _duplicate(card, first, self.scan.roots)
            self.found.refused.append(card)
        else:
            self.taken.update(dict.fromkeys(_unique_keys(source, card), source))
            kind_data = self.found.kinds[source.kind]
            if parsed and parsed.entry:
                kind_data.put(card, parsed.entry, parsed.body, begin)
            else:
                kind_data.keep(card, origin, at)
        self.found.reports.append(card.report)


def _unique_keys(source: Source, card: Card) -> list[tuple[str, ...]]:
    """The keys that one entry alone may have: its identity, its name in its folder, and its name in
    the own folders of its hosts."""
    kind, plugin, name = card.key
    bare = name.removeprefix(f"{source.folders.replace('/', ':')}:")
    own = () if source.packed else source.owners
    return [
        card.key,
        (kind, plugin, source.folders, bare),
        *(("", host, kind, name) for host in own),
    ]


def _is_qualifiable(first: Source, source: Source) -> bool:
    """Whether the later of two agents of one name can be qualified by its folder."""
    apart = first.folders != source.folders and bool(source.folders)
    return apart and not source.qualified and may_be_qualified(source)


def _duplicate(card: Card, first: Source, roots: tuple[str, ...]) -> Card:
    same = roots[first.root] == card.report.root
    where = display(first.path if same else f"{roots[first.root]}/{first.path}")
    reason = f"duplicate: {card.key[0]} {card.qualified} is {where} already"
    cure = "Give it a name of its own."
    if not same and first.owners:
        reason = f"hidden: the host takes {where}, which goes before it"
        cure = "Nothing, if meant; else give it a name of its own."
    report = msgspec.structs.replace(
        card.report, outcome="skipped", reason=reason, line=1, cure=cure
    )
    return Card(card.place, card.stamp, card.digest, report, card.identity)


def _find_findings(found: Catalogue, scan: Scan) -> None:
    cards = [row.card for rows in found.rows.values() for row in rows]
    mended = [card for card in cards if card.report.outcome != "indexed"]
    names = {(card.report.root, card.path): card.qualified for card in mended}
    found.findings += findings.of_reports(found.reports, names)
    found.findings += findings.of_troubles(scan.troubles)
    undescribed = {(f.root, f.path) for f in found.findings if f.rule == "missing-description"}
    found.findings += _of_cards(cards, undescribed)
    found.findings.sort(key=findings.by_severity)


def _resolve_roles(found: Catalogue, scan: Scan) -> None:
    kind_data = found.kinds["agent"]
    resolved: dict[str, ResolvedRole] = {}
    primaries: dict[int, Entry] = {}
    if scan.registries:
        directory = Directory((*row.card.key[1:], row.card.stem) for row in kind_data.rows)
    for number, path in scan.registries:
        root = scan.roots[number]
        roles, wrong = read_registry(root, path, scan.limits)
        for role in roles:
            if role.name not in resolved:
                resolved[role.name] = resolve(role, directory)
                wrong += dangling(resolved[role.name])
        found.findings += findings.placed(wrong, root)
    for known in resolved.values():
        place = directory.find(known.role.primary)
        if place is not None:
            entry = primaries.get(place) or _ENTRY.decode(kind_data.rows[place].card.entry)
            primaries[place] = _described_by(known, entry)
    found.roles = tuple(resolved.values())
    _redescribe(kind_data, primaries)


def _redescribe(kind_data: KindData, described: dict[int, Entry]) -> None:
    """Update agents that the registry describes, or described in the last generation."""
    for place, row in enumerate(kind_data.rows):
        if place in described:
            _set_entry(row, described[place])
            kind_data.redescribe(row, described[place])
        elif row.card.adjusted:
            kind_data.redescribe(row, _ENTRY.decode(row.card.entry))


def _set_entry(row: SpilledEntry, entry: Entry) -> None:
    row.entry, row.labels = msgspec.msgpack.encode(entry), folded_labels(entry)


def _described_by(resolved: ResolvedRole, entry: Entry) -> Entry:
    """The registry's words also describe the role's primary agent."""
    role = resolved.role
    capabilities = tuple(dict.fromkeys(entry.capabilities + role.capabilities))
    use_when = " ".join(filter(None, (entry.use_when, role.use_when)))
    return msgspec.structs.replace(entry, capabilities=capabilities, use_when=use_when)


def _find_mentions(found: Catalogue) -> None:
    agents = (row.card for row in found.rows["agent"])
    names = {name.lower(): name for card in agents for name in (card.stem, card.key[2])}
    for row in found.rows["workflow"]:
        mentioned = known_among(row.card.mentions.split(), names)
        if mentioned:
            entry = _ENTRY.decode(row.card.entry)
            _set_entry(row, msgspec.structs.replace(entry, agents=mentioned))


def read_file(source: Source, roots: tuple[str, ...], most: int) -> tuple[bytes, FileReport | None]:
    """(at most `most` bytes, None), or (b"", a refusal) for a file too large or unreadable."""
    root = roots[source.root]
    try:
        data = read_within(roots, root, source.path, most)
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror}"
        return b"", _refusal(source, root, reason, "Give the index read access, or move it away.")
    if len(data) > most:
        cure = "Move the long parts into reference files."
        return b"", _refusal(source, root, f"too large: over {most:,} bytes", cure)
    return data, None


def _refusal(source: Source, root: str, reason: str, cure: str) -> FileReport:
    return FileReport(root, display(source.path), "skipped", reason=reason, cure=cure)


def _of_cards(cards: Sequence[Card], undescribed: Collection[tuple[str, str]]) -> Iterator[Finding]:
    """Findings about entries and between them; a missing description of the files `undescribed`,
    (root, path), is reported already."""
    for card in cards:
        for finding in findings.placed(card.findings, card.report.root):
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
    """Findings on entries of one kind with the same text."""
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
