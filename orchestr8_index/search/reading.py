"""Reads a question: its own words, compounds made one, and what the lexicon says they stand for.

Nothing is added that the catalogue does not have. Every word knows what it was read from, so that
an answer can say "Read 'tf' as 'terraform'".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from ..catalog.index import Segment
from ..lexicon.languages import Read, is_plain, languages
from ..lexicon.readings import Meaning, meanings
from ..text import Terms, raw_words
from .compounds import Past, Token, apart, in_table, joined_too, says, tokens
from .spelling import nearest_term

STANDS_FOR = {"short": 0.5, "product": 0.4, "file": 0.5, "symptom": 0.5, "error": 0.8}
"""What the first word of a meaning weighs, against a word of the asker's own."""
INSTEAD = 0.8  # the same where the asker's word says nothing to this catalogue
TOLD = 0.4  # a word that told a symptom, or of a file's name, against one that stands for itself
IN_MESSAGE, IN_NAME = 0.7, 0.3  # a word of an error's message, a part of one of its CamelCase names
IN_ERROR, ERRORS = 0.1, ("Error", "Exception", "Warning")  # a part of the error's own name
SHORT = 3  # letters; words of so few may be another language's articles
FALL = 0.7  # each further word of a meaning, against the one before


class StandIn(NamedTuple):
    """A term that `read_from` stands for; `shown` is the term as a word.

    `in_full`: it counts as much in a long question and a large catalogue.
    """

    term: str
    shown: str
    read_from: str
    share: float
    in_full: bool


class Reading(Struct, frozen=True):
    """`tokens` in the order of the question; `pairs` are compounds that entries write apart.

    `translated`: of a question in another language its words, with their English.
    """

    tokens: list[Token]
    pairs: list[Token]
    stand_ins: list[StandIn]
    translated: Sequence[Read] = ()


def read(segment: Segment, text: str, terms: Terms, past: Past) -> Reading:
    """A word that says nothing to the catalogue is left out where something stands in for it."""
    raws = raw_words(text)
    words, stems, of_words = _forms(raws, terms)
    translated = _translated(segment, raws, words, stems, of_words, terms)
    if translated:
        raws = list(_in_english(translated, terms, past))
        words, stems, of_words = _forms(raws, terms)
    found = meanings(segment.lexicon, text, raws, words, stems)
    own = list(tokens(segment, raws, words, of_words, terms, past))
    said = {token.term for _, token in own}.union(*of_words)
    kept, stand_ins = [token for _, token in own], list[StandIn]()
    if found:
        kept, stand_ins = _interpreted(segment, found, own, raws, said, terms, past)
    compounds = in_table(segment, words)
    for token in joined_too(segment, compounds, terms, said):
        stand_ins.append(StandIn(token.term, token.term, token.asked, INSTEAD, True))
    return Reading(kept, list(apart(segment, words, compounds, terms)), stand_ins, translated)


def _forms(raws: Sequence[str], terms: Terms) -> tuple[list[str], list[str], list[tuple[str, ...]]]:
    """The words folded, their stems, and the terms of each."""
    forms = terms.forms(raws)
    return [form[0] for form in forms], [form[1] for form in forms], [form[2] for form in forms]


def _interpreted(
    segment: Segment,
    found: Sequence[Meaning],
    own: list[tuple[int, Token]],
    raws: Sequence[str],
    said: set[str],
    terms: Terms,
    past: Past,
) -> tuple[list[Token], list[StandIn]]:
    """What is left of the asker's own words where some have a meaning, and what stands for it."""
    silent = [m for m in found if m.places and not _is_heard(segment, m, raws, terms, past)]
    stand_ins = _stand_ins(segment, found, silent, said, terms, past)
    read_as = {each.read_from for each in stand_ins}
    left = {place for m in silent if m.shown in read_as for place in m.places}
    left.update(place for m in found for place in m.places[1:] if raws[place].isdigit())
    own = [(at, token) for at, token in own if at not in left]
    if any(meaning.kind == "error" for meaning in found):
        named = {place for meaning in found for place in meaning.places}
        kept = [token if at in named else _in_message(token, raws[at]) for at, token in own]
    else:
        told = _told(segment, found, terms)
        kept = [_weighed(told, token, at) for at, token in own]
    return kept, stand_ins


