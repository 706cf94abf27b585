"""Translates a question into English, word by word, by the table `languages.tsv`.

A key is a prefix of a word: the rest may have up to ENDINGS letters, or be another key, as in
compounds ("Datenbank" + "abfrage"). Chinese, Japanese and Korean text is read from left to right,
the longest key first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ..text import STOP, fold, raw_words, simplified
from .english import is_english

FILE = Path(__file__).with_name("languages.tsv")
ENDINGS = (0, 0, 0, 0, 2, 4)  # most letters, by the key's length; longer keys: LONG_ENDING
LONG_ENDING = 6
SHORTEST_PART = 4  # letters of a part of a compound
LINKS = ("s", "n", "en", "es")  # between the parts of German and Dutch compounds
LONGEST_WORD = 40  # letters; longer words are not looked up
PARTICLES = frozenset(
    """ab an auf aus bereit durch ein fehl fest herunter hinzu hoch kaputt los nach runter tot um
    vor weg zu zuruck zusammen aan af door in neer op uit vast""".split()
)
CONJUNCTIONS = frozenset("und oder wenn weil sobald nachdem seit en of als omdat sinds".split())
APART = 8  # words between a verb and its particle, at most
_STROKES = str.maketrans("łøđı", "lodi")
NOTHING = "-"  # replaces a particle that was joined to its verb
_INFLECTED = re.compile(f"({'|'.join(sorted(PARTICLES, key=len, reverse=True))})(?:ge|zu)(.+)")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
_NAME, _LATIN, _NONE = map(re.compile, ("[A-Z]{2,}", "[A-Za-z]{2,}", r"\b\B"))
_MARKED = re.compile("[^\\x00-\\x7féèêëïâ]")  # "café" and "naïve" are English, too
_SYLLABLE = re.compile(r"[\u3040-\u309f\u30fc\uac00-\ud7af]")
_RUN = re.compile(f"({_IDEOGRAPH.pattern}+)")


class Read(NamedTuple):
    """One word of a question, or the words of one key, and its English: "" drops the word, None
    leaves it as it is."""

    shown: str
    english: str | None


class Languages:
    """`keys`: key → English; `phrases`: longer keys by the first word; `function`: stop words."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self.phrases: dict[str, list[tuple[list[str], str]]] = {}
        self.function: set[str] = set()
        for line in FILE.read_text("utf-8").splitlines():
            keys, _, words = line.partition("\t")
            if words:
                self._add(fold(keys).split(", "), words)
            elif not line.startswith(("#", "[")):
                self.function.update(fold(line).split(", "))
        self._longest = max(len(key) for key in self.keys if _IDEOGRAPH.search(key))

    def _add(self, keys: Sequence[str], words: str) -> None:
        for written in keys:
            key = written if written.isascii() else _plain(simplified(written))
            parts = [key] if key.isalnum() else raw_words(key)
            if len(parts) > 1:
                self.phrases.setdefault(parts[0], []).append((parts, words))
            else:
                self.keys.setdefault(key, words)

    def is_foreign(
        self,
        written: Sequence[tuple[str, str]],
        stem: Callable[[str], str],
        is_misspelt: Callable[[str], bool],
    ) -> bool:
        """Whether the question is in another language: more foreign words than English stop words,
        and at least a third of the words. `written`: each word as written, and folded.

        Unless one is certainly foreign, a single key that may be misspelt English does not count.
        Stop words of both languages are ignored.
        """
        words = [word for _, word in written]
        unplain = {w: r for r, w in written if w not in STOP and not is_plain(r, w, stem(w))}
        english = sum(word in STOP and word not in self.function for word in words)
        function = len(self.function.intersection(words) - STOP)
        asked = sum(word not in STOP or word not in self.function for word in words)
        if len(unplain) <= english or (function + len(unplain)) * 3 < asked:
            return False  # decided without the keys, whose lookup takes most of the time
        keyed = self._keyed(words)
        accented = {w for w, raw in unplain.items() if not raw.isascii() and w.isascii()}
        sure = {w for w in unplain if self._is_sure(w)} | (keyed & accented)
        likely = keyed.intersection(unplain) - sure
        if not sure and len(keyed) < 2:
            likely = {word for word in likely if not is_misspelt(stem(word))}
        foreign = len(sure | likely)
        others = len(unplain) - foreign if function > 1 or accented else 0
        return foreign > english and max(foreign, function + len(likely) + others) * 3 >= asked

    def _keyed(self, words: Sequence[str]) -> set[str]:
        """The words that are keys, alone or in a phrase, but for function words and keys whose
        English is the word itself."""
        plain, keyed = self._joined(list(map(_plain, words))), set[str]()
        for at, word in enumerate(words):
            size, english = self._longest_key(plain, at)
            if english and word not in english.split():
                keyed.update(words[at : at + size])
        return keyed - self.function

    def _is_sure(self, word: str) -> bool:
        """Whether the word alone proves another language: a function word, or not ASCII."""
        if word.isascii():
            return len(word) > 1 and word in self.function
        return any(map(str.isalpha, word))

    def read(
        self, raws: Sequence[str], folded: Sequence[str], names: Container[str] = ()
    ) -> list[Read]:
        """The words of a foreign question, in order. Names stay as they are: capitals where other
        words have none ("CI"), Latin letters among ideographs, and `names` that are no key."""
        raws, folded = _parted(raws), self._joined(list(map(_plain, _parted(folded))))
        name = _NAME if not any(map(_IDEOGRAPH.search, raws)) else _LATIN
        name = _NONE if all(map(str.isupper, raws)) else name
        found, at = list[Read](), 0
        while at < len(raws):
            size, english = self._longest_key(folded, at)
            shown = " ".join(raws[at : at + size])
            is_named = bool(english) and self.is_name(folded[at], names)
            if is_named or (english == "" and name.fullmatch(shown)):
                english = None
            found.append(Read(shown, english))
            at += size
        return found

    def is_name(self, word: str, names: Container[str]) -> bool:
        """Whether the word is in `names`, and is neither a key nor a function word here."""
        return word in names and word not in self.keys and word not in self.function

    def _joined(self, words: list[str]) -> list[str]:
        """Join German and Dutch separable verbs: "bricht ... ab" becomes "abbricht". A particle
        that is also a preposition is joined only at the end of its clause."""
        joined = list(words)
        for at, particle in enumerate(words):
            after = words[at + 1 : at + 2] if particle in self.function else []
            if particle not in PARTICLES or not CONJUNCTIONS.issuperset(after):
                continue
            for verb in range(at - 1, max(-1, at - 1 - APART), -1):
                whole = particle + words[verb]
                sizes = range(len(particle) + 3, len(whole) + 1)
                if words[verb] not in self.function and any(whole[:n] in self.keys for n in sizes):
                    joined[verb], joined[at] = whole, NOTHING
                    break
        return joined

    def _longest_key(self, folded: Sequence[str], at: int) -> tuple[int, str | None]:
        first = folded[at]
        phrases = [self.phrases.get(first[:size], ()) for size in range(len(first), 0, -1)]
        for parts, words in chain.from_iterable(phrases):
            if len(parts) <= len(folded) - at and all(map(_begins, parts, folded[at:])):
                return len(parts), words
        if folded[at] in self.function or folded[at] == NOTHING:
            return 1, ""
        if _IDEOGRAPH.search(folded[at]):
            return 1, self._of_run(simplified(folded[at]))
        return 1, self.of_word(folded[at]) or None

    def of_word(self, word: str) -> str:
        """The English of one folded word; "" when no key is a prefix of it."""
        if len(word) > LONGEST_WORD:
            return ""
        word = _plain(word)
        for size in range(len(word), 1, -1):
            words, rest = self.keys.get(word[:size]), word[size:]
            if words is None:
                continue
            if rest == "s" or len(rest) <= _ending(word[:size]):
                return words
            if size >= SHORTEST_PART and (other := self._of_rest(rest)):
                return f"{words} {other}"
        inflected = _INFLECTED.fullmatch(word)
        return self.of_word(inflected[1] + inflected[2]) if inflected else ""

    def _of_rest(self, rest: str) -> str:
        rests = [rest, *(rest[len(link) :] for link in LINKS if rest.startswith(link))]
        return next((w for r in rests if len(r) >= SHORTEST_PART and (w := self.of_word(r))), "")

    def _of_run(self, run: str) -> str | None:
        """The English of a run of ideographs, function words and syllables dropped. Other text
        without a key stays, so that a part alone is no sure match; None when no key matches it."""
        found, unread, at, is_known = list[str](), "", 0, False
        while at < len(run):
            sizes = range(min(self._longest, len(run) - at), 0, -1)
            size = next((n for n in sizes if run[at : at + n] in self.keys), 0)
            is_known = is_known or size > 0
            if size or run[at] in self.function or _SYLLABLE.match(run[at]):
                found += filter(None, (unread, self.keys.get(run[at : at + size], "")))
                unread = ""
            else:
                unread += run[at]
            at += size or 1
        words = " ".join([*found, unread]).strip()
        return words if is_known or not words else None


def is_plain(raw: str, word: str, stem: str) -> bool:
    """Whether `word` (`raw`, folded) is an English word, written without foreign accents."""
    return word.isascii() and not _MARKED.search(raw) and is_english(stem)


def _ending(key: str) -> int:
    """How many letters may follow the key."""
    is_short = len(key) < len(ENDINGS) and not _IDEOGRAPH.match(key)
    return ENDINGS[len(key)] if is_short else LONG_ENDING


def _begins(key: str, word: str) -> bool:
    """Whether the word is the key with an ending; "s" is always allowed."""
    rest = word[len(key) :] if word.startswith(key) else None
    return rest is not None and (rest == "s" or len(rest) <= _ending(key))


def _plain(text: str) -> str:
    """Replace letters with a stroke (ł, ø), which `fold` leaves as they are, by plain ones."""
    return text.translate(_STROKES)


def _parted(words: Sequence[str]) -> list[str]:
    """Split words of two scripts ("LLMのJSON") where the script changes."""
    return [part for word in words for part in filter(None, _RUN.split(word))]


@cache
def languages() -> Languages:
    """The shipped table, read on first use."""
    return Languages()
