"""The tokenizer: text becomes terms, which are folded, split and stemmed, without stop words.

`terms("Please review our K8s YAML")` is `["review", "k8s", "yaml"]`. A compound written in
camelCase counts whole and in parts; a run of Chinese, Japanese or Korean characters counts as its
pairs, traditional characters as simplified ones. Names that are also everyday words count where
they are written as names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from functools import cache
from itertools import chain, filterfalse
from pathlib import Path

import Stemmer

from .memo import Memo

KEPT = r"c\+\+|[cf]#|(?<!java)(?<!javax)\.net\b|\b(?:node|next|vue|nuxt|d3|three)\.js\b"
WORD = r"[^\W_]+"
EMOJI = r"[\u2600-\u27bf\U0001f300-\U0001faff]"
_RAW = re.compile(f"{KEPT}|{WORD}|{EMOJI}", re.IGNORECASE)
CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_IDEOGRAPH = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
_CJK = re.compile(f"({_IDEOGRAPH})")
_OF_NAME = re.compile(r"[^\W_]+|[+#.]+")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

SAME = {
    "c++": "cpp",
    "c#": "csharp",
    "f#": "fsharp",
    ".net": "dotnet",
    "node.js": "nodejs",
    "next.js": "nextjs",
    "nuxt.js": "nuxt",
    "vue.js": "vue",
    "vuejs": "vue",
    "reactjs": "react",
    "three.js": "threejs",
    "d3.js": "d3",
}
"""Names with marks, and as a word: both are the same term."""
NAMES = {"Go": "golang", "Make": "Make", "IT": "IT", "CAN": "CAN", "D": "dlang"}
"""Everyday words that are names, too: as written → an unambiguous word."""
_NAMED = frozenset(NAMES.values())

STOP = frozenset(
    """a about above after again against all also am an and any anyone are as at be because been
    before being below between both but by came come did do does doing done during each either else
    ever every few for from further get gets getting give gives go goes going got had has have
    having he her here hers him his how however i if in into is it its itself just me more most my
    myself no nor not now of off on once only or other our ours out over own per s same she should
    so some such t than that the their theirs them then there these they this those through to too
    under until up upon us very was we were what when where which while who whom whose why will with
    would within without you your yours yourself d ll m re ve don doesn didn isn aren wasn won
    wouldn couldn shouldn can could may might must shall let lets please help helps helping need
    needs needed want wants wanted like use uses used using thanks thank hello hi hey kindly someone
    something somebody anything able make makes making made really trying try tries tried sure
    proactively assistant
    ago almost along already always although anybody anymore anyway among around away cannot cause
    despite doesnt dont else elsewhere etc everybody everyone everything goes gonna gotta hence im
    indeed instead isnt ive last lately later lot lots maybe meanwhile never nobody none nothing
    often ok okay onto otherwise perhaps pls plz quite rather shan since somehow sometimes somewhat
    soon still stuff super thing things though thus thx till today together tomorrow totally toward
    towards unless upon usually via wanna whatever whenever wherever whether whichever whoever
    within without yesterday yet""".split()
)

Forms = tuple[str, str, tuple[str, ...]]
"""(a word folded, its stem, its terms)"""

_EXCEPTIONS = {
    form: stem
    for stem, forms in {
        "accessibility": "accessibility accessible accessibly",
        "authorization": "authorization authorizations authorisation authorize authorizes "
        "authorized authorizing authorise authorised",
        "container": "container containers containerize containerized containerization "
        "containerise containerised",
        "important": "important importance importantly",
        "accounting": "accounting accountant accountants accountancy",
        "localization": "localization localisation localize localized localizing localise "
        "localised locale locales",
        "executive": "executive executives",
        "experiment": "experiment experiments experimental experimentation",
        "integrity": "integrity",
    }.items()
    for form in forms.split()
}
"""The stems of words that the stemmer conflates with others: accessibility with access, container
with contain, experiment with experience."""


class Terms:
    """Turns text into terms; the forms of at most `bound` raw words are cached."""

    def __init__(self, bound: int = 1024) -> None:
        self.stem: Callable[[str], str] = stem_of
        """The stem of a folded word, whether it counts or not."""
        self._forms = Memo[str, Forms](bound, self._forms_of)

    def forget(self) -> None:
        """Clear the cache of raw words."""
        self._forms.clear()

    def __call__(self, text: str) -> list[str]:
        found: list[str] = []
        for raw in raw_words(text):
            found += self._forms[raw][2]
        return found

    def of_word(self, raw: str) -> tuple[str, ...]:
        """The terms of one word as it is written."""
        return self._forms[raw][2]

    def forms(self, raws: Iterable[str]) -> list[Forms]:
        """The forms of each word as it is written."""
        return list(map(self._forms.__getitem__, raws))

    def _forms_of(self, raw: str) -> Forms:
        folded = fold(raw)
        stem = self.stem(folded)
        terms = tuple(self._split(raw, folded, stem))
        return (raw if folded == raw else folded), (raw if stem == raw else stem), terms

    def _split(self, raw: str, folded: str, stem: str) -> Iterable[str]:
        if not raw.isascii() and _CJK.search(raw):
            for part in filter(None, _CJK.split(simplified(raw))):
                yield from _bigrams(part) if _CJK.match(part) else self.of_word(part)
            return
        if folded not in STOP or raw in _NAMED:
            yield self.stem(SAME[folded]) if folded in SAME else stem
        yield from self._compound(raw, folded)

    def _compound(self, raw: str, folded: str) -> Iterable[str]:
        if raw.islower() or not raw.isascii() or not raw.isalnum():
            return
        parts = [part.lower() for part in CAMEL.findall(raw)]
        if len(parts) > 1 and any(len(part) > 2 for part in parts):
            yield from (self.stem(p) for p in parts if len(p) > 2 and p not in STOP)


@cache
def _stemmer() -> Callable[[str], str]:
    return Stemmer.Stemmer("english", 0).stemWord  # type: ignore[no-any-return]


def stem_of(word: str) -> str:
    """The stem of a folded word: an exception's own, else the Snowball stemmer's."""
    return _EXCEPTIONS.get(word) or _stemmer()(word)


def usual_stem(stem: str) -> str:
    """The stemmer's own stem of an exception; word vectors and word lists have only these."""
    return _stemmer()(stem) if stem in _EXCEPTIONS else stem


