"""Finds names that are also everyday words: Go, IT, CAN, Make and D, by case and by company.

`names_marked("Go over this Go service")` is `"go over this golang service"`. Long texts are looked
at for names with a capital only, short ones also for names in lower case (go-expert, in go).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import chain

NAMES = {"Go": "golang", "Make": "Make", "IT": "IT", "CAN": "CAN", "D": "dlang"}
"""The name as written, and as the word that no everyday word can be taken for."""
SHORT = 600  # characters of a name, a description or a question

_CAPITALS = frozenset(("Go", "Make", "IT", "CAN", "D"))
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
    """`text` with every such name as NAMES has it, and the everyday words in lower case.

    `words` are those of the text; a long one without any of the names is returned as it is.
    """
    if not _CAPITALS.isdisjoint(words):
        text = _D.sub("dlang ", text)
        text = _NAME.sub(_as_read, text)
    if len(text) <= SHORT:
        for pattern, name in chain.from_iterable(_LOWER[word] for word in _LOWER if word in words):
            text = pattern.sub(name, text)
    return text


def _as_read(found: re.Match[str]) -> str:
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
