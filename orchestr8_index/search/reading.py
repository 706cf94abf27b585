"""Reads a question: its own words, with compounds joined, and what they stand for by the lexicon.

Only terms that the catalogue has are added. Every word keeps what it was read from, so that an
answer can say "Read 'tf' as 'terraform'".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from ..catalog.index import Segment
from ..lexicon.languages import Read, is_plain, languages
from ..lexicon.readings import Meaning, meanings
from ..text import Terms, raw_words
from .compounds import Past, Token, is_used, known_compounds, one_word_forms, tokens, two_word_forms
from .spelling import nearest_term

STANDS_FOR = {"short": 0.5, "product": 0.4, "file": 0.5, "symptom": 0.5, "error": 0.8}
"""Weight of a meaning's first word, relative to a word of the question."""
INSTEAD = 0.8  # the same where the catalogue lacks the question's word
TRIGGER = 0.4  # weight of a word that triggers a symptom, or is of a file's name
IN_MESSAGE, IN_NAME = 0.7, 0.3  # a word of an error's message, a part of one of its CamelCase names
IN_ERROR, ERRORS = 0.1, ("Error", "Exception", "Warning")  # a part of the error's own name
SHORT = 3  # letters; words of so few may be another language's articles
FALL = 0.7  # each further word of a meaning, against the one before


class StandIn(NamedTuple):
    """A term that `read_from` stands for; `shown` is the term as a word.

    `in_full`: its weight does not fall in a long question or a large catalogue.
    """

    term: str
    shown: str
    read_from: str
    share: float
    in_full: bool


class Reading(Struct, frozen=True):
    """`tokens` in the order of the question; `pairs` are compounds that entries write apart.

    `translated`: the words of a question in another language, with their English.
    """

    tokens: list[Token]
    pairs: list[Token]
    stand_ins: list[StandIn]
    translated: Sequence[Read] = ()


def read(segment: Segment, text: str, terms: Terms, past: Past) -> Reading:
    """The question's tokens and stand-ins. A word that the catalogue lacks is dropped if something
    stands in for it."""
    raws = raw_words(text)
    words, stems, word_terms = _forms(raws, terms)
    translated = _translated(segment, raws, words, stems, word_terms, terms)
    if translated:
        raws = list(_in_english(translated, terms, past))
        words, stems, word_terms = _forms(raws, terms)
    found = meanings(segment.lexicon, text, raws, words, stems)
    own = list(tokens(segment, raws, words, word_terms, terms, past))
    own_terms = {token.term for _, token in own}.union(*word_terms)
    kept, stand_ins = [token for _, token in own], list[StandIn]()
    if found:
        kept, stand_ins = _interpreted(segment, found, own, raws, own_terms, terms, past)
    compounds = known_compounds(segment, words)
    for token in one_word_forms(segment, compounds, terms, own_terms):
        stand_ins.append(StandIn(token.term, token.term, token.asked, INSTEAD, True))
    pairs = list(two_word_forms(segment, words, compounds, terms))
    return Reading(kept, pairs, stand_ins, translated)


def _forms(raws: Sequence[str], terms: Terms) -> tuple[list[str], list[str], list[tuple[str, ...]]]:
    """The words folded, their stems, and the terms of each."""
    forms = terms.forms(raws)
    return [form[0] for form in forms], [form[1] for form in forms], [form[2] for form in forms]


def _interpreted(
    segment: Segment,
    found: Sequence[Meaning],
    own: list[tuple[int, Token]],
    raws: Sequence[str],
    own_terms: set[str],
    terms: Terms,
    past: Past,
) -> tuple[list[Token], list[StandIn]]:
    """(own tokens, without replaced ones and reweighted; stand-ins for the meanings found)"""
    unused = [m for m in found if m.places and not _has_any(segment, m, raws, terms, past)]
    stand_ins = _stand_ins(segment, found, unused, own_terms, terms, past)
    read_as = {each.read_from for each in stand_ins}
    left = {place for m in unused if m.shown in read_as for place in m.places}
    left.update(place for m in found for place in m.places[1:] if raws[place].isdigit())
    own = [(at, token) for at, token in own if at not in left]
    if any(meaning.kind == "error" for meaning in found):
        named = {place for meaning in found for place in meaning.places}
        kept = [token if at in named else _in_message(token, raws[at]) for at, token in own]
    else:
        triggered = _triggered(segment, found, terms)
        kept = [_weighed(triggered, token, at) for at, token in own]
    return kept, stand_ins


