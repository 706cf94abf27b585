"""What does a question in another language say in English? Word by word, by `languages.tsv`.

A key is the beginning of a word: its ending may have ENDINGS letters, or be another key, as in
compounds ("Datenbank" + "abfrage"). Chinese, Japanese and Korean text is read from left to right,
the longest key first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..text import STOP, fold, raw_words, simplified
from .english import is_english

FILE = Path(__file__).with_name("languages.tsv")
ENDINGS = (0, 0, 0, 0, 2, 4)  # letters, by those of the key; longer ones have LONG_ENDING
LONG_ENDING = 6
SHORTEST_PART = 4  # letters of a part of a compound
LINKS = ("s", "n", "en", "es")  # between the parts of German and Dutch compounds
MOST_WORDS = 4  # of a key
LONGEST_WORD = 40  # letters; compounds of more are none
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
_RUN = re.compile(f"({_IDEOGRAPH.pattern}+)")


class Read(NamedTuple):
    """One word of a question, or several that are one key, and its English; "" where it has none
    and None where the word stays as it is."""

    shown: str
    english: str | None


class Languages:
    """`keys`: key → English; `starts`: the first words of keys of several words; `function`: words
    that say nothing."""

    def __init__(self, path: Path = FILE) -> None:
        self.keys: dict[str, str] = {}
        self.starts: set[str] = set()
        self.function: set[str] = set()
        for line in path.read_text("utf-8").splitlines():
            keys, _, words = line.partition("\t")
            if words:
                self._take(simplified(fold(keys)).split(", "), words)
            elif not line.startswith(("#", "[")):
                self.function.update(fold(line).split(", "))
        self._longest = max(len(key) for key in self.keys if _IDEOGRAPH.search(key))

    def _take(self, keys: Sequence[str], words: str) -> None:
        for key in keys:
            parts = raw_words(key)
            self.keys.setdefault(" ".join(parts), words)
            if len(parts) > 1:
                self.starts.add(parts[0])

    def is_foreign(
        self, words: Sequence[str], stem: Callable[[str], str], is_misspelt: Callable[[str], bool]
    ) -> bool:
        """Whether more words are of another language than of English ones that say nothing.

        Where none of them is sure to be, a misspelt English word is none. They must be a third of
        the question: a name is no language.
        """
        strange = [word for word in words if word not in STOP and not is_english(stem(word))]
        sure = [word for word in strange if word in self.function or not word.isascii()]
        likely = [word for word in strange if word not in sure and self.of_word(word)]
        if not sure:
            likely = [word for word in likely if not is_misspelt(stem(word))]
        english = sum(word in STOP and word not in self.function for word in words)
        found, function = len(sure) + len(likely), len(self.function.intersection(words) - STOP)
        return found > english and max(found, function + len(likely)) * 3 >= len(words)

    def read(self, raws: Sequence[str], folded: Sequence[str]) -> list[Read]:
        """The words of a foreign question in their order."""
        raws, folded = _parted(raws), _parted(folded)
        found, at = list[Read](), 0
        while at < len(raws):
            size, english = self._longest_key(folded, at)
            shown = " ".join(raws[at : at + size])
            found.append(Read(shown, english))
            at += size
        return found

    def _longest_key(self, folded: Sequence[str], at: int) -> tuple[int, str | None]:
        if folded[at] in self.starts:
            for size in range(min(MOST_WORDS, len(folded) - at), 1, -1):
                if words := self.keys.get(" ".join(folded[at : at + size])):
                    return size, words
        if folded[at] in self.function:
            return 1, ""
        if _IDEOGRAPH.search(folded[at]):
            return 1, self._of_run(simplified(folded[at]))
        return 1, self.of_word(folded[at]) or None

    def of_word(self, word: str) -> str:
        """Empty for a word that no key begins."""
        if len(word) > LONGEST_WORD:
            return ""
        for size in range(len(word), 1, -1):
            words, rest = self.keys.get(word[:size]), word[size:]
            if words is None:
                continue
            if len(rest) <= (ENDINGS[size] if size < len(ENDINGS) else LONG_ENDING):
                return words
            if size >= SHORTEST_PART and (other := self._of_rest(rest)):
                return f"{words} {other}"
        return ""

    def _of_rest(self, rest: str) -> str:
        rests = [rest, *(rest[len(link) :] for link in LINKS if rest.startswith(link))]
        return next((w for r in rests if len(r) >= SHORTEST_PART and (w := self.of_word(r))), "")

    def _of_run(self, run: str) -> str | None:
        found, at = list[str](), 0
        while at < len(run):
            for size in range(min(self._longest, len(run) - at), 0, -1):
                if words := self.keys.get(run[at : at + size]):
                    found.append(words)
                    at += size - 1
                    break
            at += 1
        return " ".join(found) or None


def _parted(words: Sequence[str]) -> list[str]:
    """Words of two scripts ("LLMのJSON") in their parts."""
    return [part for word in words for part in filter(None, _RUN.split(word))]


@cache
def languages() -> Languages:
    """Read at the first question that may be in another language."""
    return Languages()
