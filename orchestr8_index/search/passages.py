"""Splits a text into passages and ranks them by relevance to a task."""

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
_ASIDE = re.compile(  # sections on when to use an entry and beside which, not on how it works
    r"\W*(related|see also|integrat\w+ with other|when (to use|invoked)|use this|purpose"
    r"|example (interactions|tasks)|progress tracking|communication protocol)\b"
    r"|\W*([\w-]+ )?(completion|delivery|delivered)( message| notification)?:",
    re.IGNORECASE,
)
USUAL_TERMS = 60
"""The distinct terms at which a passage's words count half."""


def best_passages(
    text: str, weights: Mapping[str, float], terms: Terms, shown: Collection[str] = ()
) -> list[str]:
    """The most relevant passages, best first, down to WORTH of the best score.

    score = Σ weight · idf / (USUAL_TERMS + distinct terms), idf by the number of passages. A term
    counts half in code alone or in `shown`, the terms of what the asker reads anyway, and twice in
    the first line. The first passage, an introduction, is taken only if no other has a score.
    """
    found = list(passages(text, terms))
    counts = Counter(term for _, own in found for term in own if term in weights)
    term_weights = {
        term: weights[term]
        * math.log((1 + len(found)) / count)
        * (REPEATED if term in shown else 1)
        for term, count in counts.items()
    }
    parts = [_parts(passage, own, terms) for passage, own in found]
    scores = [
        sum(
            term_weights[term] * ((1 if term in prose else IN_CODE) + HEADED * (term in head))
            for term in own & term_weights.keys()
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
    """(terms of the first line, terms outside of code blocks)"""
    head = set(terms(passage.partition("\n")[0]))
    return head, set(terms(_CODE.sub("", passage))) if _FENCE.search(passage) else own


def passages(text: str, terms: Terms) -> Iterator[tuple[str, Set[str]]]:
    """(passage, its distinct terms): sections, the long ones by paragraph, short ones merged."""
    for section in sections(text):
        whole = set(terms(section))
        if len(whole) <= LONG:
            yield section, whole
            continue
        short, merged = "", set[str]()
        for each in _paragraphs(section):
            own = set(terms(each))
            if len(own) < SHORT and len(merged) < SHORT:
                short, merged = f"{short}\n\n{each}".strip(), merged | own
                continue
            if short:
                yield short, merged
            short, merged = ("", set()) if len(own) >= SHORT else (each, own)
            if not short:
                yield each, own
        if short:
            yield short, merged


def _paragraphs(section: str) -> Iterator[str]:
    """The section split at empty lines; a code block stays whole, and a heading or a line that ends
    with a colon stays with the next paragraph."""
    lines: list[str] = []
    fenced = False
    for line in section.splitlines():
        fenced ^= _FENCE.match(line) is not None
        last = next((each for each in reversed(lines) if each.strip()), ":")
        ends = not line.strip() and not fenced and not last.rstrip("*_").endswith(":")
        if ends and _has_text(lines):
            yield "\n".join(lines).strip()
            lines = []
        lines.append(line)
    if _has_text(lines):
        yield "\n".join(lines).strip()


def sections(text: str) -> Iterator[str]:
    """Each heading with the text up to the next one; lines of code blocks are no headings."""
    lines: list[str] = []
    fenced = False
    for line in text.strip().splitlines():
        fenced ^= _FENCE.match(line) is not None
        if not fenced and _HEADING.match(line) and _has_text(lines):
            yield "\n".join(lines).strip()
            lines = []
        lines.append(line)
    if lines:
        yield "\n".join(lines).strip()


def _is_a_sentence(passage: str) -> bool:
    """Whether it has one line beside headings: an introduction or a closing remark."""
    lines = passage.splitlines()
    return sum(bool(line.strip()) and not _HEADING.match(line) for line in lines) == 1


def _has_text(lines: list[str]) -> bool:
    """Whether any line is neither empty nor a heading; a lone heading joins the next section."""
    return any(line.strip() and not _HEADING.match(line) for line in lines)
