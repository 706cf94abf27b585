"""Which entries are the same thing in several plugins? The same name and nearly the same text.

The same folded name, with or without the plugin's name before it, and term sets that overlap by at
least SAME. In collections that copy agents between plugins such pairs overlap by .97 and more, all
others of one name by less than .7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..records import Entry
from ..text import Terms, fold_name
from .index import Segment

SAME = 0.8


def find_clones(rows: Sequence[tuple[Entry, str]]) -> list[list[int]]:
    """Groups of two and more positions, each in order; `rows` are entries with their text."""
    terms = Terms(bound=1 << 16)
    named: dict[str, list[int]] = {}
    for place, (entry, _) in enumerate(rows):
        named.setdefault(_bare_name(entry), []).append(place)
    groups: list[list[int]] = []
    for places in named.values():
        if len(places) > 1:
            groups += _near_equal(places, lambda place: set(terms(rows[place][1])))
    return sorted(groups)


def _bare_name(entry: Entry) -> str:
    name = fold_name(entry.name)
    return name.removeprefix(fold_name(entry.plugin) + " ") or name


def _near_equal(places: Iterable[int], terms_of: Callable[[int], set[str]]) -> list[list[int]]:
    """Each joins the first group whose first member it equals nearly."""
    groups: list[tuple[set[str], list[int]]] = []
    for place in places:
        own = terms_of(place)
        group = next((places for first, places in groups if overlap(own, first) >= SAME), None)
        if group is None:
            groups.append((own, [place]))
        else:
            group.append(place)
    return [group for _, group in groups if len(group) > 1]


def overlap(one: set[str], other: set[str]) -> float:
    """The share of all terms that both have; two empty texts are equal."""
    return len(one & other) / len(one | other) if one or other else 1.0


def fold(segment: Segment, places: Iterable[int]) -> Iterable[int]:
    """Without those of whose group a better one came before."""
    taken: set[int] = set()
    for place in places:
        if place not in taken:
            taken.update(segment.clones(place))
            yield place


def also(segment: Segment, place: int, passes: Callable[[Entry], bool]) -> list[str]:
    """The qualified names of an entry's clones that pass the filters, sorted."""
    others = (segment.entry(p) for p in segment.clones(place) if p != place)
    return sorted(entry.qualified for entry in others if passes(entry))
