"""The text of one entry within a token budget, cut at a heading, a paragraph or a line."""

from __future__ import annotations

import re

from ..catalog.index import Index
from ..errors import InvalidParams
from ..places import DEFAULT_HOST, call_of
from ..queries import EntryQuery, Excerpt
from ..tokens import ESTIMATING, Tokenizer
from .candidates import no_entry

FOR_PEOPLE = "only the user may start it: leave it to them, or read it with user_only: true"
_BREAKS = (re.compile(r"\n(?=#{1,6} )"), re.compile(r"\n\s*\n"), re.compile(r"\n"))


def get_entry(index: Index, query: EntryQuery, tokens: Tokenizer = ESTIMATING) -> Excerpt:
    """An entry's text, cut to the query's budget. Raises InvalidParams, with similar names, when
    there is no such entry, and when only the user may start it and the query excludes these."""
    segment = index.segments[query.kind]
    place = segment.find(query.plugin, query.name)
    if place is None:
        raise no_entry(index, query.kind, f"{query.plugin}:{query.name}", query.name)
    if query.user_only is False and segment.entry(place).for_people:
        raise InvalidParams({"name": FOR_PEOPLE})
    entry, whole = segment.entry(place), segment.text(place).strip()
    text = whole if query.max_tokens is None else cut_to(whole, query.max_tokens, tokens)
    call = call_of(entry, query.host or DEFAULT_HOST)
    return Excerpt(
        *(entry.kind, entry.plugin, entry.name, text, tokens(text), text != whole),
        call="" if call == entry.name else call,
        user_only=entry.for_people,
    )


def cut_to(text: str, max_tokens: int, tokens: Tokenizer = ESTIMATING) -> str:
    """The longest beginning within the budget, ended at a heading, a paragraph or a line.

    The first of these that keeps at least half of what fits; else the cut is at the budget.
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
