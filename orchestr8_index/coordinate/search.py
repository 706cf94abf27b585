"""Search in messages: the full-text index, similar spellings, and the score of a match."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice

from ..sharing import SessionCall
from . import statements as sql
from .caller import Caller, Message, visible

CANDIDATES = 400  # the newest that contain a word are compared
MOST_INDEXED = 2000  # words of the index that are compared with one of the question
NEAR, NEAR_RATIO = 5, 75.0  # spellings tried for each word
SHORTEST, BEGINS = 3, 90.0  # letters of a word that others may begin with, and how alike those are
MOST_WORDS, MOST_LETTERS = 12, 40
MOST_COMPARED, MOST_IN_ALL = 4000, 150_000  # characters of a text, and of all
_WORD = re.compile(r"\w+")
MessageRow = tuple[int, str, int]  # id, text, at
Match = tuple[float, int, Message, int]  # score 0-100, id, message, at


def index_message(
    connection: sqlite3.Connection, number: int, key: str, message: Message, remove: bool = False
) -> None:
    """Add a message to the full-text index, or remove it; only messages of sessions are indexed."""
    if key:
        words = (number, f"{message.subject}\n{message.body}", _session_word(key))
        connection.execute(sql.DELETE_WORDS if remove else sql.ADD_WORDS, words)


def _session_word(key: str) -> str:
    """One word for the tokenizer, whatever characters the id has."""
    return f"s{key.encode().hex()}"


def search(
    connection: sqlite3.Connection, caller: Caller, session: str, params: SessionCall
) -> list[Match]:
    """Best first, then newest: messages that the caller may see, from the asked score on."""
    words = [word.lower() for word in _WORD.findall(params.query)][:MOST_WORDS]
    if not words:
        return []
    rows = dict.fromkeys(_candidates(connection, caller.project, session, words))
    if params.in_all:
        rows |= dict.fromkeys(_labelled(connection, caller.project, session, words))
    seen, alike = list(visible(connection, caller, rows)), [_Alike(word) for word in words]
    ends = accumulate(min(len(m.body) + len(bytes(m.metadata)), MOST_COMPARED) for _, m, _ in seen)
    found = [
        (_likeness(alike, message, params.in_all), number, message, at)
        for (number, message, at), end in zip(seen, ends, strict=True)
        if end <= MOST_IN_ALL
        if not params.visibility or message.visibility in params.visibility
    ]
    found = [each for each in found if each[0] >= params.fuzzy_threshold]
    return sorted(found, key=lambda each: (-each[0], -each[1]))[: params.limit]


def _likeness(words: Sequence[_Alike], message: Message, in_all: bool) -> float:
    """0 to 100: how similar the question's words are to words of the text, on the average."""
    text = f"{message.subject} {message.body[:MOST_COMPARED]}"
    if in_all:
        metadata = bytes(message.metadata)[:MOST_COMPARED].decode(errors="ignore")
        text += f" {message.sender} {metadata if metadata != 'null' else ''}"
    in_text = set(_WORD.findall(text.lower()))
    return sum([max(map(word.__getitem__, in_text), default=0.0) for word in words]) / len(words)


class _Alike(dict[str, float]):
    """How alike other words are to one, each compared once."""

    def __init__(self, word: str) -> None:
        from rapidfuzz import fuzz

        self._word, self._ratio = word, fuzz.ratio

    def __missing__(self, other: str) -> float:
        begins = len(self._word) >= SHORTEST and other.startswith(self._word)
        self[other] = ratio = max(self._ratio(self._word, other), BEGINS if begins else 0.0)
        return ratio


def _labelled(
    connection: sqlite3.Connection, project: str, session: str, words: Sequence[str]
) -> list[MessageRow]:
    """The newest messages with one of the words anywhere, also in sender or metadata."""
    rows = iter(connection.execute(sql.LAST_MESSAGES, (project, f"s/{session}", 0)))
    newest = islice(rows, CANDIDATES)
    return [row for row in newest if any(word in row[1].lower() for word in words)]


def _candidates(
    connection: sqlite3.Connection, project: str, session: str, words: Sequence[str]
) -> list[MessageRow]:
    spelt = [f"({' OR '.join(_quoted(near))})" for near in _spellings(connection, words)]
    match = f"session : {_session_word(f's/{session}')} AND words : ({' OR '.join(spelt)})"
    return connection.execute(sql.FIND_WORDS, (match, project, CANDIDATES)).fetchall()


def _quoted(words: Sequence[str]) -> list[str]:
    return [f'"{word}"*' if len(word) >= SHORTEST else f'"{word}"' for word in words]


def _spellings(connection: sqlite3.Connection, words: Sequence[str]) -> Iterator[list[str]]:
    """Each word with the indexed words of a similar spelling that begin with the same letter."""
    from rapidfuzz import fuzz, process

    for word in words:
        if len(word) < 4 or len(word) > MOST_LETTERS:
            yield [word]
            continue
        known = [term for term in _indexed(connection, word) if abs(len(term) - len(word)) <= 2]
        near = process.extract(word, known, scorer=fuzz.ratio, limit=NEAR, score_cutoff=NEAR_RATIO)
        yield list(dict.fromkeys([word, *(term for term, _, _ in near)]))


def _indexed(connection: sqlite3.Connection, word: str) -> list[str]:
    """The indexed words that begin with its first letter, or with more where they are many."""
    found: list[str] = []
    for letters in (1, 3, 8):
        start = word[:letters]
        rows = connection.execute(sql.KNOWN_WORDS, (start, start + "\U0010ffff", MOST_INDEXED))
        found = [term for (term,) in rows]
        if len(found) < MOST_INDEXED:
            break
    return found
