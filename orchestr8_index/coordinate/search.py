"""Words in messages: an index of theirs, near spellings, and how alike a text is to a question."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Container, Iterator, Sequence

from ..sharing import SessionCall
from . import statements as sql
from .caller import Caller, Message, may_see, read_message

CANDIDATES = 400  # the newest that contain a word are compared
MOST_KNOWN = 2000  # words of the index that are compared with one of the question
NEAR = 5  # spellings tried for each word
NEAR_RATIO = 75.0
SHORTEST, BEGINS = 3, 90.0  # letters of a word that others may begin with, and how alike those are
MOST_WORDS, MOST_LETTERS = 12, 40
MOST_COMPARED = 4000  # signs of a text
_WORD = re.compile(r"\w+")
Found = tuple[float, int, Message, int]  # score 0-100, id, message, at


def index_message(connection: sqlite3.Connection, number: int, key: str, value: str) -> None:
    """Messages of sessions alone are searched."""
    if key:
        connection.execute(sql.ADD_WORDS, (number, *_indexed(key, read_message(value))))


def unindex_message(connection: sqlite3.Connection, number: int, key: str, value: str) -> None:
    """Take a message out of the full-text index; its words must be those that went in."""
    if key:
        connection.execute(sql.DELETE_WORDS, (number, *_indexed(key, read_message(value))))


def _indexed(key: str, message: Message) -> tuple[str, str]:
    return f"{message.subject}\n{message.body}", _session_word(key)


def _session_word(key: str) -> str:
    """One word for the tokenizer, whatever signs the id has."""
    return f"s{key.encode().hex()}"


def search(
    connection: sqlite3.Connection, caller: Caller, session: str, params: SessionCall
) -> list[Found]:
    """Best first, then newest; only what the caller may see, and at least as alike as it asks."""
    words = [word.lower() for word in _WORD.findall(params.query)][:MOST_WORDS]
    if not words:
        return []
    rows = {row[0]: row for row in _candidates(connection, caller, session, words)}
    if params.in_all:
        rows |= {row[0]: row for row in _labelled(connection, caller, session, words, rows)}
    alike = [_Alike(word) for word in words]
    found = [
        (_likeness(alike, message, params.in_all), number, message, at)
        for number, message, at in rows.values()
        if not params.visibility or message.visibility in params.visibility
    ]
    found = [each for each in found if each[0] >= params.fuzzy_threshold]
    return sorted(found, key=lambda each: (-each[0], -each[1]))[: params.limit]


def _likeness(words: Sequence[_Alike], message: Message, in_all: bool) -> float:
    """0 to 100: how nearly the question's words stand in the text, on the average."""
    text = f"{message.subject} {message.body[:MOST_COMPARED]}"
    told = set(_WORD.findall((f"{text} {_label(message)}" if in_all else text).lower()))
    return sum([max(map(word.__getitem__, told), default=0.0) for word in words]) / len(words)


class _Alike(dict[str, float]):
    """How alike other words are to one, each compared once."""

    def __init__(self, word: str) -> None:
        from rapidfuzz import fuzz

        self._word, self._ratio = word, fuzz.ratio

    def __missing__(self, other: str) -> float:
        begins = len(self._word) >= SHORTEST and other.startswith(self._word)
        ratio = self._ratio(self._word, other)
        self[other] = ratio = max(ratio, BEGINS) if begins else ratio
        return ratio


def _label(message: Message) -> str:
    metadata = bytes(message.metadata)
    if metadata == b"null":
        return message.sender
    return f"{message.sender} {metadata[:MOST_COMPARED].decode(errors='ignore')}"


def _labelled(
    connection: sqlite3.Connection,
    caller: Caller,
    session: str,
    words: Sequence[str],
    known: Container[int],
) -> Iterator[tuple[int, Message, int]]:
    """The newest that have one of the words elsewhere than in the text: their sender, metadata."""
    rows = connection.execute(sql.SAID_LAST, (caller.project, f"s/{session}", 0))
    for number, value, at in rows.fetchmany(CANDIDATES):
        lowered = value.lower()
        if number not in known and any(word in lowered for word in words):
            message = read_message(value)
            if may_see(caller, message, number, connection):
                yield number, message, at


def _candidates(
    connection: sqlite3.Connection, caller: Caller, session: str, words: Sequence[str]
) -> Iterator[tuple[int, Message, int]]:
    spelt = [f"({' OR '.join(_quoted(near))})" for near in _spellings(connection, words)]
    match = f"session : {_session_word(f's/{session}')} AND words : ({' OR '.join(spelt)})"
    rows = connection.execute(sql.FIND_WORDS, (match, caller.project, CANDIDATES))
    for number, value, at in rows.fetchall():
        message = read_message(value)
        if may_see(caller, message, number, connection):
            yield number, message, at


def _quoted(words: Sequence[str]) -> list[str]:
    return [f'"{word}"*' if len(word) >= SHORTEST else f'"{word}"' for word in words]


def _spellings(connection: sqlite3.Connection, words: Sequence[str]) -> Iterator[list[str]]:
    """Each word with the index's words that are spelt nearly so and begin alike."""
    from rapidfuzz import fuzz, process

    for word in words:
        if len(word) < 4 or len(word) > MOST_LETTERS:
            yield [word]
            continue
        known = [term for term in _known(connection, word) if abs(len(term) - len(word)) <= 2]
        near = process.extract(word, known, scorer=fuzz.ratio, limit=NEAR, score_cutoff=NEAR_RATIO)
        yield list(dict.fromkeys([word, *(term for term, _, _ in near)]))


def _known(connection: sqlite3.Connection, word: str) -> list[str]:
    """The index's words that begin as this one does: by one letter, by more where they are many."""
    found: list[str] = []
    for letters in (1, 3, 8):
        start = word[:letters]
        rows = connection.execute(sql.KNOWN_WORDS, (start, start + "\U0010ffff", MOST_KNOWN))
        found = [term for (term,) in rows]
        if len(found) < MOST_KNOWN:
            break
    return found
