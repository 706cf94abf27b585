"""Finds candidates by name, role and label, beside the text's ranking, and says why.

Every source of candidates gives points to entries; an entry's score is their sum. The sources are
small pure functions, so that a reasoning can be built from the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..catalog.index import Index, Segment
from ..catalog.sections import shape
from ..errors import InvalidParams
from ..records import Kind, ResolvedRole
from ..text import Terms, fold_name
from .compounds import is_known
from .rank import Ranking
from .spelling import MANY, near_labels, near_names, nearest_name

EXACT_LABEL = 1.0
NEAR_LABEL = 0.5
NEAR_LABEL_FROM = 80  # per cent of likeness
EXACT_NAME = 1.0
MOST_WORDS = 8  # in a name
ROLE_PRIMARY, ROLE_STEP = 1.0, 0.1


@dataclass(slots=True)
class Points:
    """Scores by entry, and one phrase for each rule that gave points to an entry."""

    scores: dict[int, float] = field(default_factory=dict)
    why: dict[int, list[str]] = field(default_factory=dict)

    def give(self, place: int, score: float, why: str = "") -> None:
        self.scores[place] = self.scores.get(place, 0.0) + score
        if why:
            self.why.setdefault(place, []).append(why)

    def ranked(self) -> list[int]:
        """Places by score, the highest first; ties by position."""
        return sorted(sorted(self.scores), key=self.scores.__getitem__, reverse=True)


def by_text(points: Points, ranking: Ranking) -> None:
    scores = points.scores
    if not scores:
        scores.update({hit.place: hit.relative for hit in ranking.hits})
        return
    for hit in ranking.hits:
        scores[hit.place] = scores.get(hit.place, 0.0) + hit.relative


def by_label(points: Points, segment: Segment, capability: str) -> bool:
    """Points for entries with this very label (capability, tag, keyword or category), and True;
    else for entries with labels spelt alike, and False."""
    wanted = fold_name(capability)
    exact = segment.labels.get(wanted, [])
    for place in exact:
        points.give(place, EXACT_LABEL, f"has the capability '{capability}'")
    if exact or len(wanted) < 3:
        return bool(exact)
    given: set[int] = set()
    labels = segment.labels.strings
    known = map(labels.at, labels.beginning("" if len(labels) <= MANY else wanted[0]))
    for label, likeness in near_labels(wanted, known, NEAR_LABEL_FROM):
        for place in segment.labels[label]:
            if place not in given:
                given.add(place)
                points.give(place, NEAR_LABEL * likeness, f"has the capability '{label}'")
    return False


def is_like_a_name(segment: Segment, text: str) -> bool:
    """Whether some name has the text's first letter and number of words; else the text cannot be a
    name, not even a misspelt one."""
    key = _name_key(text)
    is_nested = text.count(":") > 1
    return is_nested or (key != "" and shape(key) in segment.by_name.strings.shapes(key[0]))


def by_name(segment: Segment, text: str) -> list[int]:
    """Entries whose whole name, `plugin:name`, file stem, `/command` or `$skill` the text is."""
    key = _name_key(text)
    places = segment.by_name.find(key) if key.strip(":") else []
    if not places and text.count(":") > 1:  # `plugin:folder:name`, as hosts may say
        plugin, *_, name = text.split(":")
        return segment.by_name.find(_name_key(f"{plugin}:{name}"))
    return places


def no_entry(index: Index, kind: Kind, name: str, bare: str) -> InvalidParams:
    """The error for a name that no entry of the kind has, with other kinds and similar names."""
    others = [(each, at) for each in index.segments.values() for at in by_name(each, bare)]
    near = [f"the {each.kind} {each.position.at(at)}" for each, at in others if each.kind != kind]
    near += near_names(index.segments[kind], [bare.casefold()])
    cure = f"Did you mean {', '.join(near)}?" if near else "A query finds the names."
    why = f"there is no {kind} {name}"
    return InvalidParams({"name": f"{why}; d{cure[1:]}" if near else why}, f"T{why[1:]}.", cure)


def by_near_name(segment: Segment, text: str, terms: Terms) -> tuple[str, list[int]]:
    """The name that the text misspells, and its entries; ("", []) without one.

    Several plain words are a name only if the misspelt ones among them are unknown words.
    """
    asked = _name_key(text)
    words = asked.replace(":", " ").split()
    if len(words) > MOST_WORDS:
        return "", []
    name = nearest_name(segment, asked)
    if name is None:
        return "", []
    if not _is_spelt_as_a_name(text):
        misspelt = {*words}.difference(name.replace(":", " ").split())
        if not misspelt or not all(_is_unknown(segment, word, terms) for word in misspelt):
            return "", []
    return name, segment.by_name[name]


def _name_key(text: str) -> str:
    asked = text.strip().lstrip("/$@")
    plugin, colon, name = asked.partition(":")
    return f"{fold_name(plugin)}:{fold_name(name)}" if colon else fold_name(asked)


def _is_spelt_as_a_name(text: str) -> bool:
    """Whether it has a slash, colon, hyphen or underscore, and no space."""
    asked = text.strip()
    return " " not in asked and any(sign in asked for sign in "/:-_")


def _is_unknown(segment: Segment, word: str, terms: Terms) -> bool:
    """Whether no entry mentions the word, and it is neither a stop word nor a known word."""
    word_terms = terms(word)
    return bool(word_terms) and not any(
        segment.find_term(term) is not None or is_known(segment, term) for term in word_terms
    )


def by_role(index: Index, role: str) -> ResolvedRole | None:
    return index.roles.get(fold_name(role))


def role_points(resolved: ResolvedRole) -> Iterable[tuple[int, float]]:
    """The role's agents that exist, the primary first."""
    for step, place in enumerate(resolved.agents):
        yield place, max(0.1, ROLE_PRIMARY - ROLE_STEP * step)