def _weighed(triggered: Mapping[int, Collection[str]], token: Token, place: int) -> Token:
    weak = place in triggered and token.term not in triggered[place]
    return token._replace(share=TRIGGER) if weak else token


def _in_message(token: Token, raw: str) -> Token:
    if token.asked == raw.lower():
        return token._replace(share=IN_MESSAGE)
    return token._replace(share=IN_ERROR if raw.endswith(ERRORS) else IN_NAME)


def _triggered(segment: Segment, found: Sequence[Meaning], terms: Terms) -> dict[int, set[str]]:
    """Places of trigger words → terms of their meanings. A trigger that is one of these terms keeps
    its weight: a slow query is a matter of queries, but a slow site of performance."""
    triggered: dict[int, set[str]] = {}
    for meaning in found:
        words = segment.lexicon.split(meaning.words, terms) if meaning.triggers else []
        for place in meaning.triggers:
            triggered.setdefault(place, set()).update(term for _, of in words for term in of)
    return triggered


def _translated(
    segment: Segment,
    raws: Sequence[str],
    words: Sequence[str],
    stems: Sequence[str],
    word_terms: Sequence[tuple[str, ...]],
    terms: Terms,
) -> list[Read]:
    """The words with their English; empty for a question in English or in the catalogue's language.

    The index is asked before the test for English, which costs 8 µs a word.
    """
    every = [each for each in zip(raws, words, stems, word_terms, strict=True) if each[3]]
    for raw, word, stem, of_word in every:
        is_indexed = len(word) > SHORT and None not in map(segment.find_term, of_word)
        if not is_indexed and not is_plain(raw, word, stem):
            break
    else:
        return []
    foreign = [(word, of) for raw, word, stem, of in every if not is_plain(raw, word, stem)]
    known = languages()
    names, shapes = segment.lexicon.terms, segment.lexicon.shapes  # of products; of messages
    pairs = zip(raws, words, strict=True)
    unnamed = [p for p in pairs if p[1] not in shapes and not known.is_name(p[1], names)]
    if not known.is_foreign(unnamed, terms.stem, lambda t: nearest_term(segment, t) is not None):
        return []
    telling = (each for each in foreign if each[0] not in known.function)
    foreign_terms = [term for word, of in telling if not known.is_name(word, names) for term in of]
    indexed = sum(segment.find_term(term) is not None for term in foreign_terms)
    if foreign_terms and 2 * indexed >= len(foreign_terms):
        return []
    read = known.read(raws, words, names)
    if any(each.english for each in read):
        return read
    return [each._replace(english=None) for each in read]  # nothing translated: drop no word


def _in_english(translated: Sequence[Read], terms: Terms, past: Past) -> Iterator[str]:
    """The words in English; a foreign word that past tasks have stays beside its English."""
    for each in translated:
        words = each.shown.split()
        if each.english is None or any(t in past for w in words for t in terms.of_word(w)):
            yield from words
        if each.english:
            yield from each.english.split()


def _has_any(
    segment: Segment, meaning: Meaning, raws: Sequence[str], terms: Terms, past: Past
) -> bool:
    """Whether an entry or a past task has any of the words that the meaning was read from."""
    words = (terms.of_word(raws[place]) for place in meaning.places)
    return any(is_used(segment, term, past) for of in words for term in of)


def _stand_ins(
    segment: Segment,
    found: Sequence[Meaning],
    unused: Sequence[Meaning],
    own: set[str],
    terms: Terms,
    past: Past,
) -> list[StandIn]:
    """One stand-in per term, of the highest weight, without terms of the question itself."""
    best: dict[str, StandIn] = {}
    for meaning in found:
        instead = meaning in unused
        is_name = instead and meaning.kind != "file"
        share = INSTEAD if is_name else STANDS_FOR[meaning.kind]
        in_full = instead or meaning.kind == "error"
        for word, of_word in segment.lexicon.split(meaning.words, terms):
            for term in of_word:
                if term in own or not is_used(segment, term, past):
                    continue
                if term not in best or best[term].share < share:
                    best[term] = StandIn(term, word, meaning.shown, share, in_full)
            share *= FALL
    return list(best.values())
