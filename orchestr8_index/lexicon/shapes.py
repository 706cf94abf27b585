"""Patterns of error messages, each split into plain substrings and a regular expression.

Most alternatives of a pattern are plain text: a substring search is much faster than matching a
regular expression, and needs no compiling. Texts are matched in lower case.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

LONGEST = 1_000  # characters of a pattern
KEPT = 256  # compiled patterns
_PLAIN = re.compile(r"(?:[^\\.^$*+?{}\[\]|()]|\\[^\w\s])+")
_NESTED = re.compile(r"[*+}]\)*\)[*+{]")
_ESCAPED = re.compile(r"\\(.)")


class Shape(NamedTuple):
    """An error message that contains `pattern` (the empty one matches every text) means `words`."""

    pattern: str
    words: str

    def fits(self, text: str) -> bool:
        """Whether `text`, in lower case, contains the pattern."""
        pieces, rest = _parted(self.pattern)
        return any(_begins(piece, text) for piece in pieces) or bool(rest and rest.search(text))


def _begins(piece: str, text: str) -> bool:
    """Whether `text` has `piece`; one that starts with a letter or digit must start a word."""
    at = text.find(piece)
    while at > 0 and piece[:1].isalnum() and text[at - 1].isalnum():
        at = text.find(piece, at + 1)
    return at >= 0


def check(pattern: str) -> None:
    """Raises ValueError on a pattern that does not compile, or could take exponential time."""
    if len(pattern) > LONGEST or _NESTED.search(pattern):
        raise ValueError("the pattern is too long, or nests repetitions")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern is wrong: {error}") from None


@lru_cache(KEPT)
def _parted(pattern: str) -> tuple[list[str], re.Pattern[str] | None]:
    """(alternatives that are plain text, compiled pattern of the others or None)"""
    plain: list[str] = []
    rest: list[str] = []
    for part in _alternatives(pattern):
        (plain if _PLAIN.fullmatch(part) or not part else rest).append(part)
    pieces = [_ESCAPED.sub(r"\1", part) for part in plain]
    return pieces, re.compile("|".join(rest)) if rest else None


def _alternatives(pattern: str) -> list[str]:
    """The pattern split at its top-level bars, without a group around the whole of it."""
    inner = pattern[1:-1] if _is_one_group(pattern) else pattern
    parts, start = [], 0
    for place, depth in _depths(inner):
        if depth == 0 and inner[place] == "|":
            parts.append(inner[start:place])
            start = place + 1
    return [*parts, inner[start:]]


def _is_one_group(pattern: str) -> bool:
    if not pattern.startswith("(") or pattern.startswith("(?"):
        return False
    closed = next((place for place, depth in _depths(pattern) if depth == 0), -1)
    return closed == len(pattern) - 1


def _depths(pattern: str) -> list[tuple[int, int]]:
    """(place, depth of groups after it) of each character not escaped or in a class"""
    found, depth, place, in_class = [], 0, 0, False
    while place < len(pattern):
        sign = pattern[place]
        if sign == "\\":
            place += 2
            continue
        if in_class or sign == "[":
            in_class = sign != "]"
        else:
            depth += (sign == "(") - (sign == ")")
            found.append((place, depth))
        place += 1
    return found
