"""Which entries are the same thing in several plugins? The same name and nearly the same text.

The same folded name, with or without the plugin's name before it, and term sets that overlap by at
least SAME. In collections that copy agents between plugins such pairs overlap by .97 and more, all
others of one name by less than .7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set

from ..records import Entry
from .index import Segment

SAME = 0.8


def find_clones(
    names: Sequence[tuple[str, ...]], terms_of: Callable[[int], set[int]]
) -> list[list[int]]:
    """Groups of two and more positions, each in order; `names` are folded, plugin first."""
    named: dict[str, list[int]] = {}
    for place, (plugin, name, *_) in enumerate(names):
        named.setdefault(name.removeprefix(f"{plugin} ") or name, []).append(place)
    groups: list[list[int]] = []
    for places in named.values():
        if len(places) > 1:
            groups += _near_equal(places, terms_of)
    return sorted(groups)


def _near_equal(places: Iterable[int], terms_of: Callable[[int], set[int]]) -> list[list[int]]:
    """Each place joins the first group whose first member has an overlap of SAME or more."""
    groups: list[tuple[set[int], list[int]]] = []
    for place in places:
        own = terms_of(place)
        group = next((places for first, places in groups if overlap(own, first) >= SAME), None)
        if group is None:
            groups.append((own, [place]))
        else:
            group.append(place)
    return [group for _, group in groups if len(group) > 1]


def overlap(one: Set[object], other: Set[object]) -> float:
    """The Jaccard index of two sets; 1 if both are empty."""
    return len(one & other) / len(one | other) if one or other else 1.0


def fold(segment: Segment, places: Iterable[int]) -> Iterable[int]:
    """The places, best first, without those of which a clone came before."""
    taken: set[int] = set()
    for place in places:
        if place not in taken:
            taken.update(segment.clones(place))
            yield place


def also(segment: Segment, place: int, passes: Callable[[Entry], bool]) -> list[str]:
    """The qualified names of an entry's clones that pass the filters, sorted."""
    others = (segment.entry(p) for p in segment.clones(place) if p != place)
    return sorted(entry.qualified for entry in others if passes(entry))
