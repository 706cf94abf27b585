"""Shapes of error messages: a pattern is split into plain pieces of text and what is left of it.

Most alternatives of a pattern are plain text, which is found much faster than a pattern is matched,
and needs no compiling. Texts are matched in lower case.
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
    """`pattern` must be found in a text of this shape; an empty one is found in every text."""

    pattern: str
    words: str

    def fits(self, text: str) -> bool:
        """Whether `text`, in lower case, has this shape."""
        pieces, rest = _parted(self.pattern)
        return any(_begins(piece, text) for piece in pieces) or bool(rest and rest.search(text))


def _begins(piece: str, text: str) -> bool:
    """Whether `piece` is in `text` where a word begins, if it begins as a word does."""
    at = text.find(piece)
    while at > 0 and piece[:1].isalnum() and text[at - 1].isalnum():
        at = text.find(piece, at + 1)
    return at >= 0


def check(pattern: str) -> None:
    """Raises ValueError on a pattern that cannot be compiled, or could take very long."""
    if len(pattern) > LONGEST or _NESTED.search(pattern):
        raise ValueError("the pattern is too long, or repeats what repeats")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern is wrong: {error}") from None


@lru_cache(KEPT)
def _parted(pattern: str) -> tuple[list[str], re.Pattern[str] | None]:
    """The alternatives that are plain text, and a pattern of the others, if there are any."""
    plain: list[str] = []
    rest: list[str] = []
    for part in _alternatives(pattern):
        (plain if _PLAIN.fullmatch(part) or not part else rest).append(part)
    pieces = [_ESCAPED.sub(r"\1", part) for part in plain]
    return pieces, re.compile("|".join(rest)) if rest else None


def _alternatives(pattern: str) -> list[str]:
    """What stands between the bars that are in no group, or in one group around everything."""
    inner = pattern[1:-1] if _is_one_group(pattern) else pattern
    found, start = [], 0
    for place, depth in _depths(inner):
        if depth == 0 and inner[place] == "|":
            found.append(inner[start:place])
            start = place + 1
    return [*found, inner[start:]]


def _is_one_group(pattern: str) -> bool:
    if not pattern.startswith("(") or pattern.startswith("(?"):
        return False
    closed = next((place for place, depth in _depths(pattern) if depth == 0), -1)
    return closed == len(pattern) - 1


def _depths(pattern: str) -> list[tuple[int, int]]:
    """For each character that is not escaped or in a class, the depth of groups after it."""
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
