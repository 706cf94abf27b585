"""Finds the short forms, products, file names, symptoms and errors in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from ..text import fold
from .tables import MOST_WORDS, Symptom, Tables

_MESSAGE = re.compile(  # signs of a log line or an error message, which a plain request lacks
    r"[:\[\]{}=<>_\\#*]|\w\(|\d{3}|\b(?:abort|cannot|can't|corrupt|could not|couldn't|crash"
    r"|currently not|declined|denied|dumped|error|exceeded|exception|expected|expired|fail|fatal"
    r"|fault\b|invalid|killed|mismatch|no space|not found|not recognized|out of memory|overflow"
    r"|panic|refused|rejected|timed out|timeout|too many|unable|undefined|unexpected"
    r"|unhandled|unknown|warning)"
)
_FILE = re.compile(r"(?<![\w.@~/\\-])[\w.@~/\\-]*\w\.[a-z]\w{0,9}(?![\w/\\-])", re.IGNORECASE)
_PART = re.compile(r"[^\W_]+")
_HEAD, _CAMEL = re.compile(r"([A-Z][a-z]{2,})[A-Z]"), re.compile("[a-z][A-Z]")
_CODE = re.compile(r"([a-z]{1,6})\d{3,5}")  # TS2749
_QUOTES = str.maketrans("‘’“”", "''\"\"")
MOST_FILES = 16  # file names read per text
NEAR = 8  # words between the parts of a symptom, at most


class Meaning(NamedTuple):
    """`words` are what the words `shown`, at `places` in the text, stand for, most specific first.

    `kind` is one of tables.KINDS. A symptom or an error has no places, as it replaces no word;
    `triggers` are the places of the words that reveal a symptom, or of a file's name.
    """

    kind: str
    words: str
    places: range
    shown: str
    triggers: frozenset[int] = frozenset()


NOWHERE = range(0)


def meanings(
    tables: Tables, text: str, raws: Sequence[str], folded: Sequence[str], stems: Sequence[str]
) -> list[Meaning]:
    """The meanings found in a text, each once; `raws` are its words as raw_words gives them."""
    errors = _errors(tables, text, raws, folded)
    found = [*_terms(tables, raws, folded, _files(tables, text, folded)), *errors]
    if not errors:  # words of an error message are not symptoms
        found += _most_specific(_symptoms(tables, folded, stems))
    return list({(e.words, e.kind == "error"): e for e in reversed(found)}.values())[::-1]


def _files(tables: Tables, text: str, folded: Sequence[str]) -> dict[int, Meaning | None]:
    """File names by the places of their words: at the extension its language, elsewhere None.

    The rest of a name says little about the task. Names of libraries (express.js) are left out.
    """
    found: dict[int, Meaning | None] = {}
    for match in islice(_FILE.finditer(text), MOST_FILES) if "." in text else ():
        parts = [fold(part) for part in _PART.findall(match[0])]
        words = tables.files.get(parts[-1])
        if words and not _is_library(tables, parts) and (places := _places_of(parts, folded)):
            meaning = Meaning("file", words, places[-1:], match[0], frozenset(places))
            found |= {**dict.fromkeys(places), places[-1]: meaning}
    return found


def _is_library(tables: Tables, parts: Sequence[str]) -> bool:
    named = any(part in tables.terms or part.title() in tables.terms for part in parts[:-1])
    return parts[-1] == "js" and named


def _places_of(parts: Sequence[str], folded: Sequence[str]) -> range:
    """Where `parts` first occur in sequence; empty if nowhere."""
    size = len(parts)
    starts = (at for at in range(len(folded)) if folded[at : at + size] == parts)
    start = next(starts, None)
    return range(0) if start is None else range(start, start + size)


def _terms(
    tables: Tables, raws: Sequence[str], folded: Sequence[str], files: dict[int, Meaning | None]
) -> Iterator[Meaning]:
    """Keys found from left to right, the longest first; they do not overlap."""
    after = 0
    for at, key in enumerate(folded):
        if at < after:
            continue
        if at in files:
            if (file := files[at]) is not None:
                yield file
            continue
        longest = MOST_WORDS if key in tables.starts else 1
        for size in range(min(longest, len(raws) - at), 1, -1):
            written = " ".join(raws[at : at + size])
            if meaning := _term(tables, written, " ".join(folded[at : at + size]), not at):
                yield Meaning(*meaning, range(at, at + size), written)
                after = at + size
                break
        else:
            if meaning := _term(tables, raws[at], key, not at):
                yield Meaning(*meaning, range(at, at + 1), raws[at])


def _term(tables: Tables, written: str, key: str, is_first: bool) -> tuple[str, str] | None:
    """(kind, words) of a key: folded, else as written (a capital that only starts the text is
    ignored), else as its singular."""
    found = tables.terms.get(key)
    if not found and written != key and not (is_first and written.istitle()):
        found = tables.terms.get(written)
    if not found and key[-1:] == "s" and len(key) > 2:
        found = tables.terms.get(key[:-1])
    return found


def _errors(tables: Tables, text: str, raws: Sequence[str], folded: Sequence[str]) -> list[Meaning]:
    """Errors looked up by words, heads of CamelCase names (KafkaException) and codes (TS2749)."""
    heads = [head[1].lower() for raw in raws if not raw.islower() and (head := _HEAD.match(raw))]
    heads += [code[1] for word in folded if not word.isalpha() and (code := _CODE.fullmatch(word))]
    anchors = [word for word in (*folded, *heads) if tables.is_anchor(word)]
    lower = text.lower().translate(_QUOTES)
    if not anchors or not (_MESSAGE.search(lower) or _is_one_name(raws, anchors)):
        return []
    found: dict[str, Meaning] = {}
    for word in dict.fromkeys(anchors):
        for shape in tables.shapes_at(word):
            if shape.words not in found and shape.fits(lower):
                found[shape.words] = Meaning("error", shape.words, NOWHERE, word)
    return list(found.values())


def _is_one_name(raws: Sequence[str], anchors: Sequence[str]) -> bool:
    """Whether the text is the name of an error and nothing else: "ImagePullBackOff"."""
    return len(raws) == 1 and raws[0].lower() in anchors and bool(_CAMEL.search(raws[0]))


def _symptoms(tables: Tables, folded: Sequence[str], stems: Sequence[str]) -> Iterator[Meaning]:
    if len(stems) < 2 or tables.symptoms.keys().isdisjoint(stems):
        return
    have = set(stems)
    for stem in dict.fromkeys(stems):
        for symptom in tables.symptoms.get(stem, ()):
            if all(not group.isdisjoint(have) for group in symptom.groups):
                if places := _near(symptom, stems):
                    shown = " ".join(folded[place] for place in sorted(places))
                    yield Meaning("symptom", symptom.words, NOWHERE, shown, frozenset(places))


def _most_specific(symptoms: Iterable[Meaning]) -> list[Meaning]:
    """Drop symptoms whose triggers are a subset of another's: a container image is no picture."""
    found = list(symptoms)
    return [each for each in found if not any(each.triggers < other.triggers for other in found)]


def _near(symptom: Symptom, stems: Sequence[str]) -> list[int]:
    """Places of one word per group within NEAR words of one of `first`; empty if there are none."""
    for first, stem in enumerate(stems):
        if stem in symptom.first:
            around = range(max(0, first - NEAR), min(len(stems), first + NEAR + 1))
            places = [first]
            for group in symptom.groups:
                fits = (at for at in around if at not in places and stems[at] in group)
                if (place := next(fits, None)) is None:
                    break
                places.append(place)
            else:
                return places
    return []
