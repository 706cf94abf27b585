"""What was probably meant? Near terms and near names, asked only when a word is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .index import Segment

MIN_LENGTH, TWO_EDITS_FROM = 6, 10


def nearest_term(segment: Segment, term: str) -> tuple[str, int] | None:
    """The likeliest known spelling, one edit away (two for long terms), same first letter.

    Of several equally near, the one in most entries, then the first by alphabet.
    """
    if len(term) < MIN_LENGTH or not term.isalpha():
        return None
    from rapidfuzz.distance import OSA  # 4 MB: loaded at the first misspelling

    allowed = 1 if len(term) < TWO_EDITS_FROM else 2
    near = []
    for known, place in segment.terms_between(term[0], chr(ord(term[0]) + 1)):
        if abs(len(known) - len(term)) <= allowed:
            distance = OSA.distance(known, term, score_cutoff=allowed)
            if distance <= allowed:
                near.append((distance, -segment.terms.df[place], known, place))
    return min(near)[2:] if near else None


def near_names(segment: Segment, words: Sequence[str], most: int = 3) -> list[str]:
    """Qualified names of the entries whose names look most like the words asked for."""
    from rapidfuzz import fuzz, process

    names = [name for _, name, _ in segment.names]
    asked = " ".join(words)
    if not asked or not names:
        return []
    found = process.extract(asked, names, scorer=fuzz.token_set_ratio, limit=most, score_cutoff=60)
    return [segment.entry(place).qualified for _, _, place in found]


def near_labels(label: str, known: Iterable[str], cutoff: float) -> list[tuple[str, float]]:
    """Known labels like `label`, with their likeness in [0, 1], best first."""
    from rapidfuzz import fuzz, process

    found = process.extract(label, list(known), scorer=fuzz.ratio, limit=20, score_cutoff=cutoff)
    ranked = [(name, score / 100) for name, score, _ in found if name != label]
    return sorted(ranked, key=lambda pair: (-pair[1], pair[0]))
