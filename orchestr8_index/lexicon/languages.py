"""What does a question in another language say in English? Word by word, by `languages.tsv`.

A key is the beginning of a word: its ending may have ENDINGS letters, or be another key, as in
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
ENDINGS = (0, 0, 0, 0, 2, 4)  # letters, by those of the key; longer ones have LONG_ENDING
LONG_ENDING = 6
SHORTEST_PART = 4  # letters of a part of a compound
LINKS = ("s", "n", "en", "es")  # between the parts of German and Dutch compounds
LONGEST_WORD = 40  # letters; compounds of more are none
PARTICLES = frozenset(
    """ab an auf aus bereit durch ein fehl fest herunter hinzu hoch kaputt los nach runter tot um
    vor weg zu zuruck zusammen aan af door in neer op uit vast""".split()
)
CONJUNCTIONS = frozenset("und oder wenn weil sobald nachdem seit en of als omdat sinds".split())
APART = 8  # words between a verb and its particle, at most
_STROKES = str.maketrans("łøđı", "lodi")
NOTHING = "-"  # stands where a particle was
_INFLECTED = re.compile(f"({'|'.join(sorted(PARTICLES, key=len, reverse=True))})(?:ge|zu)(.+)")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
_NAME, _LATIN, _NONE = map(re.compile, ("[A-Z]{2,}", "[A-Za-z]{2,}", r"\b\B"))
_MARKED = re.compile("[^\\x00-\\x7féèêëïâ]")  # "café" and "naïve" are English, too
_SYLLABLE = re.compile(r"[\u3040-\u309f\u30fc\uac00-\ud7af]")
_RUN = re.compile(f"({_IDEOGRAPH.pattern}+)")


class Read(NamedTuple):
    """One word of a question, or several that are one key, and its English; "" where it has none
    and None where the word stays as it is."""

    shown: str
    english: str | None


class Languages:
    """`keys`: key → English; `phrases`: longer keys by the first word; `function`: stop words."""

    def __init__(self, path: Path = FILE) -> None:
        self.keys: dict[str, str] = {}
        self.phrases: dict[str, list[tuple[list[str], str]]] = {}
        self.function: set[str] = set()
        for line in path.read_text("utf-8").splitlines():
            keys, _, words = line.partition("\t")
            if words:
                self._take(fold(keys).split(", "), words)
            elif not line.startswith(("#", "[")):
                self.function.update(fold(line).split(", "))
        self._longest = max(len(key) for key in self.keys if _IDEOGRAPH.search(key))

    def _take(self, keys: Sequence[str], words: str) -> None:
        for written in keys:
            key = written if written.isascii() else _plain(simplified(written))
            parts = [key] if key.isalnum() else raw_words(key)
            if len(parts) > 1:
                self.phrases.setdefault(parts[0], []).append((parts, words))
            else:
                self.keys.setdefault(key, words)

    def is_foreign(
        self,
        said: Sequence[tuple[str, str]],
        stem: Callable[[str], str],
        is_misspelt: Callable[[str], bool],
    ) -> bool:
        """Whether more words are of another language than of English ones that say nothing.
        `said` are the words as they are written, and folded.

        Where none of them is sure to be, a misspelt English word alone is none. They must be a
        third of the question: a name is no language. What says nothing in both does not count.
        """
        words = [word for _, word in said]
        strange = {w: r for r, w in said if w not in STOP and not is_plain(r, w, stem(w))}
        english = sum(word in STOP and word not in self.function for word in words)
        function = len(self.function.intersection(words) - STOP)
        asked = sum(word not in STOP or word not in self.function for word in words)
        if len(strange) <= english or (function + len(strange)) * 3 < asked:
            return False  # as it will be, whatever the keys, which take the most of the time
        keyed = self._keyed(words)
        accented = {w for w, raw in strange.items() if not raw.isascii() and w.isascii()}
        sure = {w for w in strange if self._is_sure(w)} | (keyed & accented)
        likely = keyed.intersection(strange) - sure
        if not sure and len(keyed) < 2:
            likely = {word for word in likely if not is_misspelt(stem(word))}
        found = len(sure | likely)
        others = len(strange) - found if function > 1 or accented else 0
        return found > english and max(found, function + len(likely) + others) * 3 >= asked

    def _keyed(self, words: Sequence[str]) -> set[str]:
        """Those of which the table has a meaning, alone or as a part of a phrase, that is not what
        they are in English, too."""
        plain, found = self._joined(list(map(_plain, words))), set[str]()
        for at, word in enumerate(words):
            size, english = self._longest_key(plain, at)
            if english and word not in english.split():
                found.update(words[at : at + size])
        return found - self.function

    def _is_sure(self, word: str) -> bool:
        """A sign or a letter alone is of no language."""
        if word.isascii():
            return len(word) > 1 and word in self.function
        return any(map(str.isalpha, word))

    def read(
        self, raws: Sequence[str], folded: Sequence[str], names: Container[str] = ()
    ) -> list[Read]:
        """The words of a foreign question in their order. What is in capitals, as others are not
        ("CI"), in Latin letters among ideographs, or in `names` and no key, is a name."""
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
        """Whether the word is one of `names`, and none of another language that is written so."""
        return word in names and word not in self.keys and word not in self.function

    def _joined(self, words: list[str]) -> list[str]:
        """With German and Dutch verbs before their particle: "bricht ... ab" as "abbricht". What is
        a preposition, too, must end its clause."""
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
        """Empty for a word that no key begins."""
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
        apart = _INFLECTED.fullmatch(word)
        return self.of_word(apart[1] + apart[2]) if apart else ""

    def _of_rest(self, rest: str) -> str:
        rests = [rest, *(rest[len(link) :] for link in LINKS if rest.startswith(link))]
        return next((w for r in rests if len(r) >= SHORTEST_PART and (w := self.of_word(r))), "")

    def _of_run(self, run: str) -> str | None:
        """With what has no key as it stands, but for what says nothing and mere syllables: who
        reads a part alone must not be sure. None where more than those has no key."""
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
    """Whether `word`, which is `raw` folded, is English, and written as English is."""
    return word.isascii() and not _MARKED.search(raw) and is_english(stem)


def _ending(key: str) -> int:
    """The most letters after a key."""
    is_short = len(key) < len(ENDINGS) and not _IDEOGRAPH.match(key)
    return ENDINGS[len(key)] if is_short else LONG_ENDING


def _begins(key: str, word: str) -> bool:
    """Whether the word is the key with an ending; an s is always one."""
    rest = word[len(key) :] if word.startswith(key) else None
    return rest is not None and (rest == "s" or len(rest) <= _ending(key))


def _plain(text: str) -> str:
    """Without the strokes that no accent is."""
    return text.translate(_STROKES)


def _parted(words: Sequence[str]) -> list[str]:
    """Words of two scripts ("LLMのJSON") in their parts."""
    return [part for word in words for part in filter(None, _RUN.split(word))]


@cache
def languages() -> Languages:
    """Read at the first question that may be in another language."""
    return Languages()