def raw_words(text: str) -> list[str]:
    """The words of a text as they are written, with the names among everyday words marked."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    found = _RAW.findall(text)
    marked = names_marked(text, found)
    return found if marked is text else _RAW.findall(marked)


def simplified(text: str) -> str:
    """The text with simplified Chinese characters for traditional ones."""
    return text if text.isascii() else text.translate(_simplified())


@cache
def _simplified() -> dict[int, int]:
    """For str.translate; made at the first Chinese text. lexicon.notice.md names the source."""
    path = Path(__file__).parent / "lexicon" / "han.txt"
    return str.maketrans(*path.read_text("utf-8").split())


def fold(text: str) -> str:
    """NFKC, casefold, accents stripped: the form in which two spellings are one word."""
    if text.isascii():
        return text.lower()
    spread = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", "".join(filterfalse(unicodedata.combining, spread)))


def fold_name(name: str) -> str:
    """The key of a name: `Code_Reviewer`, `code-reviewer` and `code reviewer` have the same."""
    return " ".join(_OF_NAME.findall(fold(name)))


def clean(text: str) -> str:
    """One line without control characters or direction overrides; a literal `\\n` is a space."""
    return " ".join(strip_unsafe(text.replace("\\n", " ")).split())


def as_utf8(text: str) -> str:
    """A path or a terminal's text as JSON can have it: bytes that are not UTF-8 are replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def display(path: str) -> str:
    """A file name that every JSON reader takes: undecodable bytes and controls are replaced."""
    return clean(as_utf8(path)) or "unnamed"


def strip_unsafe(text: str) -> str:
    """The text without control characters, bidi overrides and terminal escapes."""
    return _UNSAFE.sub("", _ANSI.sub("", text))


def has_unsafe(text: str) -> bool:
    """Whether a text has characters that `strip_unsafe` would remove."""
    return _UNSAFE.search(text) is not None


