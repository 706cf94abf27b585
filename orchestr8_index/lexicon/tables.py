"""Reads the tables of the lexicon: the shipped ones, and the user's own file.

Each line of a table is a meaning: keys, a tab, the words that they stand for. `[kind]` starts a
section, `#` a comment. The kinds are those of KINDS, and `set`, which names words for the groups of
symptoms. A later line replaces an earlier one with the same key, so the user's lines win.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import cache, cached_property, partial
from pathlib import Path
from sys import intern
from typing import NamedTuple

from ..memo import keep
from ..text import Terms, fold, raw_words, stem_of
from .shapes import Shape, check

FOLDER = Path(__file__).parent
SHIPPED = tuple(FOLDER / f"{n}.tsv" for n in ("shorts", "products", "symptoms", "errors", "words"))
USER_FILE = "lexicon.tsv"
KINDS = ("short", "product", "file", "symptom", "error", "joined", "spelling")
log = logging.getLogger(__name__)
REMEMBERED = 256  # lines whose split words are cached
MOST_WORDS = 4  # of a key
SHORTEST_END = 5  # letters of an anchor like *exception


class BadLine(NamedTuple):
    """A line that was skipped, and why; `number` counts from 1, 0 means the whole file."""

    path: Path
    number: int
    why: str

    def __str__(self) -> str:
        where = f", line {self.number}" if self.number else ""
        return f"{self.path}{where}: {self.why}."


class Symptom(NamedTuple):
    """A stem of `first` with one of each of `groups` near it; `words` name the field."""

    first: frozenset[str]
    groups: tuple[frozenset[str], ...]
    words: str


class Tables:
    """The lines of several files, as lookup tables.

    `terms`: key → (kind, words), `starts`: the first words of keys of several words;
    `files`: a file's ending → words; `symptoms`: stem of a first group → symptoms; `shapes`: anchor
    → shapes, `ends`: end of an anchor → shapes; `joined`: "back end" → "backend", `apart`: the
    reverse; `spelling`: "colour" → "color".
    """

    def __init__(self, paths: Iterable[Path] = SHIPPED) -> None:
        self.terms: dict[str, tuple[str, str]] = {}
        self.starts: set[str] = set()
        self.files: dict[str, str] = {}
        self.symptoms: dict[str, list[Symptom]] = {}
        self.shapes: dict[str, list[Shape]] = {}
        self.ends: dict[str, list[Shape]] = {}
        self.joined: dict[str, str] = {}
        self.apart: dict[str, str] = {}
        self.spelling: dict[str, str] = {}
        self.bad: list[BadLine] = []
        self._split: dict[str, list[tuple[str, list[str]]]] = {}
        self._sets: dict[str, frozenset[str]] = {}
        self._add: dict[str, Callable[[str, str], None]] = {
            "short": partial(self._add_terms, "short"),
            "product": partial(self._add_terms, "product"),
            "file": self._add_file,
            "symptom": self._add_symptom,
            "error": self._add_error,
            "joined": self._add_joined,
            "spelling": self._add_spelling,
            "set": self._add_set,
        }
        for path in paths:
            self._read(path, trusted=path in SHIPPED)

    def is_anchor(self, word: str) -> bool:
        """Whether some error shape is looked up by the word or by its ending."""
        return word in self.shapes or word.endswith(self._every_end)

    def shapes_at(self, word: str) -> list[Shape]:
        """Error shapes whose anchor is the word, or an ending of it."""
        found = self.shapes.get(word, [])
        for end, more in self.ends.items():
            if word.endswith(end) and len(word) > max(len(end), SHORTEST_END):
                found = found + more
        return found

    @cached_property
    def _every_end(self) -> tuple[str, ...]:
        return tuple(self.ends)

    def split(self, words: str, terms: Terms) -> list[tuple[str, list[str]]]:
        """(word, its terms) for each of a line's words; the latest REMEMBERED lines are cached."""
        known = self._split.get(words)
        if known is None:
            pairs = [(word, terms(word)) for word in words.split()]
            known = keep(self._split, REMEMBERED, words, pairs)
        return known

    def _read(self, path: Path, trusted: bool) -> None:
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            self.bad.append(BadLine(path, 0, f"it cannot be read ({error})"))
            return
        self._trusted, section = trusted, "short"
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                if line.startswith("["):
                    section = line.strip()[1:-1]
                self._read_line(section, line)
            except ValueError as error:
                self.bad.append(BadLine(path, number, str(error)))

    def _read_line(self, section: str, line: str) -> None:
        """Raises ValueError on an unknown section, or a line without a key or words."""
        if section not in self._add:
            raise ValueError(f"no section '{section}' (they are {', '.join(self._add)})")
        if line.startswith("["):
            return
        key, _, words = line.partition("\t")
        key, words = key.strip(), words.strip()
        if not key or not words:
            raise ValueError("it needs keys, a tab and words")
        self._add[section](key, words)

    def _add_terms(self, kind: str, keys: str, words: str) -> None:
        meaning = (kind, words)
        for key in keys.split(", "):
            parts = [key] if key.isalnum() else raw_words(key)
            if not 0 < len(parts) <= MOST_WORDS:
                raise ValueError(f"'{key.strip()}' must have one to {MOST_WORDS} words")
            exact = not key.islower() and key.isascii()
            self.terms[" ".join(parts) if exact else fold(" ".join(parts))] = meaning
            if len(parts) > 1:
                self.starts.add(fold(parts[0]))

    def _add_file(self, endings: str, words: str) -> None:
        self.files |= dict.fromkeys(map(fold, endings.split(", ")), words)

    def _add_set(self, name: str, words: str) -> None:
        self._sets[name] = frozenset(map(stem_of, words.split()))

    def _add_symptom(self, key: str, words: str) -> None:
        first, *groups = map(self._group, key.split())
        symptom = Symptom(first, tuple(groups), words)
        for stem in first:
            self.symptoms.setdefault(stem, []).append(symptom)

    def _group(self, part: str) -> frozenset[str]:
        """The stems of `word|@set`; a part that is one set shares that set in memory."""
        if (known := self._sets.get(part[1:])) and part.startswith("@"):
            return known
        stems: set[str] = set()
        for word in part.split("|"):
            if word.startswith("@"):
                if word[1:] not in self._sets:
                    raise ValueError(f"no set '{word}'")
                stems |= self._sets[word[1:]]
            else:
                stems.add(intern(stem_of(word)))  # many symptoms have the same
        return frozenset(stems)

    def _add_error(self, key: str, words: str) -> None:
        anchors, _, pattern = key.partition(" /")
        shape = Shape(pattern.removesuffix("/"), words)
        if not self._trusted:
            check(shape.pattern)
        for anchor in anchors.split(", "):
            ends = anchor.startswith("*")
            if ends and len(anchor) <= SHORTEST_END:
                raise ValueError(f"'{anchor}' is too short for an ending")
            (self.ends if ends else self.shapes).setdefault(anchor.strip("*"), []).append(shape)

    def _add_joined(self, apart: str, joined: str) -> None:
        self.joined[apart], self.apart[joined] = joined, apart

    def _add_spelling(self, keys: str, word: str) -> None:
        self.spelling |= dict.fromkeys(keys.split(", "), word)


@cache
def tables(user_file: Path | None = None) -> Tables:
    """The shipped tables and, where it exists, the user's file; read once per user file."""
    user_files = [user_file] if user_file and user_file.exists() else []
    loaded = Tables([*SHIPPED, *user_files])
    for line in loaded.bad:
        log.warning("A line of the lexicon is skipped. %s", line)
    return loaded


def faults(user_file: Path) -> list[BadLine]:
    """The lines of the user's file that would be skipped; none if there is no file."""
    return Tables([*SHIPPED, user_file]).bad if user_file.exists() else []
