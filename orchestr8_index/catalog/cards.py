"""A card is the cached result of parsing one file: everything that depends on no other file.

Reading and parsing are the expensive part of a build. With a card the next build reads the file
again only if it has changed.
"""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from ..records import Entry, FileReport, Finding, Kind
from ..text import fold_name
from ..tokens import estimate_tokens
from . import findings
from .parse import Parsed, mentionable
from .scan import Source

Stamp = tuple[int, ...]
"""(size, mtime_ns, ctime_ns, inode) of a file when it was read; () never counts as unchanged."""


class Card(Struct, array_like=True):
    """`place` is the card's key (`place_of`); `digest` is of the file's bytes. Without an `entry`
    (msgpack of the Entry, from this file alone) the file was refused, or is a duplicate of
    `identity` = (kind, plugin, name). `adjusted`: other files add to the served entry."""

    place: bytes
    stamp: Stamp
    digest: bytes
    report: FileReport
    identity: tuple[Kind, str, str] | None = None
    entry: bytes = b""
    root: int = 0
    path: str = ""
    names: tuple[str, ...] = ("", "", "")
    stem: str = ""
    labels: tuple[str, ...] = ()
    same: bytes = b""
    findings: tuple[Finding, ...] = ()
    mentions: str = ""
    tokens: int = 0
    adjusted: bool = False

    def move(self, root: int) -> None:
        """Set the number that the file's root has in this build."""
        if self.root != root and self.entry:
            entry = msgspec.msgpack.decode(self.entry, type=Entry)
            self.entry = msgspec.msgpack.encode(msgspec.structs.replace(entry, root=root))
            self.root = root

    @property
    def key(self) -> tuple[Kind, str, str]:
        """The identity, for a card that has one."""
        assert self.identity is not None
        return self.identity

    @property
    def qualified(self) -> str:
        return f"{self.key[1]}:{self.key[2]}"

    @property
    def order(self) -> tuple[str, int, str]:
        """A sort key: entries lie in the order of their qualified names."""
        return self.qualified, self.root, self.path


def place_of(source: Source, root: str) -> bytes:
    """A key of everything but the bytes that decides how a file is read."""
    facts = (root, source.path, source.kind, source.stem, source.plugin)
    flags = (source.tentative, source.packed, source.plain, source.qualified, source.by_person)
    flagged = "".join(f"{flag:d}" for flag in flags) + ",".join(source.off)
    more = (",".join(source.owners), source.folders, flagged)
    return "\0".join((*facts, *more)).encode("utf-8", "surrogateescape")


def stamp_of(source: Source) -> Stamp:
    """What the file system says of a file: size, times in nanoseconds, inode."""
    return source.size, source.mtime_ns, source.ctime_ns, source.inode


def digest_of(data: bytes) -> bytes:
    """16 bytes of a file's SHA-256."""
    return hashlib.sha256(data).digest()[:16]


def make_card(place: bytes, stamp: Stamp, digest: bytes, parsed: Parsed) -> Card:
    """The card of a parsed file."""
    card = Card(place, stamp, digest, parsed.report)
    if parsed.entry is not None:
        _describe(card, parsed.entry, parsed.body)
    return card


def _describe(card: Card, entry: Entry, body: str) -> None:
    card.identity = (entry.kind, entry.plugin, entry.name)
    card.entry = msgspec.msgpack.encode(entry)
    card.root, card.path, card.stem = entry.root, entry.path, entry.stem
    card.names = fold_name(entry.plugin), fold_name(entry.name), fold_name(entry.stem)
    folder, colon, name = entry.name.rpartition(":")
    if colon:  # `/frontend:component` is a name without a plugin
        card.names = (*card.names, f"{fold_name(folder)}:{fold_name(name)}")
    card.labels = folded_labels(entry)
    card.same = _same(entry.description, body)
    card.tokens = estimate_tokens(entry.line)
    card.findings = tuple(findings.of_entry(entry))
    if entry.kind == "workflow":
        card.mentions = " ".join(mentionable(body))


def folded_labels(entry: Entry) -> tuple[str, ...]:
    """An entry's labels, folded for comparison, each once."""
    return tuple(dict.fromkeys(filter(None, map(fold_name, entry.labels))))


def _same(description: str, body: str) -> bytes:
    """A digest of description and body, without case and white space; empty if both are."""
    folded, words = fold_name(description), " ".join(body.split())
    return digest_of(f"{folded}\0{words}".encode()) if folded or words else b""