def cut(text: str, length: int) -> str:
    """At most `length` characters, cut at a word, with an ellipsis where something was cut."""
    if len(text) <= length:
        return text
    head = text[: length - 1]
    whole = head.rsplit(" ", 1)[0] if " " in head[length // 2 :] else head
    return whole.rstrip(" ,;:.-") + "…"


def _bigrams(run: str) -> Iterable[str]:
    if len(run) == 1:
        return [run]
    return [run[i : i + 2] for i in range(len(run) - 1)]


# --- names that are also everyday words -------------------------------------------------------

SHORT = 600  # characters of a name, a description or a question

_CAPITALS = frozenset(NAMES)
_ACTS = frozenset(  # after "Go" at the beginning of a sentence it is a verb
    """a about across after ahead all along and any around as at away back before behind below
    beyond by check create deep deeper do down edit fetch find fix for forth forward from further
    get global home in inside into it live look my near next now off on online open or our out over
    past public read right run see slow slowly step straight that the then there these this those
    through to together tell up via viral visit wild with without wrong your""".split()
)
_OF_MAKE = frozenset(
    "build builds error errors fails failed fixer recipe recipes rule rules says target targets "
    "variable variables version".split()
)
_OF_CAN = frozenset(
    "bus controller frame frames fd id ids interface log logs message messages network node nodes "
    "protocol signal signals stack transceiver".split()
)
_OF_GO = (
    "api|app|apps|backend|binary|channel|channels|cli|code|codebase|compiler|concurrency|dev|"
    "developer|engineer|expert|fmt|generics|interface|interfaces|lang|microservice|microservices|"
    "mod|module|modules|package|packages|pro|program|programmer|programs|project|projects|routine|"
    "routines|service|services|slice|slices|specialist|struct|structs|vet"
)
_OF_IT = "admin|administrator|asset|assets|department|helpdesk|infrastructure|ops|service desk"
# A pattern that begins with plain letters is found several times faster: what must stand before
# it is looked at afterwards.
_NAME = re.compile(r"(Go|Make|IT|CAN)\b(?=([ -]+(\w+))?)")
_D = re.compile(
    r"D(?<!\wD)(?: (?=(?:code|compiler|lang|language|programming)\b)|(?<=in D)(?=[\s,.?!]|$))"
)
_LOWER = {
    "go": (
        (
            re.compile(
                rf"go(?<!\wgo)(?:-(?!(?:by|live|over|to|up)\b)(?=[a-z])| (?=(?:{_OF_GO})\b))"
            ),
            "golang ",
        ),
        (re.compile(r"go(?<= in go)(?=,|[\s.?!]*$)"), "golang"),
    ),
    "it": ((re.compile(rf"it(?<!\wit)(?:-(?=support\b)|[ -](?=(?:{_OF_IT})\b))"), "IT "),),
    "can": ((re.compile(r"can[ -](?=bus\b)"), "CAN "),),
    "make": (
        (re.compile(r"make-(?<!\wmake-)(?!(?:believe|it|or|over|sure|up)\b)(?=[a-z])"), "Make "),
    ),
}
_WITHIN = re.compile(r"[a-z0-9,;(/&+] \Z")


def names_marked(text: str, words: Collection[str]) -> str:
    """`text` with every such name as NAMES has it, and the everyday words in lower case: "Go over
    this Go service" is "go over this golang service".

    `words` are those of the text. Names in lower case (go-expert, in go) are found in short texts
    alone; a long one without any name is returned as it is.
    """
    if not _CAPITALS.isdisjoint(words):
        text = _D.sub("dlang ", text)
        text = _NAME.sub(_read_name, text)
    if len(text) <= SHORT:
        for pattern, name in chain.from_iterable(_LOWER[word] for word in _LOWER if word in words):
            text = pattern.sub(name, text)
    return text


def _read_name(found: re.Match[str]) -> str:
    name, start, after = found[1], found.start(), found[3] or ""
    before = found.string[max(0, start - 2) : start]
    if before[-1:].isalnum():
        return name
    return NAMES[name] if _is_name(name, _WITHIN.match(before) is not None, after) else name.lower()


def _is_name(name: str, within: bool, after: str) -> bool:
    """Whether `name`, within a sentence or at its beginning, is one before the word `after`."""
    if name == "Go":
        return within or not after or after not in _ACTS
    if name == "Make":
        return within or after in _OF_MAKE
    shouted = len(after) > 1 and after.isupper()
    if name == "CAN":
        return after.lower() in _OF_CAN or within and not after
    return not shouted
