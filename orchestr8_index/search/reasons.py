"""Sentences on why these entries were found, or none, built from the numbers that ranked them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from ..catalog.index import Index, Segment
from ..fit import quoted
from ..places import TITLES, is_foreign_to
from ..records import PLURAL, Entry, Kind, ResolvedRole
from .query import Word
from .rank import Ranking, contributions
from .search import Search

NAMED_TERMS, NAMED_ROLES = 4, 12
NAMED_READINGS, NAMED_WORDS = 3, 2
NAMED_WORDS_READ, QUOTED_WORDS = 6, 6
ASK_IN_ENGLISH = "The entries are in English: a question in English is answered better."


def of_role(resolved: ResolvedRole, segment: Segment) -> str:
    role = resolved.role
    names = [segment.entry(place).qualified for place in resolved.agents]
    sentence = f"Role {role.name}: " + (", then ".join(names) if names else "no agent of it exists")
    if resolved.missing:
        sentence += f"; missing: {', '.join(resolved.missing)}"
    return sentence + "."


def no_role(role: str, index: Index) -> str:
    if not index.roles:
        return f"No registry names roles here; {quoted(role)} was searched as text."
    known = [resolved.role.name for resolved in index.roles.values()]
    listed = ", ".join(known[:NAMED_ROLES]) + (", …" if len(known) > NAMED_ROLES else "")
    return f"The registry has no role {quoted(role)} (it has {listed}); it was searched as text."


def of_hits(search: Search, chosen: list[tuple[int, Entry]]) -> list[str]:
    """The first hit's rules and strongest terms, its distance to the second, what was unknown."""
    place, entry = chosen[0]
    if search.role is not None and place in search.first and not search.rankings:
        return []
    score = search.points.scores[place]
    parts = [f"{entry.qualified} scores {score:.2f}"]
    given = [
        each
        for ranking in search.rankings
        for each in contributions(search.segment, ranking.query, place)
    ]
    rules = search.points.why.get(place, [])
    if terms := _strongest(given):
        rules = [*rules, "matches " + ", ".join(terms)]
    elif any(place in ranking.meant for ranking in search.rankings):
        rules = [*rules, "is near in meaning"]
    if past := experience_of(search, place, *search.rankings):
        rules = [*rules, past]
    if rules:
        parts.append(f": {'; '.join(rules)}")
    if len(chosen) > 1:
        parts.append(f"; next {chosen[1][1].name} {search.points.scores[chosen[1][0]]:.2f}")
    read = {asked for word, _ in given for asked in word.read_from.lower().split()}
    notes = [*_unknown(search, read), *_respelt(search), *_translated(search), *_read_as(given)]
    return ["".join(parts) + ".", *notes]


def _strongest(given: list[tuple[Word, int]]) -> list[str]:
    points: dict[str, int] = {}
    for word, of_word in given:
        if not word.is_pair:
            points[word.asked] = points.get(word.asked, 0) + of_word
    return sorted(points, key=lambda term: (-points[term], term))[:NAMED_TERMS]


def experience_of(search: Search, place: int, *rankings: Ranking) -> str:
    """How many tasks the entry has won, and a similar one; "" if none has a word of the query."""
    known, kind = search.experience, search.segment.kind
    if known is None or not known.wins[kind]:
        return ""
    entry = search.segment.entry(place).qualified
    terms = {word.term for ranking in rankings for word in ranking.query.words}
    words = known.words[kind].get(entry, ())
    if not any(term in words for term in terms):  # an entry may have thousands
        return ""
    past, wins = known.alike(kind, entry, terms), known.wins[kind].get(entry, 0)
    like = (f", one of them {quoted(past)}" if wins > 1 else f", {quoted(past)}") if past else ""
    lender = known.whose(kind, entry)
    where = f" in the project {lender}" if lender else ""
    return f"has won {wins} task{'s' * (wins != 1)}{where}{like}"


def _words(search: Search) -> list[Word]:
    words = (word for ranking in search.rankings for word in ranking.query.words)
    return [word for word in words if not word.is_pair]


def _unknown(search: Search, read: Collection[str] = ()) -> list[str]:
    """`read`: words that no entry mentions, but that the lexicon reads as others."""
    every = _words(search)
    words = [word.asked for word in every if word.place is None and not word.read_from]
    if not words:
        return []
    known = {word.asked for word in every if word.place is not None}
    unknown = dict.fromkeys(asked for asked in words if asked not in known and asked not in read)
    return [f"No {search.segment.kind} mentions {_quoted(list(unknown))}."] if unknown else []


def _translated(search: Search) -> list[str]:
    """How a question in another language was translated, and that English is answered better."""
    read = dict.fromkeys(each for ranking in search.rankings for each in ranking.query.translated)
    if not read:
        return []
    words = [f"{quoted(each.shown)} as {quoted(each.english)}" for each in read if each.english]
    if not words:
        return [ASK_IN_ENGLISH]
    return [f"Read {', '.join(words[:NAMED_WORDS_READ])} word by word. {ASK_IN_ENGLISH}"]


def _respelt(search: Search) -> list[str]:
    words = (word for ranking in search.rankings for word in ranking.query.words)
    changed = {word.asked: word.term for word in words if word.instead_of}
    return [f"Read {quoted(wrong)} as {quoted(right)}." for wrong, right in changed.items()]


def _read_as(given: list[tuple[Word, int]]) -> Iterator[str]:
    """What the lexicon added to the question, as far as the entry has it."""
    read: dict[str, list[str]] = {}
    for word, _ in given:
        if word.read_from and word.asked not in read.setdefault(word.read_from, []):
            read[word.read_from].append(word.asked)
    for asked, words in islice(read.items(), NAMED_READINGS):
        named = " and ".join(map(quoted, words[:NAMED_WORDS]))
        yield f"Read {quoted(asked)} as {named}."


def of_none(search: Search, kind: Kind, has_candidates: bool) -> str:
    if has_candidates and search.confidence < search.least:
        sentence = (
            f"The best match has a confidence of {search.confidence:.3f}, below {search.least:g}."
        )
        return " ".join([*_unknown(search), *_translated(search), sentence])
    if search.segment.size == 0:
        return f"The index has no {PLURAL[kind]}."
    words = _words(search)
    if search.role is not None and not words:
        return "Nobody plays it."
    if not words:
        return "The question has no words to search for: it says only what every request says."
    unknown = f"No {kind} mentions {_quoted(list(dict.fromkeys(word.asked for word in words)))}."
    return " ".join([unknown, *_translated(search)])


def of_left_out(search: Search, best: Entry) -> str:
    """Why entries that match, `best` first, are not shown."""
    choice = search.choice
    if names := [n for n in ("plugins", "models", "tools", "tags") if getattr(choice, n)]:
        return f"Entries match, but none passes the filters on {', '.join(names)}."
    if choice.host and is_foreign_to(best, choice.host):
        others = ", ".join(TITLES[owner] for owner in best.owners)
        title = TITLES.get(choice.host, choice.host)
        return f"{best.qualified} matches, but {title} does not load it: it is {others}'s."
    return f"{best.qualified} matches, but only the user may start it."


def _quoted(words: list[str]) -> str:
    shown, more = [quoted(word) for word in words[:QUOTED_WORDS]], len(words) - QUOTED_WORDS
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
