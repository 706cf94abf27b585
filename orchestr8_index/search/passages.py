"""Which passages of a text say most about a task?"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Set

from ..text import Terms

_HEADING = re.compile(r"#{1,6} \S|\*\*[^*]+\*\*:?$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)
_CODE = re.compile(r"^ {0,3}(```|~~~).*?^ {0,3}\1", re.MULTILINE | re.DOTALL)
WORTH = 0.45
SHORT, LONG = 12, 50  # distinct terms
REPEATED, ASIDE, HEADED, IN_CODE = 0.5, 0.2, 1.0, 0.5
_ASIDE = re.compile(  # what says when and beside whom the entry works, and not how
    r"\W*(related|see also|integrat\w+ with other|when (to use|invoked)|use this|purpose"
    r"|example (interactions|tasks)|progress tracking|communication protocol)\b"
    r"|\W*([\w-]+ )?(completion|delivery|delivered)( message| notification)?:",
    re.IGNORECASE,
)
USUAL_TERMS = 60
"""The distinct terms at which a passage's words count half."""


def best_passages(
    text: str, weights: Mapping[str, float], terms: Terms, said: Collection[str] = ()
) -> list[str]:
    """The passages worth reading, best first: those whose words carry most of the question's weight
    for their length, down to WORTH of the best.

    A word says the less the more passages have it, half of that where `said`, the terms of what the
    asker reads anyway, or code alone has it, and twice as much in a passage's first line, its
    heading. The first passage, which introduces, is taken only if no other says anything.
    """
    found = list(passages(text, terms))
    counts = Counter(term for _, own in found for term in own if term in weights)
    telling = {
        term: weights[term] * math.log((1 + len(found)) / count) * (REPEATED if term in said else 1)
        for term, count in counts.items()
    }
    parts = [_parts(passage, own, terms) for passage, own in found]
    scores = [
        sum(
            telling[term] * ((1 if term in prose else IN_CODE) + HEADED * (term in head))
            for term in own & telling.keys()
        )
        / (USUAL_TERMS + len(own))
        * (ASIDE if _ASIDE.match(passage) or _is_a_sentence(passage) else 1)
        for (passage, own), (head, prose) in zip(found, parts, strict=True)
    ]
    if any(scores[1:]):
        scores[0] = 0.0
    order = sorted(range(len(found)), key=lambda at: (-scores[at], at))
    return [found[at][0] for at in order if scores[at] >= WORTH * scores[order[0]]]


def _parts(passage: str, own: Set[str], terms: Terms) -> tuple[Set[str], Set[str]]:
    """The terms of its first line, and those that are not in code alone."""
    head = set(terms(passage.partition("\n")[0]))
    return head, set(terms(_CODE.sub("", passage))) if _FENCE.search(passage) else own


def passages(text: str, terms: Terms) -> Iterator[tuple[str, Set[str]]]:
    """Each section with its distinct terms: long ones in paragraphs, short ones together."""
    for section in sections(text):
        whole = set(terms(section))
        if len(whole) <= LONG:
            yield section, whole
            continue
        short, together = "", set[str]()
        for each in _paragraphs(section):
            own = set(terms(each))
            if len(own) < SHORT and len(together) < SHORT:
                short, together = f"{short}\n\n{each}".strip(), together | own
                continue
            if short:
                yield short, together
            short, together = ("", set()) if len(own) >= SHORT else (each, own)
            if not short:
                yield each, own
        if short:
            yield short, together


def _paragraphs(section: str) -> Iterator[str]:
    """What stands between empty lines; code stays whole, and a heading or a line that ends with a
    colon stays with what follows."""
    lines: list[str] = []
    fenced = False
    for line in section.splitlines():
        fenced ^= _FENCE.match(line) is not None
        last = next((each for each in reversed(lines) if each.strip()), ":")
        ends = not line.strip() and not fenced and not last.rstrip("*_").endswith(":")
        if ends and _says_something(lines):
            yield "\n".join(lines).strip()
            lines = []
        lines.append(line)
    if _says_something(lines):
        yield "\n".join(lines).strip()


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


def _is_a_sentence(passage: str) -> bool:
    """Of a single line, but for headings: it introduces, or ends, what the others say."""
    lines = passage.splitlines()
    return sum(bool(line.strip()) and not _HEADING.match(line) for line in lines) == 1


def _says_something(lines: list[str]) -> bool:
    """A heading alone goes with the section below it."""
    return any(line.strip() and not _HEADING.match(line) for line in lines)
