"""Which section of a text says most about a task?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..text import Terms

_HEADING = re.compile(r"#{1,6} \S")
_FENCE = re.compile(r" {0,3}(```|~~~)")
USUAL_TERMS = 60
"""The length, in terms, at which a section's words count half."""


def best_passage(text: str, weights: Mapping[str, int], terms: Terms) -> str:
    """The section whose words carry most of the question's weight for its length.

    The first one where none has a word of it.
    """
    found = list(sections(text))
    scores = [_score(terms(section), weights) for section in found]
    return found[scores.index(max(scores))] if found else ""


def sections(text: str) -> Iterator[str]:
    """Each heading with what stands below it, up to the next; headings in code are none."""
    lines: list[str] = []
    fenced = False
    for line in text.strip().splitlines():
        fenced ^= _FENCE.match(line) is not None
        if not fenced and _HEADING.match(line) and _says_something(lines):
            yield "\n".join(lines).strip()
            lines = []
        lines.append(line)
    if lines:
        yield "\n".join(lines).strip()


def _says_something(lines: list[str]) -> bool:
    """A heading alone goes with the section below it."""
    return any(line.strip() and not _HEADING.match(line) for line in lines)


def _score(found: list[str], weights: Mapping[str, int]) -> float:
    carried = sum(weights[term] for term in weights.keys() & set(found))
    return carried / (USUAL_TERMS + len(found))
