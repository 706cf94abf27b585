"""What does a text say besides its words? Short forms, products, symptoms and errors in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from ..text import fold
from .tables import MOST_WORDS, Symptom, Tables

_MESSAGE = re.compile(  # what a line of a log has, and a plain request has not
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
MOST_FILES = 16  # of a text
NEAR = 8  # words between the parts of a symptom, at most


class Meaning(NamedTuple):
    """`words` are what the text's words at `places`, `shown`, stand for, most telling first.

    `kind` is one of tables.KINDS. A symptom or an error has no places: it stands for no word alone;
    `told_by` are the places of the words that told a symptom, or of a file's name.
    """

    kind: str
    words: str
    places: range
    shown: str
    told_by: frozenset[int] = frozenset()


NOWHERE = range(0)


def meanings(
    tables: Tables, text: str, raws: Sequence[str], folded: Sequence[str], stems: Sequence[str]
) -> list[Meaning]:
    """Of a text with the words `raws` as raw_words gives them; each kind of meaning once."""
    errors = _errors(tables, text, raws, folded)
    found = [*_terms(tables, raws, folded, _files(tables, text, folded)), *errors]
    if not errors:  # what a message is made of is no symptom
        found += _most_telling(_symptoms(tables, folded, stems))
    return list({(e.words, e.kind == "error"): e for e in reversed(found)}.values())[::-1]


def _files(tables: Tables, text: str, folded: Sequence[str]) -> dict[int, Meaning | None]:
    """By the places of the words in a file's name: at its ending what such files are written in.

    The rest of the name says little of what is asked, but for libraries (express.js).
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
    """Where `parts` stand in a row; empty if nowhere."""
    size = len(parts)
    starts = (at for at in range(len(folded)) if folded[at : at + size] == parts)
    start = next(starts, None)
    return range(0) if start is None else range(start, start + size)


def _terms(
    tables: Tables, raws: Sequence[str], folded: Sequence[str], files: dict[int, Meaning | None]
) -> Iterator[Meaning]:
    """The longest keys from left to right; no word belongs to two."""
    after = 0
    for at, key in enumerate(folded):
        if at < after:
            continue
        if at in files:
            if (written_in := files[at]) is not None:
                yield written_in
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
    """A capital at the beginning says nothing; a plural is read as its singular."""
    found = tables.terms.get(key)
    if not found and written != key and not (is_first and written.istitle()):
        found = tables.terms.get(written)
    if not found and key[-1:] == "s" and len(key) > 2:
        found = tables.terms.get(key[:-1])
    return found


def _errors(tables: Tables, text: str, raws: Sequence[str], folded: Sequence[str]) -> list[Meaning]:
    """By its words, by what its CamelCase names begin with (KafkaException), and its codes."""
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
    """Whether the name of an error is all that is said: "ImagePullBackOff"."""
    return len(raws) == 1 and raws[0].lower() in anchors and bool(_CAMEL.search(raws[0]))


def _symptoms(tables: Tables, folded: Sequence[str], stems: Sequence[str]) -> Iterator[Meaning]:
    if len(stems) < 2 or tables.symptoms.keys().isdisjoint(stems):
        return
    have = set(stems)
    for stem in dict.fromkeys(stems):
        for symptom in tables.symptoms.get(stem, ()):
            if all(not group.isdisjoint(have) for group in symptom.groups):
                if places := _near(symptom, stems):
                    said = " ".join(folded[place] for place in sorted(places))
                    yield Meaning("symptom", symptom.words, NOWHERE, said, frozenset(places))


def _most_telling(symptoms: Iterable[Meaning]) -> list[Meaning]:
    """Without those that fewer of the same words tell: a container's huge image is no picture."""
    found = list(symptoms)
    return [each for each in found if not any(each.told_by < other.told_by for other in found)]


def _near(symptom: Symptom, stems: Sequence[str]) -> list[int]:
    """The places of one word of each group, near one of the first; none if they are apart."""
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
