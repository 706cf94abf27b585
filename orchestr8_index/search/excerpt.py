"""What does one entry say, within a budget? Its text, cut at a heading or a paragraph."""

from __future__ import annotations

import re

from ..catalog.index import Index, Segment
from ..errors import InvalidParams
from ..queries import EntryQuery, Excerpt
from ..tokens import ESTIMATING, Tokenizer
from .spelling import near_names

_BREAKS = (re.compile(r"\n(?=#{1,6} )"), re.compile(r"\n\s*\n"), re.compile(r"\n"))


def get_entry(index: Index, query: EntryQuery, tokens: Tokenizer = ESTIMATING) -> Excerpt:
    """Raises InvalidParams with near names when there is no such entry."""
    segment = index.segments[query.kind]
    place = segment.find(query.plugin, query.name)
    if place is None:
        raise InvalidParams({"name": _unknown(segment, query)})
    entry, whole = segment.entry(place), segment.text(place).strip()
    text = whole if query.max_tokens is None else cut_to(whole, query.max_tokens, tokens)
    return Excerpt(entry.kind, entry.plugin, entry.name, text, tokens(text), text != whole)


def cut_to(text: str, max_tokens: int, tokens: Tokenizer = ESTIMATING) -> str:
    """The longest beginning within the budget, ended at a heading, a paragraph or a line.

    The first of these that uses at least half of the budget; else it ends where the budget does.
    """
    if tokens(text) <= max_tokens:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tokens(text[:middle]) <= max_tokens else (low, middle - 1)
    for pattern in _BREAKS:
        ends = [match.start() for match in pattern.finditer(text, 0, low)]
        if ends and ends[-1] * 2 >= low:
            return text[: ends[-1]].rstrip()
    return text[:low].rstrip()


def _unknown(segment: Segment, query: EntryQuery) -> str:
    near = near_names(segment, [query.name.casefold()])
    meant = f"; did you mean {', '.join(near)}?" if near else ""
    return f"there is no {query.kind} {query.plugin}:{query.name}{meant}"
