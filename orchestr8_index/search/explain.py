"""Explains a score by lines that add up to it: rules, words by field, meaning, experience.

A word's points are divided among the fields by their share of its frequency, which is counted again
in the entry's own text, as postings do not have fields.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from ..catalog.bm25f import FIELD_B, FIELD_WEIGHT, FIELDS, QUERY_SCALE
from ..catalog.clones import fold
from ..catalog.index import Index, Segment
from ..queries import Standing, StandingQuery, TermPoints
from ..records import Entry, Experience
from ..text import Terms
from .candidates import by_name, no_entry
from .query import Query, Word
from .rank import Hit, Ranking, contributions, rank

MEANING = "near in meaning"
PARTS = 1_000_000  # points are whole millionths, so that they add up
LACKING = 5  # words


def explain(
    segment: Segment,
    rankings: Iterable[Ranking],
    place: int,
    score: float,
    rules: Sequence[str],
    past: str = "",
) -> list[TermPoints]:
    """The lines of one row, which sum to `score`: rules, then each ranking's words by points.

    `past` describes the entry's past tasks, for the line of what experience changed.
    """
    entry = segment.entry(place)
    fields = FieldShares(segment, entry, segment.text(place))
    lines: list[TermPoints] = []
    for ranking in rankings:
        for hit in ranking.hits:
            if hit.place == place:
                lines += _of_text(segment, ranking, hit, fields, past)
    whole = round(score * PARTS)
    rest = whole - sum(round(line.points * PARTS) for line in lines)
    if rules or not lines:
        return [TermPoints("; ".join(rules) or "role", rest / PARTS), *lines]
    return _with_remainder(lines, rest)


def _with_remainder(lines: list[TermPoints], rest: int) -> list[TermPoints]:
    """Add the remainder of rounding to the first line, and to its first field."""
    first = lines[0]
    fields = dict(first.fields)
    for name in list(fields)[:1]:
        fields[name] = _plus(fields[name], rest)
    return [TermPoints(first.term, _plus(first.points, rest), first.weight, fields), *lines[1:]]


def _plus(points: float, millionths: int) -> float:
    return (round(points * PARTS) + millionths) / PARTS


def _of_text(
    segment: Segment, ranking: Ranking, hit: Hit, fields: FieldShares, past: str
) -> Iterable[TermPoints]:
    query = ranking.query
    whole, place, rest = query.highest, hit.place, hit.score
    for word, points_given in contributions(segment, query, place):
        rest -= points_given
        points = _rounded(points_given / whole)
        weight = round(word.weight / QUERY_SCALE, 4)
        yield TermPoints(_shown(word), points, weight, fields.of(word, points))
    if meaning := ranking.meant.get(place, 0):
        rest -= meaning
        yield TermPoints(MEANING, _rounded(meaning / whole))
    if rest:
        yield TermPoints(f"experience: {past or 'its other tasks'}", _rounded(rest / whole))


def _shown(word: Word) -> str:
    return f"{word.asked}, read from '{word.read_from}'" if word.read_from else word.asked


class FieldShares:
    """How the points of a word divide among the fields of one entry."""

    def __init__(self, segment: Segment, entry: Entry, body: str) -> None:
        split = Terms()
        self._counts: list[Counter[str]] = []
        self._per_occurrence: list[float] = []
        parts = zip(
            (entry.name, entry.described, body), FIELD_WEIGHT, FIELD_B, segment.lengths, strict=True
        )
        for text, weight, b, average in parts:
            terms = split(text)
            pairs = (f"{one} {two}" for one, two in pairwise(terms))
            self._counts.append(Counter(terms) + Counter(pairs))
            self._per_occurrence.append(weight / (1 - b + b * len(terms) / max(average, 1e-9)))

    def of(self, word: Word, points: float) -> dict[str, float]:
        """Points by field; fields without the word are left out."""
        counted = zip(self._counts, self._per_occurrence, strict=True)
        shares = [counts[word.term] * weight for counts, weight in counted]
        whole = sum(shares)
        return {
            name: _rounded(points * share / whole)
            for name, share in zip(FIELDS, shares, strict=True)
            if share
        }


def _rounded(points: float) -> float:
    return round(points * PARTS) / PARTS


# --- the standing of one entry -----------------------------------------------------------------


def standing_of(
    index: Index, asked: StandingQuery, terms: Terms, experience: Experience | None = None
) -> Standing:
    """The place and score of the entry named, else of the first hit, with their explanation.

    Raises InvalidParams with similar names for a name that no entry has.
    """
    segment = index.segments[asked.kind]
    ranking = rank(segment, asked.task, terms, experience, segment.size)
    scores = {hit.place: round(hit.relative, 4) for hit in ranking.hits}
    first = next(iter(scores), None)
    found = by_name(segment, asked.name)
    if asked.name and not found:
        raise no_entry(index, asked.kind, asked.name, asked.name)
    named = found[0] if found else first
    if named is None:
        return Standing("", "", 0, 0.0, "", 0.0, [], lacking_words(segment, ranking.query, None))
    entry, score, place, lines = segment.entry(named), scores.get(named, 0.0), 0, []
    if named in scores:
        place = [*fold(segment, iter(scores)), named].index(named) + 1
        past = "what was learnt" if experience else ""
        lines = explain(segment, [ranking], named, score, [], past)
    return Standing(
        entry=entry.qualified,
        path=entry.path,
        place=place,
        score=score,
        first="" if first is None else segment.entry(first).qualified,
        first_score=0.0 if first is None else scores[first],
        lines=lines,
        lacking=lacking_words(segment, ranking.query, named),
    )


def lacking_words(segment: Segment, query: Query, place: int | None) -> list[str]:
    """The question's words of the highest weights that the entry does not have, as asked."""
    matched = set() if place is None else {w.term for w, _ in contributions(segment, query, place)}
    words = sorted(query.own, key=lambda word: (-word.weight, word.term))
    return [word.asked for word in words if word.term not in matched][:LACKING]