def _weighed(told: Mapping[int, Collection[str]], token: Token, place: int) -> Token:
    weak = place in told and token.term not in told[place]
    return token._replace(share=TOLD) if weak else token


def _in_message(token: Token, raw: str) -> Token:
    if token.asked == raw.lower():
        return token._replace(share=IN_MESSAGE)
    return token._replace(share=IN_ERROR if raw.endswith(ERRORS) else IN_NAME)


def _told(segment: Segment, found: Sequence[Meaning], terms: Terms) -> dict[int, set[str]]:
    """The places of words that told a symptom, and the terms that it stands for, which count in
    full: a slow query is a matter of queries, but a slow site of performance."""
    told: dict[int, set[str]] = {}
    for meaning in found:
        words = segment.lexicon.split(meaning.words, terms) if meaning.triggers else []
        for place in meaning.triggers:
            told.setdefault(place, set()).update(term for _, of in words for term in of)
    return told


def _translated(
    segment: Segment,
    raws: Sequence[str],
    words: Sequence[str],
    stems: Sequence[str],
    of_words: Sequence[tuple[str, ...]],
    terms: Terms,
) -> list[Read]:
    """Empty for a question in English, or in the language of the catalogue.

    Whether a word is heard is asked first: it is known, and whether it is English costs 8 µs.
    """
    every = [each for each in zip(raws, words, stems, of_words, strict=True) if each[3]]
    for raw, word, stem, of_word in every:
        is_heard = len(word) > SHORT and None not in map(segment.find_term, of_word)
        if not is_heard and not is_plain(raw, word, stem):
            break
    else:
        return []
    strange = [(word, of) for raw, word, stem, of in every if not is_plain(raw, word, stem)]
    known = languages()
    names, shapes = segment.lexicon.terms, segment.lexicon.shapes  # of products; of messages
    pairs = zip(raws, words, strict=True)
    said = [pair for pair in pairs if pair[1] not in shapes and not known.is_name(pair[1], names)]
    if not known.is_foreign(said, terms.stem, lambda t: nearest_term(segment, t) is not None):
        return []
    asked = [term for word, of in strange if not known.is_name(word, names) for term in of]
    heard = sum(segment.find_term(term) is not None for term in asked)
    if asked and 2 * heard >= len(asked):
        return []
    read = known.read(raws, words, names)
    if any(each.english for each in read):
        return read
    return [each._replace(english=None) for each in read]  # who reads nothing takes nothing away


def _in_english(translated: Sequence[Read], terms: Terms, past: Past) -> Iterator[str]:
    """What was learnt of a word as it stands is not lost."""
    for each in translated:
        words = each.shown.split()
        if each.english is None or any(t in past for w in words for t in terms.of_word(w)):
            yield from words
        if each.english:
            yield from each.english.split()


def _is_heard(
    segment: Segment, meaning: Meaning, raws: Sequence[str], terms: Terms, past: Past
) -> bool:
    """Whether the catalogue has any of the words that the meaning was read from."""
    words = (terms.of_word(raws[place]) for place in meaning.places)
    return any(says(segment, term, past) for of in words for term in of)


def _stand_ins(
    segment: Segment,
    found: Sequence[Meaning],
    silent: Sequence[Meaning],
    own: set[str],
    terms: Terms,
    past: Past,
) -> list[StandIn]:
    """The weightiest of each term; none that the question has itself."""
    best: dict[str, StandIn] = {}
    for meaning in found:
        instead = meaning in silent
        is_name = instead and meaning.kind != "file"
        share = INSTEAD if is_name else STANDS_FOR[meaning.kind]
        in_full = instead or meaning.kind == "error"
        for word, of_word in segment.lexicon.split(meaning.words, terms):
            for term in of_word:
                if term in own or not says(segment, term, past):
                    continue
                if term not in best or best[term].share < share:
                    best[term] = StandIn(term, word, meaning.shown, share, in_full)
            share *= FALL
    return list(best.values())
