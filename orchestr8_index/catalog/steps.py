"""What does a command do, and with whom? Its numbered steps, its mentions of agents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..text import clean, cut

MAX_STEPS, MAX_STEP, MAX_LINE = 20, 60, 1_000
_STEP_HEADING = re.compile(
    r"^#{1,6}\s+(?:(?:step|phase|stage)\s*\d+(?:\.\d+)*\s*[:.)–—-]*|\d+(?:\.\d+)*\s*[:.)]*)\s*(.+)$",
    re.I,
)
_NUMBERED = re.compile(r"^\d{1,2}[.)]\s+(.+)$")
_HEADING = re.compile(r"^#{2,3}\s+(.+)$")
_MARKS = re.compile(r"[*_`#]+|\[([^\]]*)\]\([^)]*\)")
_MENTION = re.compile(r"[^\W_]+(?:[-_:./][^\W_]+)*")


def read_steps(body: str) -> tuple[str, ...]:
    """Headings that say step, phase or a number; else numbered lines; else the headings."""
    lines = list(_outside_code(body))
    for pattern in (_STEP_HEADING, _NUMBERED, _HEADING):
        found = [match[1] for line in lines if (match := pattern.match(line))]
        if found:
            return tuple(filter(None, map(_plain, found[:MAX_STEPS])))
    return ()


def mentionable(body: str) -> Iterable[str]:
    """What could be an agent's name, in lower case, in the order in which it stands first."""
    found: dict[str, None] = {}
    for word in _MENTION.findall(body.lower()):
        bare = word.rpartition(":")[2]
        if "-" in bare or bare != word:
            found[bare] = None
    return found


def known_among(mentioned: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """`names` are the known ones by their lower case."""
    return tuple(names[bare] for bare in mentioned if bare in names)


def _outside_code(body: str) -> Iterable[str]:
    fenced = False
    for line in body.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced:
            yield line[:MAX_LINE]


def _plain(step: str) -> str:
    return cut(clean(_MARKS.sub(r"\1", step)), MAX_STEP)
